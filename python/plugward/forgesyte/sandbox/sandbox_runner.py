"""Runs one tool so that whatever it raises becomes a result."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from ._calls import call, error_text, say, tool_name, traceback_text
from ._threads import Stopped

__all__ = ["PluginSandboxResult", "run_plugin_sandboxed"]

logger = logging.getLogger(__name__)


class _Answer(dict[str, Any]):
    """A plain dict; the fields of the other case (`error` of a success) are None when they are asked for."""

    def __missing__(self, key: str) -> None:
        if key not in PluginSandboxResult.__dataclass_fields__:
            raise KeyError(key)


@dataclass
class PluginSandboxResult:
    """What came of one call. `error` is exactly `str(exception)`, `error_type` its class name."""

    ok: bool
    result: Any = None
    error: str | None = None
    error_type: str | None = None
    execution_time_ms: float | None = None
    traceback: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """`{ok, result}` or `{ok, error, error_type}`, with the time it took. The traceback stays in the log."""
        answer = _Answer(ok=self.ok)
        if self.ok:
            answer["result"] = self.result
        else:
            answer["error"] = self.error
            answer["error_type"] = self.error_type
        if self.execution_time_ms is not None:
            answer["execution_time_ms"] = self.execution_time_ms
        return answer


def run_plugin_sandboxed(
    tool_fn: Callable[..., Any],
    *args: Any,
    frame_base64: str | None = None,
    device: str | None = None,
    annotated: bool | None = None,
    **kwargs: Any,
) -> PluginSandboxResult:
    """Call `tool_fn` on this thread and never raise: SystemExit and KeyboardInterrupt are results too.

    Args:
        tool_fn: any callable, `async` or not.
        args: its positional arguments.
        frame_base64: reaches the tool as `frame`, where given.
        device: reaches the tool, where given.
        annotated: reaches the tool, where given.
        kwargs: its other arguments.
    """
    if frame_base64 is not None:
        kwargs["frame"] = frame_base64
    if device is not None:
        kwargs["device"] = device
    if annotated is not None:
        kwargs["annotated"] = annotated
    begun = perf_counter()
    try:
        result = call(tool_fn, args, kwargs)
    except Stopped:
        raise  # not the tool's: the caller of this very call waits no more
    except BaseException as error:  # noqa: BLE001 - to contain everything is what a sandbox is for
        return failure(tool_fn, error, (perf_counter() - begun) * 1e3)
    return PluginSandboxResult(True, result, execution_time_ms=(perf_counter() - begun) * 1e3)


def failure(tool_fn: object, error: BaseException, elapsed_ms: float) -> PluginSandboxResult:
    """Log what a tool raised, with its traceback, and give the result that says so."""
    text, kind, trace = error_text(error), type(error).__name__, traceback_text(error)
    say(logger, logging.ERROR, "Plugin tool %s failed: %s: %s\n%s", tool_name(tool_fn), kind, text, trace.rstrip())
    return PluginSandboxResult(False, None, text, kind, elapsed_ms, trace)
