"""Runs one callable so that nothing it does leaves as an exception."""

from __future__ import annotations

import functools
import inspect
import itertools
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from plugward import _native
from plugward._runtime import Runtime

if TYPE_CHECKING:
    from plugward._native import Outcome

__all__ = ["PluginSandboxResult", "PluginSandboxRunner", "run_plugin_sandboxed"]


@dataclass(frozen=True)
class PluginSandboxResult:
    """What a callable came to."""

    ok: bool
    result: Any = None
    error: str | None = None
    error_type: str | None = None
    execution_time_ms: float = 0.0
    traceback: str | None = None
    code: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def of(cls, outcome: Outcome) -> PluginSandboxResult:
        """The result that an outcome means."""
        return cls(
            ok=outcome.ok,
            result=outcome.result,
            error=outcome.error,
            error_type=outcome.error_type,
            execution_time_ms=outcome.elapsed_ms,
            traceback=outcome.traceback,
            code=outcome.code,
        )


class PluginSandboxRunner:
    """Runs callables: on the caller's thread, or with a deadline that the caller can count on, on another one."""

    def __init__(self, *, deadline_ms: float | None = None) -> None:
        """Run without a deadline, or with one."""
        self.deadline_ms = deadline_ms

    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> PluginSandboxResult:
        """Run `function(*args, **kwargs)`."""
        if self.deadline_ms is None:
            return run_plugin_sandboxed(function, *args, **kwargs)
        return _run_threaded(function, args, kwargs, self.deadline_ms)


def run_plugin_sandboxed(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> PluginSandboxResult:
    """Run `function(*args, **kwargs)` on this thread; whatever it does is in the result."""
    if inspect.iscoroutinefunction(function):
        result, raised, error, kind, elapsed = _native.run_sandboxed(_complete, (function, args, kwargs))
    else:
        result, raised, error, kind, elapsed = _native.run_sandboxed(function, args, kwargs)
    if raised is None:
        return PluginSandboxResult(True, result, execution_time_ms=elapsed)
    return PluginSandboxResult(False, None, error, kind, elapsed, _native.describe_exception(raised))


def _complete(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from plugward._async import run_blocking

    return run_blocking(functools.partial(function, *args), kwargs)


def _run_threaded(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], deadline_ms: float
) -> PluginSandboxResult:
    """On a thread of its own; the plugin that it is for a moment is gone when the call is over."""
    runtime = _runtime()
    name = f"sandbox-{next(_numbers)}"
    runtime.add_host(name, {"call": functools.partial(function, *args)}, isolation="thread", fails_on="crash")
    try:
        return PluginSandboxResult.of(runtime.call(name, "call", kwargs, deadline_ms=deadline_ms))
    finally:
        runtime.unload(name)


_numbers = itertools.count(1)
_own: tuple[int, Runtime] | None = None


def _runtime() -> Runtime:
    """A runtime for callables that are nobody's plugin."""
    global _own
    known, pid = _own, os.getpid()
    if known is None or known[0] != pid:
        known = _own = (pid, Runtime(logging=False))
    return known[1]
