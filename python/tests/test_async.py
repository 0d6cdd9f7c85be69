"""Coroutine tools, and calls that are awaited."""

import asyncio
import contextvars
import threading
import time
from typing import Any, ClassVar

import pytest

import plugward
from plugward import Runtime, ToolRunner
from python.tests.patience import PATIENCE, until_async

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
both = pytest.mark.parametrize("isolation", ["inline", "thread"])


async def double(n: int) -> int:
    await asyncio.sleep(0.001)
    return n * 2


async def forever() -> None:
    await asyncio.sleep(3600)


async def fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("after a step")


async def leave() -> None:
    raise SystemExit(4)


async def stubborn() -> None:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


TOOLS = {"double": double, "forever": forever, "fail": fail, "leave": leave}


@both
def test_a_coroutine_tool_from_plain_code(runtime: Runtime, isolation: Any) -> None:
    runtime.add_host("p", TOOLS, isolation=isolation, deadline_ms=20_000, fails_on="crash")
    assert runtime.call("p", "double", {"n": 4}).result == 8
    assert runtime.call("p", "fail").error == "after a step"
    assert runtime.call("p", "leave").code == "PW-CALL-011"
    assert runtime.call("p", "double", {"m": 4}).code == "PW-CALL-003"


@both
def test_its_deadline_from_plain_code(runtime: Runtime, isolation: Any) -> None:
    runtime.add_host("p", {**TOOLS, "stubborn": stubborn}, isolation=isolation)
    for tool in ("forever", "stubborn"):
        begun = time.monotonic()
        outcome = runtime.call("p", tool, deadline_ms=500)
        assert outcome.code == "PW-CALL-005"
        assert time.monotonic() - begun < PATIENCE
        runtime.restart("p")


class Clinging(asyncio.Task[None]):
    """Is slow to be cancelled, in Python code of the loop's own thread."""

    asked = 0

    def cancel(self, msg: Any = None) -> bool:
        Clinging.asked += 1
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            pass
        return super().cancel(msg)


def test_a_deadline_that_strikes_while_the_loop_is_closed_leaves_no_loop_open(runtime: Runtime) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def leaves_a_task() -> None:
        loops.append(asyncio.get_running_loop())
        loops[0].set_task_factory(lambda loop, it, **more: Clinging(it, loop=loop, **more))  # type: ignore[arg-type]
        loops.append(asyncio.create_task(asyncio.sleep(3600)))  # type: ignore[arg-type]
        await asyncio.sleep(0)

    Clinging.asked = 0
    runtime.add_host("p", {"leaves": leaves_a_task}, isolation="inline")
    outcome = runtime.call("p", "leaves", deadline_ms=2000)
    assert outcome.code == "PW-CALL-005"
    assert Clinging.asked == 1
    assert loops[0].is_closed()


class Slow(asyncio.SelectorEventLoop):
    """Takes its time to be made and to be closed, in Python code of its own."""

    made: ClassVar[list["Slow"]] = []
    moments: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        Slow.made.append(self)
        self.dawdle("made")

    def close(self) -> None:
        self.dawdle("closed")
        super().close()

    def dawdle(self, moment: str) -> None:
        until = time.monotonic() + 1
        while moment in Slow.moments and time.monotonic() < until:
            pass


