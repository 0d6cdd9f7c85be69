"""Runs one tool so that whatever it raises becomes a result."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from plugward import _native

from ._calls import call, say, tool_name
from ._threads import Stopped

__all__ = ["PluginSandboxResult", "run_plugin_sandboxed"]

logger = logging.getLogger(__name__)


class _Answer(dict[str, Any]):
    """A plain dict to print and to send; what it leaves out (`error` of a success) is there when it is asked for."""

    def __init__(self, whole: PluginSandboxResult, **shown: Any) -> None:
        super().__init__(shown)
        self._whole = whole

    def __missing__(self, key: str) -> Any:
        if key not in PluginSandboxResult.__dataclass_fields__:
            raise KeyError(key)
        return getattr(self._whole, key)


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
        answer = _Answer(self, ok=self.ok)
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
    result, raised, text, kind, elapsed_ms = _native.run_sandboxed(call, (tool_fn, args, kwargs))
    if raised is None:
        return PluginSandboxResult(True, result, execution_time_ms=elapsed_ms)
    if isinstance(raised, Stopped):
        raise raised  # not the tool's: the caller of this very call waits no more
    return _failure(tool_fn, raised, text or "", kind or type(raised).__name__, elapsed_ms)


def _failure(tool_fn: object, raised: BaseException, text: str, kind: str, elapsed_ms: float) -> PluginSandboxResult:
    """Log what a tool raised, with its traceback, and give the result that says so."""
    trace = _native.describe_exception(raised)
    say(logger, logging.ERROR, "Plugin tool %s failed: %s: %s\n%s", tool_name(tool_fn), kind, text, trace.rstrip())
    return PluginSandboxResult(False, None, text, kind, elapsed_ms, trace)
