"""Cancelling an awaited call ends it: at once where it listens, by force where it does not, at nobody's expense."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

import plugward
from plugward.fastapi import tools_router
from python.tests.patience import PATIENCE, until_async

PLUGIN = """
import asyncio, os, time
import plugward

HERE = os.path.dirname(__file__)
NOTED = {}

def begun():
    open(os.path.join(HERE, "begun"), "w").close()

class Plugin:
    name = "p"

    def __init__(self):
        names = ("loop", "deaf", "wait", "blocks", "cleans", "noted", "echo", "nap", "hold", "stubborn")
        self.tools = {name: getattr(self, name) for name in names}

    def loop(self, s):
        until = time.monotonic() + s
        try:
            begun()
            while time.monotonic() < until: time.sleep(0.01)
        except BaseException as error:
            NOTED["loop"] = type(error).__name__
            raise
        return os.getpid()

    def nap(self, s): time.sleep(s); return os.getpid()

    def hold(self):
        while not os.path.exists(os.path.join(HERE, "go")): time.sleep(0.01)
        return os.getpid()

    def deaf(self, s):
        begun()
        time.sleep(s)

    def stubborn(self, s):
        until = time.monotonic() + s
        begun()
        while time.monotonic() < until:
            try: time.sleep(0.01)
            except BaseException: pass

    async def wait(self, s):
        try:
            begun()
            await asyncio.sleep(s)
        finally: NOTED["wait"] = "finally"

    async def cleans(self, s):
        try:
            begun()
            await asyncio.sleep(s)
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)
            NOTED["cleans"] = "done"
            raise

    async def blocks(self, s):
        until = time.monotonic() + s
        try:
            begun()
            while time.monotonic() < until: time.sleep(0.01)
        except plugward.CallCancelled:
            NOTED["blocks"] = "CallCancelled"
            raise

    def noted(self): return NOTED
    def echo(self, n): return n
