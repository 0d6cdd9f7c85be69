"""Calls on the runtime's threads: the caller is back at its deadline, whatever the plugin does."""

import contextvars
import gc
import threading
import time
from typing import Any

import pytest

import plugward
from plugward import Runtime
from python.tests.patience import PATIENCE

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def host(runtime: Runtime, function: Any, **options: Any) -> None:
    report = runtime.add_host("p", {"t": function}, isolation="thread", **{"deadline_ms": 60_000, **options})
    assert report.ok


def health(runtime: Runtime) -> dict[str, Any]:
    found = runtime.plugin_health("p")
    assert found is not None
    return found


def eventually(condition: Any, seconds: float = PATIENCE) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_it_runs_on_another_thread(runtime: Runtime) -> None:
    host(runtime, threading.get_ident)
    assert runtime.call("p", "t").result != threading.get_ident()


def test_the_caller_is_back_at_the_deadline_and_the_thread_is_counted(runtime: Runtime) -> None:
    release = threading.Event()
    host(runtime, lambda: bool(release.wait(PATIENCE)), deadline_ms=500)
    begun = time.monotonic()
    outcome = runtime.call("p", "t")
    assert 0.49 < time.monotonic() - begun < PATIENCE / 2
    assert (outcome.code, outcome.effect) == ("PW-CALL-005", "may_have_run")
    assert health(runtime)["state"] == "FAILED"
    assert health(runtime)["abandoned_threads"] == 1
    release.set()
    assert eventually(lambda: health(runtime)["abandoned_threads"] == 0)
    assert health(runtime)["late_results"] == 1
    assert health(runtime)["success_count"] == 0


def test_an_abandoned_python_loop_ends(runtime: Runtime) -> None:
    ended = threading.Event()

    def spin() -> None:
        try:
            while True:
                pass
        finally:
            ended.set()

    host(runtime, spin, deadline_ms=500)
    assert runtime.call("p", "t").code == "PW-CALL-005"
    assert ended.wait(PATIENCE)
    assert eventually(lambda: health(runtime)["abandoned_threads"] == 0)


def test_an_abandoned_thread_is_usable_again_after_a_restart(runtime: Runtime) -> None:
    release = threading.Event()
    stuck = [True]
    host(runtime, lambda: release.wait(PATIENCE) if stuck[0] else "new", deadline_ms=500, concurrency=1)
    assert not runtime.call("p", "t").ok
    stuck[0] = False
    assert runtime.restart("p").ok
    assert health(runtime)["abandoned_threads"] == 1
    assert runtime.call("p", "t", deadline_ms=30_000).result == "new"
    release.set()
    assert eventually(lambda: health(runtime)["abandoned_threads"] == 0)


def test_calls_after_an_abandoned_one_are_not_disturbed(runtime: Runtime) -> None:
    """The interrupt is meant for one call; the thread's next call must not get it."""
    host(runtime, lambda seconds: time.sleep(seconds) or seconds, concurrency=1, fails_on="crash")
    for _ in range(30):
        outcome = runtime.call("p", "t", {"seconds": 0.004}, deadline_ms=3.9)
        if not outcome.ok:
            assert runtime.restart("p").ok
        assert runtime.call("p", "t", {"seconds": 0.0}, deadline_ms=30_000).ok


def test_a_call_that_never_had_its_turn_was_not_started(runtime: Runtime) -> None:
    release = threading.Event()
    host(runtime, lambda: release.wait(PATIENCE), concurrency=1)
    first = threading.Thread(target=runtime.call, args=("p", "t"))
    first.start()
    assert eventually(lambda: health(runtime)["in_flight"] == 1)
    outcome = runtime.call("p", "t", deadline_ms=50)
    assert (outcome.code, outcome.effect, outcome.retryable) == ("PW-CALL-010", "not_started", True)
    release.set()
    first.join()
    assert health(runtime)["state"] == "INITIALIZED"