@both
@pytest.mark.parametrize("moment", ["made", "closed"])
async def test_no_deadline_strikes_while_a_loop_is_made_or_closed(
    runtime: Runtime, isolation: Any, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.add_host("p", TOOLS, isolation=isolation)
    running, task = asyncio.get_running_loop(), asyncio.current_task()
    monkeypatch.setattr(asyncio, "new_event_loop", Slow)
    monkeypatch.setattr(Slow, "made", [])
    monkeypatch.setattr(Slow, "moments", (moment,))
    outcome = runtime.call("p", "double", {"n": 4}, deadline_ms=300)
    if isolation == "thread":  # its caller does not wait for what comes after the deadline
        await until_async("its loop is closed", lambda: Slow.made and Slow.made[0].is_closed())
    assert [loop.is_closed() for loop in Slow.made] == [True]
    assert (outcome.code, outcome.result) == (
        ("PW-CALL-005", None) if moment == "made" or isolation == "thread" else (None, 8)
    )
    assert (asyncio.get_running_loop(), asyncio.current_task()) == (running, task)


@both
async def test_a_coroutine_tool_from_plain_code_inside_a_loop(runtime: Runtime, isolation: Any) -> None:
    seen: list[int] = []

    async def where(progress_callback: Any) -> str:
        await asyncio.sleep(0)
        progress_callback()
        return variable.get()

    runtime.add_host("p", {"where": where}, isolation=isolation, deadline_ms=20_000)
    variable.set("the caller's")
    outcome = runtime.call("p", "where", progress=lambda: seen.append(threading.get_ident()))
    assert outcome.result == "the caller's"
    assert seen == [threading.get_ident()]
    await asyncio.sleep(0)  # the loop around it still runs


@both
async def test_an_awaited_coroutine_runs_on_this_loop(runtime: Runtime, isolation: Any) -> None:
    async def where() -> Any:
        return asyncio.get_running_loop(), threading.get_ident()

    runtime.add_host("p", {"where": where}, isolation=isolation, deadline_ms=20_000)
    outcome = await runtime.acall("p", "where")
    assert outcome.result == (asyncio.get_running_loop(), threading.get_ident())


@both
async def test_an_awaited_function_runs_on_a_thread(runtime: Runtime, isolation: Any) -> None:
    def where() -> Any:
        return threading.get_ident(), variable.get()

    runtime.add_host("p", {"where": where}, isolation=isolation, deadline_ms=20_000)
    variable.set("the caller's")
    thread, seen = (await runtime.acall("p", "where")).result
    assert thread != threading.get_ident()
    assert seen == "the caller's"


@both
@pytest.mark.parametrize("awaited", [True, False])
async def test_what_awaited_tools_raise(runtime: Runtime, isolation: Any, awaited: bool) -> None:
    def plain() -> None:
        raise ValueError("after a step")

    def exits() -> None:
        raise SystemExit(4)

    tools: dict[str, Any] = TOOLS if awaited else {"fail": plain, "leave": exits, "double": lambda n: n}
    runtime.add_host("p", tools, isolation=isolation, deadline_ms=20_000, fails_on="crash")
    assert (await runtime.acall("p", "fail")).error == "after a step"
    assert (await runtime.acall("p", "leave")).code == "PW-CALL-011"
    assert (await runtime.acall("p", "double", {"m": 4})).code == "PW-CALL-003"
    assert (await runtime.acall("p", "none")).code == "PW-REG-002"


@both
async def test_the_deadline_of_an_awaited_call(runtime: Runtime, isolation: Any) -> None:
    release = threading.Event()
    tools = {"forever": forever, "stubborn": stubborn, "block": lambda: release.wait(PATIENCE)}
    runtime.add_host("p", tools, isolation=isolation)
    effects = {}
    for tool in tools:
        begun = time.monotonic()
        outcome = await runtime.acall("p", tool, deadline_ms=500)
        assert outcome.code == "PW-CALL-005", (tool, outcome)
        assert time.monotonic() - begun < PATIENCE / 2
        effects[tool] = outcome.effect
        runtime.restart("p")
    assert effects == {"forever": "stopped", "stubborn": "may_have_run", "block": "may_have_run"}
    release.set()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.get_coro().close()  # type: ignore[union-attr]
        task._log_destroy_pending = False  # type: ignore[attr-defined]


async def test_a_coroutine_that_blocks_the_loop_is_interrupted(runtime: Runtime) -> None:
    async def block() -> None:
        await asyncio.sleep(0)
        while True:
            pass

    runtime.add_host("p", {"block": block}, isolation="inline", deadline_ms=500)
    begun = time.monotonic()
    outcome = await runtime.acall("p", "block")
    assert outcome.code == "PW-CALL-005"
    assert time.monotonic() - begun < PATIENCE


@both
async def test_cancelling_the_task_cancels_the_call(runtime: Runtime, isolation: Any, state: Any) -> None:
    begun, ended = threading.Event(), threading.Event()

    def spin() -> None:
        try:
            begun.set()
            while True:
                time.sleep(0.001)
        finally:
            ended.set()

    async def wait() -> None:
        try:
            begun.set()
            await asyncio.sleep(3600)
        finally:
            ended.set()

    runtime.add_host("p", {"spin": spin, "wait": wait}, isolation=isolation, deadline_ms=60_000)
    for tool in ("spin", "wait"):
        begun.clear()
        ended.clear()
        task = asyncio.ensure_future(runtime.acall("p", tool))
        await until_async("it has begun", begun.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(ended.wait, PATIENCE)
        assert state("p") == "INITIALIZED"


async def test_progress_comes_to_the_loops_thread(runtime: Runtime) -> None:
    seen: list[tuple[int, int]] = []

    def work(progress_callback: Any) -> int:
        return sum(progress_callback(n) for n in range(3))

    def report(n: int) -> int:
        seen.append((n, threading.get_ident()))
        return n

    runtime.add_host("p", {"work": work}, isolation="thread", deadline_ms=20_000)
    assert (await runtime.acall("p", "work", progress=report)).result == 3
    assert (await runtime.acall("p", "work", {"progress_callback": report})).result == 3
    assert seen == [(n, threading.get_ident()) for n in range(3)] * 2


async def test_no_thread_is_held_per_waiting_call(runtime: Runtime) -> None:
    runtime.add_host("p", {"double": double}, isolation="inline")
    before = threading.active_count()
    calls = [asyncio.ensure_future(runtime.acall("p", "double", {"n": n})) for n in range(500)]
    await asyncio.sleep(0)
    assert threading.active_count() <= before + 1
    assert [outcome.result for outcome in await asyncio.gather(*calls)] == [n * 2 for n in range(500)]


async def test_a_full_plugin_is_waited_for(runtime: Runtime) -> None:
    runtime.add_host("p", {"double": double}, isolation="inline", concurrency=2)
    outcomes = await asyncio.gather(*(runtime.acall("p", "double", {"n": n}) for n in range(20)))
    assert [outcome.result for outcome in outcomes] == [n * 2 for n in range(20)]


async def test_the_queue_is_bounded(runtime: Runtime) -> None:
    manifest = {"limits": {"concurrency": 1, "queue": 2}, "isolation": "inline"}
    release = asyncio.Event()

    class Slow:
        async def run(self) -> None:
            await release.wait()

        tools = {"run": "run"}  # noqa: RUF012

    runtime.add_plugin(Slow, name="p", manifest=manifest)
    calls = [asyncio.ensure_future(runtime.acall("p", "run")) for _ in range(6)]
    await until_async("three are refused", lambda: sum(call.done() for call in calls) >= 3)
    release.set()
    assert [call.code for call in await asyncio.gather(*calls)].count("PW-CALL-009") == 3
    release.clear()
    first = asyncio.ensure_future(runtime.acall("p", "run"))
    await asyncio.sleep(0)
    assert (await runtime.acall("p", "run", deadline_ms=20)).code == "PW-CALL-010"
    release.set()
    assert (await first).ok


async def test_the_runner_awaits(runtime: Runtime) -> None:
    runtime.add_host("p", {"double": double})
    answer = await ToolRunner(runtime).arun_tool("p", "double", n=3)
    assert answer["ok"] is True
    assert answer["result"] == 6


async def test_a_late_result_is_refused(runtime: Runtime) -> None:
    runtime.add_host("p", {"double": double})
    task = asyncio.ensure_future(runtime.acall("p", "double", {"n": 1}))
    await asyncio.sleep(0)
    runtime.restart("p")
    outcome: plugward.Outcome = await task
    assert outcome.code == "PW-LIFE-002"