"""

Load = Callable[..., plugward.Runtime]
BUDGET = {"policy": "on_failure", "max": 3, "within_s": 600, "backoff_ms": [10, 50]}


class Begun:
    """The file that a tool makes when it has begun."""

    file = Path()


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    made = []

    def load(**more: Any) -> plugward.Runtime:
        rt = plugward.Runtime(logging=False)
        made.append(rt)
        (tmp_path / "p.py").write_text(PLUGIN)
        manifest: dict[str, Any] = {"name": "p", "kind": "python", "entrypoint": "p.py:Plugin", "restart": BUDGET}
        path = tmp_path / "p.json"
        manifest |= {"limits": {"concurrency": 1}, "permissions": {"write": [str(tmp_path)]}}
        path.write_text(json.dumps(manifest | more))
        Begun.file = tmp_path / "begun"
        (report,) = rt.load(str(path))
        assert report.ok, report.error
        return rt

    yield load
    for rt in made:
        rt.close()


def health(rt: plugward.Runtime) -> dict[str, Any]:
    found = rt.plugin_health("p")
    assert found is not None
    return found


async def begun(rt: plugward.Runtime, tool: str, **options: Any) -> asyncio.Future[plugward.Outcome]:
    """A call of a tool that has begun."""
    Begun.file.unlink(missing_ok=True)
    call = asyncio.ensure_future(rt.acall("p", tool, {"s": 1000}, **options))
    await until_async("it has begun", Begun.file.exists)
    return call


async def cancelled(rt: plugward.Runtime, tool: str, **options: Any) -> None:
    call = await begun(rt, tool, **options)
    assert not call.done(), call.result()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def settled(rt: plugward.Runtime, generation: int) -> dict[str, Any]:
    """Health, once nothing is under way in `generation`."""
    end = time.monotonic() + PATIENCE
    while True:
        now = health(rt)
        if (now["state"], now["in_flight"], now["generation"]) == ("INITIALIZED", 0, generation):
            return now
        assert time.monotonic() < end, now
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("tool", "note"),
    [("loop", "CallCancelled"), ("wait", "finally"), ("blocks", "CallCancelled"), ("cleans", "done")],
)
async def test_a_call_that_listens_ends_at_once(load: Load, tool: str, note: str) -> None:
    rt = load()
    since = time.monotonic()
    await cancelled(rt, tool)
    outcome = await rt.acall("p", "noted")
    assert (outcome.result, outcome.generation) == ({tool: note}, 1), outcome
    assert time.monotonic() - since < PATIENCE
    now = await settled(rt, 1)
    assert (now["error_count"], now["quarantined"]) == (0, False)


async def test_the_next_calls_on_its_thread_hear_nothing_of_it(load: Load) -> None:
    rt = load()
    for _ in range(30):
        call = asyncio.ensure_future(rt.acall("p", "loop", {"s": 0.05}))
        await asyncio.sleep(0.04)
        call.cancel()
        outcomes = [await rt.acall("p", "loop", {"s": 0.02}), await rt.acall("p", "echo", {"n": 1})]
        assert all(o.ok for o in outcomes), outcomes
    assert (await settled(rt, 1))["error_count"] == 0


@pytest.mark.parametrize("tool", ["deaf", "stubborn"])
@pytest.mark.parametrize("policy", ["on_failure", "never"])
async def test_a_call_that_does_not_listen_is_ended_by_force(load: Load, tool: str, policy: str) -> None:
    rt = load(restart=BUDGET | {"policy": policy})
    await cancelled(rt, tool)
    assert health(rt)["in_flight"] == 1, "it keeps its place until it has ended"
    now = await settled(rt, 2)
    assert (now["error_count"], now["quarantined"]) == (0, False)
    assert (await rt.acall("p", "echo", {"n": 1})).result == 1


async def test_ends_by_force_cost_nothing_of_the_budget(load: Load) -> None:
    rt = load(restart=BUDGET | {"max": 1}, spares=1)
    for generation in range(1, 11):
        await cancelled(rt, "deaf")
        now = await settled(rt, generation + 1)
    assert (now["error_count"], now["quarantined"]) == (0, False)
    # The one restart that it may have is still there.
    outcome = await rt.acall("p", "deaf", {"s": 1000}, deadline_ms=500)
    assert outcome.code == "PW-CALL-005"
    assert not (await settled(rt, 12))["quarantined"]


async def test_who_waits_behind_it_is_served_by_the_next_generation(load: Load) -> None:
    rt = load()
    call = await begun(rt, "deaf")
    waiting = [asyncio.ensure_future(rt.acall("p", "echo", {"n": n})) for n in range(5)]
    blocked = asyncio.ensure_future(asyncio.to_thread(rt.call, "p", "echo", {"n": 5}))
    await until_async("they wait", lambda: health(rt)["waiting"] == 6)
    call.cancel()
    outcomes = await asyncio.gather(*waiting, blocked)
    assert [o.result for o in outcomes] == list(range(6)), outcomes
    assert {o.generation for o in outcomes} == {2}


async def test_who_comes_while_the_next_generation_begins_waits_for_it(load: Load) -> None:
    rt = load()
    call = await begun(rt, "deaf")
    call.cancel()
    until, outcomes = time.monotonic() + PATIENCE, []
    while time.monotonic() < until and health(rt)["generation"] == 1:
        outcomes.append(asyncio.ensure_future(rt.acall("p", "echo", {"n": 1})))
        await asyncio.sleep(0.02)
    seen = await asyncio.gather(*outcomes)
    assert all(o.ok for o in seen), [o for o in seen if not o.ok]


async def test_a_sibling_is_never_harmed(load: Load, tmp_path: Path) -> None:
    rt = load(limits={"concurrency": 2})
    sibling = asyncio.ensure_future(rt.acall("p", "hold"))
    await cancelled(rt, "deaf")
    await asyncio.sleep(1.5)
    now = health(rt)
    assert (now["generation"], now["in_flight"]) == (1, 2)
    (tmp_path / "go").touch()
    outcome = await sibling
    assert (outcome.ok, outcome.generation) == (True, 1), outcome
    now = await settled(rt, 2)
    assert (now["error_count"], now["quarantined"]) == (0, False)


async def test_its_deadline_ends_it_beside_a_sibling_and_blames_nobody(load: Load) -> None:
    rt = load(limits={"concurrency": 2}, restart=BUDGET | {"max": 0})
    sibling = asyncio.ensure_future(rt.acall("p", "nap", {"s": 1000}))
    await cancelled(rt, "deaf", deadline_ms=5000)
    outcome = await sibling
    assert (outcome.code, outcome.effect) == ("PW-WORKER-014", "may_have_run"), outcome
    assert "a cancelled call of deaf would not end" in outcome.error
    now = await settled(rt, 2)
    assert (now["error_count"], now["quarantined"]) == (0, False)


async def test_a_deadline_before_the_grace_is_over_blames_nobody_either(load: Load) -> None:
    rt = load(restart=BUDGET | {"max": 0})
    for generation in (2, 3, 4):
        await cancelled(rt, "deaf", deadline_ms=1000)
        assert not (await settled(rt, generation))["quarantined"]


async def test_a_storm_of_timeouts_leaves_nothing_behind(load: Load) -> None:
    rt = load(limits={"concurrency": 4, "queue": 200})

    async def impatient(n: int) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(rt.acall("p", ("loop", "wait")[n % 2], {"s": 1000}), 0.3 + n % 10 / 50)

    await asyncio.gather(*(impatient(n) for n in range(200)))
    now = await settled(rt, 1)
    assert (now["error_count"], now["quarantined"]) == (0, False)
    assert (await rt.acall("p", "echo", {"n": 1})).result == 1


def test_a_callback_that_raises_ends_a_blocking_call_that_listens_to_nothing_else(load: Load, tmp_path: Path) -> None:
    source = PLUGIN.replace(
        "def deaf(self, s):\n        begun()\n        time.sleep(s)",
        "def deaf(self, s, progress_callback): progress_callback(1, 2); time.sleep(s)",
    )
    rt = load()
    (tmp_path / "p.py").write_text(source)
    assert rt.restart("p").ok

    def enough(*_: int) -> None:
        raise ValueError("enough")

    since = time.monotonic()
    outcome = rt.call("p", "deaf", {"s": 1000}, progress=enough)
    assert (outcome.code, outcome.effect) in (("PW-WORKER-014", "may_have_run"), ("PW-CALL-013", "may_have_run"))
    assert time.monotonic() - since < PATIENCE
    assert rt.call("p", "echo", {"n": 1}).ok


@pytest.mark.parametrize("tool", ["loop", "wait"])
async def test_a_thread_is_given_back(load: Load, tool: str) -> None:
    rt = load(isolation="thread")
    await cancelled(rt, tool)
    await until_async("it is given back", lambda: health(rt)["abandoned_threads"] == 0)
    outcome = await rt.acall("p", "noted")
    assert outcome.result == {"loop": {"loop": "CallCancelled"}, "wait": {"wait": "finally"}}[tool]
    now = health(rt)
    assert (now["abandoned_threads"], now["state"], now["generation"]) == (0, "INITIALIZED", 1)


async def test_a_client_that_leaves_ends_its_call(load: Load) -> None:
    rt = load()
    app = FastAPI()
    app.include_router(tools_router(rt))
    messages: asyncio.Queue[Any] = asyncio.Queue()
    body = json.dumps({"args": {"s": 1000}}).encode()
    messages.put_nowait({"type": "http.request", "body": body, "more_body": False})
    scope = {
        "type": "http", "method": "POST", "path": "/v1/plugins/p/tools/loop/run", "raw_path": b"", "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "http_version": "1.1", "scheme": "http",
        "server": ("host", 80), "client": ("client", 1), "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip

    async def send(_message: Any) -> None:
        pass

    served = asyncio.ensure_future(app(scope, messages.get, send))
    await until_async("it has begun", Begun.file.exists)
    assert health(rt)["in_flight"] == 1
    messages.put_nowait({"type": "http.disconnect"})
    await asyncio.wait_for(served, PATIENCE)
    await settled(rt, 1)
    assert (await rt.acall("p", "noted")).result == {"loop": "CallCancelled"}
