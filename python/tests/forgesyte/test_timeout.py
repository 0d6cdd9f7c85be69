"""`run_with_timeout`: back at the timeout, whatever the tool does."""

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Callable
from unittest.mock import MagicMock

import pytest

from plugward.forgesyte.sandbox import timeout
from plugward.forgesyte.sandbox.timeout import (
    DEFAULT_TIMEOUT_SECONDS,
    run_sandboxed_with_timeout,
    run_with_timeout,
)

PATIENCE = 20.0
"""Much longer than any timeout here, much shorter than the tools run."""


def spins() -> None:
    until = time.monotonic() + 10 * PATIENCE
    while time.monotonic() < until:
        pass


def sleeps() -> None:
    time.sleep(10 * PATIENCE)


async def waits() -> None:
    await asyncio.sleep(10 * PATIENCE)


@pytest.mark.parametrize("tool", [spins, sleeps, waits])
def test_back_at_the_timeout(tool: Callable[[], None]) -> None:
    begun = time.monotonic()
    outcome = run_with_timeout(tool, 0.05)
    assert time.monotonic() - begun < PATIENCE
    assert (outcome.ok, outcome.timed_out, outcome.error_type, outcome.timeout_seconds) == (
        False,
        True,
        "TimeoutError",
        0.05,
    )
    assert "timed out" in (outcome.error or "")


def test_a_tool_in_python_is_stopped_and_its_thread_ends() -> None:
    alive: list[threading.Thread] = []

    def tool() -> None:
        alive.append(threading.current_thread())
        spins()

    assert run_with_timeout(tool, timeout_seconds=0.1).timed_out
    alive[0].join(PATIENCE)
    assert not alive[0].is_alive()
    assert alive[0].daemon


def test_no_except_exception_swallows_the_stop() -> None:
    stopped = threading.Event()

    def tool() -> None:
        try:
            while True:
                try:
                    time.sleep(0.001)
                except Exception:
                    continue
        finally:
            stopped.set()

    assert run_with_timeout(tool, timeout_seconds=0.1).timed_out
    assert stopped.wait(PATIENCE)


def test_results_and_errors_come_through() -> None:
    good = run_with_timeout(lambda a, b: a + b, 60.0, a=1, b=2)
    assert (good.ok, good.result, good.timed_out) == (True, 3, False)
    bad = run_with_timeout(MagicMock(side_effect=SystemExit(4)), 60.0)
    assert (bad.ok, bad.error, bad.error_type, bad.timed_out) == (False, "4", "SystemExit", False)
    own = run_with_timeout(MagicMock(side_effect=TimeoutError("my own")), 60.0)
    assert (own.error, own.error_type, own.timed_out) == ("my own", "TimeoutError", False)


def test_keyword_arguments_reach_the_tool_unchanged() -> None:
    tool = MagicMock(return_value=1)
    run_with_timeout(tool, 60.0, frame_base64="aGk=", device=None)
    tool.assert_called_once_with(frame_base64="aGk=", device=None)


def test_the_sandboxed_form_gives_a_sandbox_result() -> None:
    tool = MagicMock(return_value="seen")
    good = run_sandboxed_with_timeout(tool, timeout_seconds=60.0, frame_base64="aGk=")
    assert (good.ok, good.result) == (True, "seen")
    tool.assert_called_once_with(frame="aGk=")
    late = run_sandboxed_with_timeout(sleeps, timeout_seconds=0.05)
    assert (late.ok, late.error_type) == (False, "TimeoutError")
    assert late.to_dict()["ok"] is False


def test_the_default_is_looked_up_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DEFAULT_TIMEOUT_SECONDS == 60.0
    assert run_with_timeout(lambda: 1).timeout_seconds == 60.0
    monkeypatch.setattr(timeout, "DEFAULT_TIMEOUT_SECONDS", 0.05)
    assert run_with_timeout(sleeps).timed_out


def test_the_callers_context_is_visible() -> None:
    request = contextvars.ContextVar("request", default="none")
    request.set("42")
    assert run_with_timeout(request.get).result == "42"


async def test_inside_a_running_loop() -> None:
    async def tool() -> str:
        await asyncio.sleep(0)
        return "done"

    assert run_with_timeout(tool, 60.0).result == "done"


def test_many_at_once_and_no_stray_interruption(caplog: pytest.LogCaptureFixture) -> None:
    """Tools that end just when their time does: each is either in time or not, and no other call is hit."""
    caplog.set_level(logging.CRITICAL)
    odd: list[object] = []

    def caller() -> None:
        for _ in range(60):
            outcome = run_with_timeout(edge, 0.002)
            if not (outcome.timed_out or outcome.result == "edge"):
                odd.append(outcome)
            steady = run_with_timeout(lambda: "steady", 30.0)
            if steady.result != "steady":
                odd.append(steady)

    def edge() -> str:
        time.sleep(0.002)
        return "edge"

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(50)
    assert odd == []
