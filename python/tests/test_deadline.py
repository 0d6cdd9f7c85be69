"""Deadlines on the caller's thread: what runs Python code is stopped, and nothing that comes after it is."""

import threading
import time
from typing import Any

import pytest

import plugward
from plugward import Runtime
from python.tests.patience import PATIENCE


def spin() -> None:
    while True:
        pass


def test_a_loop_is_stopped(runtime: Runtime, state: Any) -> None:
    runtime.add_host("p", {"spin": spin}, isolation="inline", deadline_ms=500)
    begun = time.monotonic()
    outcome = runtime.call("p", "spin")
    assert time.monotonic() - begun < PATIENCE
    assert outcome.code == "PW-CALL-005"
    assert outcome.error_type == "DeadlineExceeded"
    assert outcome.effect == "stopped"
    assert isinstance(outcome.exception, plugward.DeadlineExceeded)
    assert state("p") == "FAILED"


def test_except_exception_does_not_keep_a_call_alive(runtime: Runtime) -> None:
    def stubborn() -> None:
        while True:
            try:
                time.sleep(0.001)
            except Exception:
                continue

    runtime.add_host("p", {"t": stubborn}, isolation="inline", deadline_ms=500)
    assert runtime.call("p", "t").effect == "stopped"


def test_a_call_that_swallows_the_exception_gets_it_again(runtime: Runtime) -> None:
    swallowed = 0

    def swallow() -> None:
        nonlocal swallowed
        while swallowed < 3:
            try:
                while True:
                    time.sleep(0.001)
            except BaseException:
                swallowed += 1

    runtime.add_host("p", {"t": swallow}, isolation="inline", deadline_ms=500)
    outcome = runtime.call("p", "t")
    assert swallowed == 3
    assert outcome.code == "PW-CALL-005"
    assert "came back late" in str(outcome.error)
    assert outcome.effect == "completed"


def test_native_code_comes_back_late_and_its_result_is_discarded(runtime: Runtime) -> None:
    runtime.add_host("p", {"t": lambda: time.sleep(1)}, isolation="inline", deadline_ms=500)
    outcome = runtime.call("p", "t")
    assert outcome.code == "PW-CALL-005"
    assert outcome.result is None
    assert outcome.elapsed_ms >= 990


def test_the_shortest_word_wins(runtime: Runtime) -> None:
    runtime.add_host("p", {"t": spin}, isolation="inline", schemas={"t": {"deadline_ms": 30}}, deadline_ms=60_000)
    assert "30 ms" in str(runtime.call("p", "t").error)
    runtime.restart("p")
    assert "40 ms" in str(runtime.call("p", "t", deadline_ms=40).error)


def test_the_runtimes_default(state: Any) -> None:
    with Runtime(logging=False, default_deadline_ms=30) as runtime:
        runtime.add_host("p", {"t": spin}, isolation="inline")
        assert "30 ms" in str(runtime.call("p", "t").error)


def test_an_outer_deadline_reaches_through_an_inner_call(runtime: Runtime) -> None:
    inner: list[plugward.Outcome] = []

    def outer() -> None:
        inner.append(runtime.call("inner", "spin"))
        spin()

    runtime.add_host("inner", {"spin": spin}, isolation="inline")
    runtime.add_host("outer", {"t": outer}, isolation="inline", deadline_ms=500)
    begun = time.monotonic()
    outcome = runtime.call("outer", "t")
    assert time.monotonic() - begun < PATIENCE
    assert outcome.code == "PW-CALL-005"
    assert inner[0].code == "PW-CALL-013"
    health = runtime.plugin_health("inner")
    assert health is not None
    assert health["state"] == "INITIALIZED"


def test_an_inner_deadline_leaves_the_outer_call_alone(runtime: Runtime) -> None:
    runtime.add_host("inner", {"spin": spin}, isolation="inline", deadline_ms=30)
    runtime.add_host("outer", {"t": lambda: runtime.call("inner", "spin").code}, isolation="inline", deadline_ms=20_000)
    assert runtime.call("outer", "t").result == "PW-CALL-005"


def test_another_thread_is_not_touched(runtime: Runtime) -> None:
    """While one thread is stopped again and again, another one runs undisturbed."""
    runtime.add_host("p", {"spin": spin}, isolation="inline", deadline_ms=5, fails_on="crash")
    ended = threading.Event()
    strays: list[BaseException] = []

    def bystander() -> None:
        try:
            while not ended.is_set():
                sum(range(100))
        except BaseException as error:
            strays.append(error)

    thread = threading.Thread(target=bystander)
    thread.start()
    for _ in range(20):
        assert runtime.call("p", "spin").code == "PW-CALL-005"
        runtime.restart("p")
    ended.set()
    thread.join()
    assert not strays


def busy(until: float) -> int:
    """Run Python code until a moment of the monotonic clock."""
    turns = 0
    while time.perf_counter() < until:
        turns += 1
    return turns


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_exception_ever_reaches_the_code_after_a_call() -> None:
    """A hundred thousand calls that end at about the moment of their deadline, on four threads."""
    calls, threads = 25_000, 4
    strays: list[BaseException] = []
    seen = {"ok": 0, "late": 0}

    def hammer(runtime: Runtime, name: str) -> None:
        for number in range(calls):
            length = 2e-5 + (number % 16) * 1e-5
            try:
                outcome = runtime.call(name, "busy", {"until": time.perf_counter() + length}, deadline_ms=0.1)
                # Code of the host: an exception that comes too late is raised in here.
                for _ in range(20):
                    pass
            except BaseException as error:
                strays.append(error)
                return
            if outcome.ok:
                seen["ok"] += 1
                continue
            if outcome.code == "PW-CALL-005":
                seen["late"] += 1
            runtime.restart(name)

    with Runtime(logging=False) as runtime:
        workers = []
        for number in range(threads):
            name = f"p{number}"
            runtime.add_host(name, {"busy": busy}, isolation="inline")
            workers.append(threading.Thread(target=hammer, args=(runtime, name)))
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert not strays, strays[0]
    assert seen["ok"] > 100
    assert seen["late"] > 100
