"""Runs one tool and is back at the timeout, whether or not the tool is."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._calls import say, tool_name
from ._threads import start
from .sandbox_runner import PluginSandboxResult, run_plugin_sandboxed

__all__ = ["DEFAULT_TIMEOUT_SECONDS", "TimeoutGuardResult", "run_sandboxed_with_timeout", "run_with_timeout"]

DEFAULT_TIMEOUT_SECONDS = 60.0

logger = logging.getLogger(__name__)


@dataclass
class TimeoutGuardResult:
    """What came of one call; `timed_out` tells the guard's timeout from a TimeoutError of the tool's own."""

    ok: bool
    result: Any = None
    error: str | None = None
    error_type: str | None = None
    timed_out: bool = False
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS


def run_with_timeout(
    tool_fn: Callable[..., Any], timeout_seconds: float | None = None, **kwargs: Any
) -> TimeoutGuardResult:
    """Call `tool_fn(**kwargs)` on a thread of its own and wait at most `timeout_seconds` for it. Never raises.

    A tool that overstays is interrupted where Python can do that, and left alone on its daemon thread where not.
    Without `timeout_seconds` the module's `DEFAULT_TIMEOUT_SECONDS` of that moment holds.
    """
    seconds = DEFAULT_TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds
    outcome = _run(functools.partial(run_plugin_sandboxed, functools.partial(tool_fn, **kwargs)), seconds)
    if outcome is None:
        return TimeoutGuardResult(False, None, _overstayed(tool_fn, seconds), "TimeoutError", True, seconds)
    return TimeoutGuardResult(outcome.ok, outcome.result, outcome.error, outcome.error_type, False, seconds)


def run_sandboxed_with_timeout(
    tool_fn: Callable[..., Any], timeout_seconds: float | None = None, **kwargs: Any
) -> PluginSandboxResult:
    """`run_plugin_sandboxed` with a timeout, after which the result is an error of type ``TimeoutError``."""
    seconds = DEFAULT_TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds
    outcome = _run(functools.partial(run_plugin_sandboxed, tool_fn, **kwargs), seconds)
    if outcome is None:
        return PluginSandboxResult(False, None, _overstayed(tool_fn, seconds), "TimeoutError", seconds * 1e3)
    return outcome


def _run(work: Callable[[], PluginSandboxResult], seconds: float) -> PluginSandboxResult | None:
    """Its result, or None where it did not end in time."""
    job = start(work)
    if not job.wait(seconds) and job.abandon():
        return None
    return job.result()


def _overstayed(tool_fn: object, seconds: float) -> str:
    text = f"Tool execution timed out: it exceeded its timeout of {seconds:g} seconds"
    say(logger, logging.ERROR, "Plugin tool %s: %s", tool_name(tool_fn), text)
    return text
