"""`run_plugin_sandboxed`: whatever a tool does, the host holds a result, and everything stays on its thread."""

import asyncio
import contextvars
import functools
import json
import logging
import sqlite3
import threading
from unittest.mock import AsyncMock, MagicMock

import numpy
import pydantic
import pytest

from plugward.forgesyte.sandbox import sandbox_runner
from plugward.forgesyte.sandbox.sandbox_runner import PluginSandboxResult, run_plugin_sandboxed


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise SystemExit(9)


class Answer(pydantic.BaseModel):
    score: float


def test_a_result_is_the_very_object() -> None:
    answer = Answer(score=0.5)
    outcome = run_plugin_sandboxed(lambda: answer)
    assert (outcome.ok, outcome.error, outcome.error_type, outcome.traceback) == (True, None, None, None)
    assert outcome.result is answer
    assert outcome.execution_time_ms is not None
    assert outcome.execution_time_ms >= 0
    assert run_plugin_sandboxed(lambda: numpy.float32(1.5)).result.dtype == numpy.float32


@pytest.mark.parametrize(
    ("error", "text", "kind"),
    [
        (ValueError("bad frame"), "bad frame", "ValueError"),
        (KeyError("frame"), "'frame'", "KeyError"),
        (RuntimeError(), "", "RuntimeError"),
        (ValueError("a", 1), "('a', 1)", "ValueError"),
        (SystemExit(3), "3", "SystemExit"),
        (KeyboardInterrupt(), "", "KeyboardInterrupt"),
        (GeneratorExit(), "", "GeneratorExit"),
        (MemoryError("no room"), "no room", "MemoryError"),
        (asyncio.CancelledError(), "", "CancelledError"),
    ],
)
def test_error_is_exactly_str_of_the_exception(error: BaseException, text: str, kind: str) -> None:
    outcome = run_plugin_sandboxed(MagicMock(side_effect=error))
    assert (outcome.ok, outcome.result, outcome.error, outcome.error_type) == (False, None, text, kind)
    assert kind in (outcome.traceback or "")


def test_an_exception_that_cannot_be_printed() -> None:
    outcome = run_plugin_sandboxed(MagicMock(side_effect=UnprintableError()))
    assert outcome.error_type == "UnprintableError"
    assert outcome.error == "<UnprintableError: its __str__ raised SystemExit>"


def test_a_deep_recursion_is_an_error_like_any_other() -> None:
    def deeper() -> None:
        deeper()

    outcome = run_plugin_sandboxed(deeper)
    assert outcome.error_type == "RecursionError"


def test_special_arguments_reach_the_tool() -> None:
    tool = MagicMock(return_value=1)
    run_plugin_sandboxed(tool, 7, frame_base64="aGk=", device="cuda", annotated=False, confidence=0.3)
    tool.assert_called_once_with(7, frame="aGk=", device="cuda", annotated=False, confidence=0.3)
    tool.reset_mock()
    run_plugin_sandboxed(tool)
    tool.assert_called_once_with()


def test_to_dict_has_both_cases() -> None:
    good = PluginSandboxResult(ok=True, result={"n": 1}).to_dict()
    assert good == {"ok": True, "result": {"n": 1}}
    assert good["error"] is None
    bad = PluginSandboxResult(ok=False, error="no", error_type="ValueError", traceback="secret").to_dict()
    assert bad == {"ok": False, "error": "no", "error_type": "ValueError"}
    assert json.loads(json.dumps(bad)) == bad, "the traceback is not sent"
    assert bad["traceback"] == "secret"
    with pytest.raises(KeyError):
        bad["nonsense"]


async def tool_with_a_pause(value: int) -> tuple[int, str]:
    await asyncio.sleep(0.001)
    return value, threading.current_thread().name


def test_an_async_tool_without_a_loop() -> None:
    assert run_plugin_sandboxed(tool_with_a_pause, 4).result == (4, threading.current_thread().name)


async def test_an_async_tool_inside_a_running_loop() -> None:
    task = asyncio.current_task()
    outcome = run_plugin_sandboxed(tool_with_a_pause, 5)
    assert outcome.result == (5, threading.current_thread().name)
    assert asyncio.get_running_loop() is not None
    assert asyncio.current_task() is task
    await asyncio.sleep(0)  # the loop goes on as if nothing had been


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(2), KeyboardInterrupt()])
async def test_an_async_tool_that_raises_inside_a_running_loop(error: BaseException) -> None:
    async def tool() -> None:
        await asyncio.sleep(0)
        raise error

    assert run_plugin_sandboxed(tool).error_type == type(error).__name__
    await asyncio.sleep(0)


def test_tasks_that_an_async_tool_leaves_behind_are_cancelled() -> None:
    seen = []

    async def forgotten() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def tool() -> str:
        tool.task = asyncio.ensure_future(forgotten())  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        return "done"

    assert run_plugin_sandboxed(tool).result == "done"
    assert seen == ["cancelled"]


def test_mocks_partials_and_objects_are_callables_too(caplog: pytest.LogCaptureFixture) -> None:
    class Tool:
        def __call__(self) -> None:
            raise ValueError("from an object")

    assert run_plugin_sandboxed(AsyncMock(return_value=3)).result == 3
    for tool in (Tool(), functools.partial(Tool()), MagicMock(side_effect=ValueError("x"))):
        assert run_plugin_sandboxed(tool).error_type == "ValueError"
    assert "Tool" in caplog.text


def test_what_is_no_callable_is_an_error() -> None:
    assert run_plugin_sandboxed(None).error_type == "TypeError"  # type: ignore[arg-type]


def test_progress_and_context_stay_on_the_callers_thread() -> None:
    request = contextvars.ContextVar("request", default="none")
    request.set("42")
    session = sqlite3.connect(":memory:")  # refuses every other thread
    session.execute("create table progress(current, total)")

    def tool(progress_callback: object) -> str:
        for current in range(3):
            progress_callback(current, 3)  # type: ignore[operator]
        return request.get()

    def on_progress(current: int, total: int) -> None:
        session.execute("insert into progress values (?, ?)", (current, total))

    assert run_plugin_sandboxed(tool, progress_callback=on_progress).result == "42"
    assert session.execute("select count(*) from progress").fetchone() == (3,)
    session.close()


def test_the_log_has_the_traceback_at_error_level(caplog: pytest.LogCaptureFixture) -> None:
    def detect_players() -> None:
        raise ValueError("bad frame")

    run_plugin_sandboxed(detect_players)
    (record,) = caplog.records
    assert (record.levelno, record.name) == (logging.ERROR, sandbox_runner.__name__)
    assert "detect_players" in caplog.text
    assert 'raise ValueError("bad frame")' in caplog.text


def test_a_log_handler_that_raises_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("disk full")

    handler = Broken()
    sandbox_runner.logger.addHandler(handler)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    try:
        assert run_plugin_sandboxed(MagicMock(side_effect=ValueError("x"))).error == "x"
    finally:
        sandbox_runner.logger.removeHandler(handler)