def test_context_variables_are_the_callers(runtime: Runtime) -> None:
    def look() -> str:
        seen = variable.get()
        variable.set("changed by the plugin")
        return seen

    host(runtime, look)
    token = variable.set("from the caller")
    assert runtime.call("p", "t").result == "from the caller"
    assert variable.get() == "from the caller"
    variable.reset(token)


@pytest.mark.parametrize("how", ["option", "argument"])
def test_progress_is_reported_on_the_callers_thread(runtime: Runtime, how: str) -> None:
    seen: list[tuple[int, int, int]] = []

    def report(current: int, total: int) -> str:
        seen.append((current, total, threading.get_ident()))
        return f"seen {current}"

    def work(progress_callback: Any = None) -> list[str]:
        return [progress_callback(n, 3) for n in range(3)]

    host(runtime, work)
    if how == "option":
        outcome = runtime.call("p", "t", progress=report)
    else:
        outcome = runtime.call("p", "t", {"progress_callback": report})
    assert outcome.result == ["seen 0", "seen 1", "seen 2"]
    assert seen == [(n, 3, threading.get_ident()) for n in range(3)]


def test_what_a_callback_raises_goes_to_the_plugin(runtime: Runtime) -> None:
    def report() -> None:
        raise KeyError("stop")

    def work(progress_callback: Any) -> str:
        try:
            progress_callback()
        except KeyError as error:
            return f"told {error}"
        return "not told"

    host(runtime, work)
    assert runtime.call("p", "t", progress=report).result == "told 'stop'"


def test_a_plugin_that_reports_for_ever_is_cut_at_its_deadline(runtime: Runtime) -> None:
    def work(progress_callback: Any) -> None:
        while True:
            progress_callback()

    host(runtime, work, deadline_ms=500)
    begun = time.monotonic()
    assert runtime.call("p", "t", progress=lambda: None).code == "PW-CALL-005"
    assert time.monotonic() - begun < PATIENCE
    assert eventually(lambda: health(runtime)["abandoned_threads"] == 0)


def test_progress_for_a_tool_that_takes_none_is_left_out(runtime: Runtime) -> None:
    host(runtime, lambda: "ok")
    assert runtime.call("p", "t", progress=print).result == "ok"


def test_unloading_ends_calls_that_wait(runtime: Runtime) -> None:
    release = threading.Event()
    host(runtime, lambda: release.wait(PATIENCE), concurrency=1)
    outcomes: list[plugward.Outcome] = []
    threads = [threading.Thread(target=lambda: outcomes.append(runtime.call("p", "t"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert eventually(lambda: health(runtime)["waiting"] == 2)
    runtime.unload("p")
    assert eventually(lambda: len(outcomes) == 2)
    release.set()
    for thread in threads:
        thread.join()
    assert all(not outcome.ok for outcome in outcomes)


def test_a_plugin_may_not_restart_itself_from_inside(runtime: Runtime) -> None:
    def restart() -> str:
        try:
            runtime.restart("p")
        except plugward.PlugwardError as error:
            return error.code
        return "restarted"

    host(runtime, restart)
    assert runtime.call("p", "t").result == "PW-RT-006"


def test_nothing_is_kept_of_a_call(runtime: Runtime) -> None:
    import weakref

    class Frame:
        pass

    host(runtime, lambda frame: None)
    frame = Frame()
    seen = weakref.ref(frame)
    assert runtime.call("p", "t", {"frame": frame}).ok
    del frame
    # What another thread let go of is freed when somebody next attaches to the interpreter.
    assert eventually(lambda: runtime.call("p", "t", {"frame": 1}).ok and gc.collect() >= 0 and seen() is None)


def test_many_callers(runtime: Runtime) -> None:
    host(runtime, lambda n: n * 2, concurrency=8, fails_on="crash")
    wrong: list[Any] = []

    def caller(first: int) -> None:
        for n in range(first, first + 200):
            outcome = runtime.call("p", "t", {"n": n})
            if outcome.result != n * 2:
                wrong.append(outcome)

    threads = [threading.Thread(target=caller, args=(k * 1000,)) for k in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert health(runtime)["success_count"] == 3200
