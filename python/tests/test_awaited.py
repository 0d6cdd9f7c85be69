"""Awaited calls of worker processes: no thread each, whatever becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import plugward
from python.tests.patience import PATIENCE, until_async

PLUGIN = """
import os, time

class Plugin:
    name = "slow"

    def __init__(self):
        self.tools = {name: getattr(self, name) for name in ("nap", "hold", "echo", "crash", "touch", "count")}

    def nap(self, s): time.sleep(s); return os.getpid()
    def hold(self, pipe):
        # Until the writer of the pipe closes it; hears nothing meanwhile, not even between two system calls.
        file = None
        while True:
            try:
                file = file or open(pipe)
                file.read()
                return os.getpid()
            # Told just when it had opened it, it lost it again: its name is gone before its writer is.
            except FileNotFoundError: return os.getpid()
            except BaseException: pass
    def echo(self, n): return n
    def crash(self, s): time.sleep(s); os.abort()
    def touch(self, s, name):
        time.sleep(s)
        open(os.path.join(os.environ["TMPDIR"], name), "w").close()
        return os.listdir(os.environ["TMPDIR"])
    def count(self, to, progress_callback=None):
        for n in range(to):
            if progress_callback: progress_callback(n + 1, to)
            time.sleep(0.01)
        return to
"""

Load = Callable[..., plugward.Runtime]


def held(what: str) -> int:
    """How many threads (`task`) or descriptors (`fd`) this process has."""
    return sum(1 for _ in Path("/proc/self", what).iterdir())


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    made = []

    def load(count: int = 1, **limits: Any) -> plugward.Runtime:
        rt = plugward.Runtime(logging=False)
        made.append(rt)
        (tmp_path / "slow.py").write_text(PLUGIN)
        for n in range(count):
            manifest: dict[str, Any] = {
                "name": f"slow{n}",
                "kind": "python",
                "entrypoint": "slow.py:Plugin",
                "isolation": "process",
            }
            manifest |= {"restart": {"policy": "never"}, "limits": {"concurrency": 1, **limits}}
            path = tmp_path / f"slow{n}.json"
            path.write_text(json.dumps(manifest))
            (report,) = rt.load(str(path))
            assert report.ok, report.error
        return rt

    yield load
    for rt in made:
        rt.close()


class Held:
    """A call that runs until it is let go."""

    def __init__(self, rt: plugward.Runtime, pipe: Path, **options: Any) -> None:
        self.pipe, self.writer = pipe, -1
        os.mkfifo(pipe)
        self.call = asyncio.ensure_future(rt.acall("slow0", "hold", {"pipe": str(pipe)}, **options))

    async def begun(self) -> Held:
        await until_async("it has begun", self.opened)
        return self

    def opened(self) -> bool:
        """A pipe can be opened for writing once somebody reads it."""
        with contextlib.suppress(OSError):
            self.writer = os.open(self.pipe, os.O_WRONLY | os.O_NONBLOCK)
        return self.writer >= 0

    def let_go(self) -> None:
        self.pipe.unlink()
        os.close(self.writer)


def health(rt: plugward.Runtime) -> dict[str, Any]:
    found = rt.plugin_health("slow0")
    assert found is not None
    return found


async def test_a_thousand_awaited_calls_hold_no_thread_each(load: Load) -> None:
    rt = load(4, queue=1000)
    await rt.acall("slow0", "echo", {"n": 0})  # what the first call starts is there
    before = held("task")
    calls = [asyncio.ensure_future(rt.acall(f"slow{n % 4}", "nap", {"s": 0.001})) for n in range(1000)]
    most = before
    while not all(call.done() for call in calls):
        await asyncio.sleep(0.01)
        most = max(most, held("task"))
    outcomes = [call.result() for call in calls]
    assert all(outcome.ok for outcome in outcomes), next(o for o in outcomes if not o.ok)
    assert len({outcome.result for outcome in outcomes}) == 4
    assert most <= before + 2


async def test_the_queue_is_bounded_and_kept_in_order(load: Load, tmp_path: Path) -> None:
    rt = load(queue=3)
    first = await Held(rt, tmp_path / "first").begun()
    calls = [asyncio.ensure_future(rt.acall("slow0", "echo", {"n": n})) for n in range(5)]
    await until_async("two are refused", lambda: sum(call.done() for call in calls) >= 2)
    first.let_go()
    outcomes = await asyncio.gather(*calls)
    assert [o.result for o in outcomes[:3]] == [0, 1, 2]
    assert {o.code for o in outcomes[3:]} == {"PW-CALL-009"}
    assert [o.call_id for o in outcomes[:3]] == sorted(o.call_id for o in outcomes[:3])
    assert (await first.call).ok


async def test_a_call_that_waits_too_long_for_its_turn(load: Load, tmp_path: Path) -> None:
    rt = load()
    first = await Held(rt, tmp_path / "first").begun()
    outcome = await rt.acall("slow0", "echo", {"n": 1}, deadline_ms=50)
    assert (outcome.code, outcome.effect) == ("PW-CALL-010", "not_started")
    first.let_go()
    assert (await first.call).ok


async def test_blocking_and_awaiting_callers_share_one_queue(load: Load) -> None:
    rt = load(queue=64)
    blocking = [asyncio.to_thread(rt.call, "slow0", "echo", {"n": n}) for n in range(10)]
    awaiting = [rt.acall("slow0", "echo", {"n": 100 + n}) for n in range(10)]
    outcomes = await asyncio.gather(*blocking, *awaiting)
    assert [o.result for o in outcomes] == [*range(10), *range(100, 110)]


async def test_a_worker_that_dies_is_told_to_all_who_await_it(load: Load) -> None:
    rt = load(2, concurrency=2)
    others = [asyncio.ensure_future(rt.acall("slow1", "nap", {"s": 0.2})) for _ in range(2)]
    doomed = asyncio.ensure_future(rt.acall("slow0", "nap", {"s": 600}))
    died = await rt.acall("slow0", "crash", {"s": 0.05})
    assert (died.code, "SIGABRT" in (died.error or "")) == ("PW-WORKER-004", True), died
    assert (await doomed).code == "PW-WORKER-004"
    assert all(o.ok for o in await asyncio.gather(*others))
    other = rt.plugin_health("slow1")
    assert other is not None
    assert (other["generation"], other["in_flight"]) == (1, 0)


async def test_the_deadline_ends_the_process(load: Load) -> None:
    rt = load()
    since = time.monotonic()
    outcome = await rt.acall("slow0", "nap", {"s": 600}, deadline_ms=500)
    assert outcome.code == "PW-CALL-005"
    assert "worker process was killed" in (outcome.error or "")
    assert time.monotonic() - since < PATIENCE


async def test_cancelling_a_waiting_call_withdraws_it(load: Load, tmp_path: Path) -> None:
    rt = load()
    first = await Held(rt, tmp_path / "first").begun()
    second = asyncio.ensure_future(rt.acall("slow0", "touch", {"s": 0, "name": "cancelled"}))
    await until_async("it waits", lambda: health(rt)["waiting"] == 1)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    first.let_go()
    assert (await first.call).ok
    assert (await rt.acall("slow0", "touch", {"s": 0, "name": "kept"})).result == ["kept"]


async def test_cancelling_a_running_call_harms_no_sibling(load: Load, tmp_path: Path) -> None:
    rt = load(concurrency=2)
    sibling = await Held(rt, tmp_path / "sibling").begun()
    running = await Held(rt, tmp_path / "running").begun()
    running.call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running.call
    assert health(rt)["in_flight"] == 2, "it keeps its place until it has ended"
    running.let_go()
    assert (await rt.acall("slow0", "echo", {"n": 1})).result == 1, "and gives it back then"
    sibling.let_go()
    assert (await sibling.call).ok
    await until_async("both have ended", lambda: health(rt)["in_flight"] == 0)
    assert (health(rt)["generation"], health(rt)["state"]) == (1, "INITIALIZED")


async def test_a_cancelled_call_that_never_ends_is_ended_at_its_deadline_and_blames_nobody(
    load: Load, tmp_path: Path
) -> None:
    rt = load()
    # Its deadline comes before its grace is over, which is a second.
    held = await Held(rt, tmp_path / "held", deadline_ms=1000).begun()
    held.call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held.call
    outcome = await rt.acall("slow0", "echo", {"n": 1})
    held.let_go()
    assert (outcome.result, outcome.generation) == (1, 2), outcome
    now = health(rt)
    assert (now["error_count"], now["quarantined"], now["state"]) == (0, False, "INITIALIZED")


async def test_progress_comes_to_the_loops_thread(load: Load) -> None:
    rt = load()
    seen: list[tuple[int, int]] = []
    loop = asyncio.get_running_loop()

    def report(n: int, of: int) -> None:
        assert asyncio.get_running_loop() is loop
        seen.append((n, of))

    assert (await rt.acall("slow0", "count", {"to": 5}, progress=report)).result == 5
    assert seen == sorted(seen)
    assert set(seen) <= {(n, 5) for n in range(1, 6)}
    assert seen


@pytest.mark.parametrize("awaited", [True, False])
async def test_a_callback_that_raises_ends_the_call(load: Load, awaited: bool) -> None:
    rt = load()

    def enough(n: int, _of: int) -> None:
        if n >= 3:
            raise ValueError("enough")

    if awaited:
        outcome = await rt.acall("slow0", "count", {"to": 100_000}, progress=enough)
    else:
        outcome = await asyncio.to_thread(rt.call, "slow0", "count", {"to": 100_000}, progress=enough)
    assert outcome.code == "PW-CALL-013", outcome
    # A caller that blocked has left before the tool has.
    end = time.monotonic() + PATIENCE
    while (outcome := await rt.acall("slow0", "echo", {"n": 1}, deadline_ms=60_000)).code == "PW-CALL-009":
        assert time.monotonic() < end, outcome
        await asyncio.sleep(0.01)
    assert outcome.ok, outcome
    assert rt.state("slow0") == "INITIALIZED"


async def test_a_plugin_that_reports_hears_that_it_was_cancelled(load: Load) -> None:
    rt = load()
    call = asyncio.ensure_future(rt.acall("slow0", "count", {"to": 100_000}))
    await asyncio.sleep(0.1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    outcome = await rt.acall("slow0", "echo", {"n": 1}, deadline_ms=60_000)
    assert outcome.ok, "its place is free again long before it would have ended"


def test_each_loop_has_its_own_letters_and_leaves_nothing_behind(load: Load) -> None:
    rt = load()

    async def once() -> Any:
        return (await rt.acall("slow0", "echo", {"n": 1})).result

    async def leave() -> None:
        asyncio.ensure_future(rt.acall("slow0", "nap", {"s": 0.05}))  # noqa: RUF006
        await asyncio.sleep(0.01)

    assert asyncio.run(once()) == 1
    before = held("fd")
    for _ in range(20):
        asyncio.run(leave())
        assert asyncio.run(once()) == 1
    assert held("fd") <= before + 4


async def test_closing_ends_what_is_awaited(load: Load) -> None:
    rt = load(queue=8)
    calls = [asyncio.ensure_future(rt.acall("slow0", "nap", {"s": 600})) for _ in range(4)]
    await asyncio.sleep(0.1)
    rt.close()
    outcomes = await asyncio.wait_for(asyncio.gather(*calls), 60)
    assert not any(o.ok for o in outcomes)
