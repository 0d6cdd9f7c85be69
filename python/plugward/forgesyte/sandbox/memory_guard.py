"""Runs one tool and stops it when it takes too much memory, while it takes it.

The limit is for what the call adds to the process: what the host had before is not the tool's. A host that replaces
`get_memory_usage_bytes` says itself what counts; its readings are compared with the limit as they are.
In one process this is a net with holes (a C extension is stopped only when it returns to Python); the limit that
always holds is `limits.memory_mb` of a plugin in a process of its own.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._calls import say, tool_name
from ._threads import Stopped, interrupt, start
from .sandbox_runner import PluginSandboxResult, run_plugin_sandboxed

__all__ = [
    "DEFAULT_MEMORY_LIMIT_BYTES",
    "MemoryGuardResult",
    "check_memory_limit",
    "format_memory_bytes",
    "get_memory_usage_bytes",
    "run_with_memory_guard",
]

DEFAULT_MEMORY_LIMIT_BYTES = 1024**3
SAMPLE_SECONDS = 0.005
INTERPRETER_BYTES = 16 * 1024**2
"""Less than an empty interpreter takes: no call at all fits into such a limit."""

logger = logging.getLogger(__name__)


@dataclass
class MemoryGuardResult:
    """What came of one call. `peak_memory_bytes` is the highest reading while it ran."""

    ok: bool
    result: Any = None
    error: str | None = None
    error_type: str | None = None
    memory_exceeded: bool = False
    memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES
    peak_memory_bytes: int = 0


def get_memory_usage_bytes() -> int:
    """Resident memory of this process; 0 where the platform does not tell."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * _page_size()
    except (OSError, ValueError, IndexError):
        return _peak_of_the_platform()


@functools.cache
def _page_size() -> int:
    import resource

    return resource.getpagesize()


def _peak_of_the_platform() -> int:
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


_own_meter = get_memory_usage_bytes


def check_memory_limit(memory_limit_bytes: int | None = None) -> tuple[bool, int]:
    """Whether the process is within the limit now, and what it takes."""
    usage = get_memory_usage_bytes()
    return usage <= _limit(memory_limit_bytes), usage


def format_memory_bytes(n: float) -> str:
    """`"1.50 GB"`, `"2.00 MB"`, `"3.00 KB"`, `"12 B"`."""
    for unit, size in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if abs(n) >= size:
            return f"{n / size:.2f} {unit}"
    return f"{round(n)} B"


def run_with_memory_guard(
    tool_fn: Callable[..., Any], memory_limit_bytes: int | None = None, **kwargs: Any
) -> MemoryGuardResult:
    """Call `tool_fn(**kwargs)` on this thread, watched from another one. Never raises.

    Without `memory_limit_bytes` the module's `DEFAULT_MEMORY_LIMIT_BYTES` of that moment holds.
    """
    limit = _limit(memory_limit_bytes)
    watch = _Watch(limit)
    outcome = watch.run(functools.partial(tool_fn, **kwargs))
    if watch.exceeded:
        return MemoryGuardResult(False, None, watch.report(tool_fn), "MemoryLimitExceeded", True, limit, watch.peak)
    if outcome is None:  # an interruption by somebody else's guard: not this one's to explain
        raise Stopped
    out_of_memory = outcome.error_type == "MemoryError"
    return MemoryGuardResult(
        outcome.ok, outcome.result, outcome.error, outcome.error_type, out_of_memory, limit, watch.peak
    )


def _limit(given: int | None) -> int:
    return DEFAULT_MEMORY_LIMIT_BYTES if given is None else given


class _Watch:
    """Reads the meter while a tool runs, and interrupts the tool's thread when the limit is crossed."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.peak = 0
        self.exceeded = False
        self._before = 0
        self._thread_id = threading.get_ident()
        self._change = threading.Lock()
        self._over = threading.Event()
        self._interrupted = False
        self._read()
        if get_memory_usage_bytes is _own_meter and limit >= INTERPRETER_BYTES:
            self._before = self.peak
        self._judge()

    def run(self, tool_fn: Callable[[], Any]) -> PluginSandboxResult | None:
        """None where the tool was interrupted, or not begun because the limit was crossed before."""
        outcome: PluginSandboxResult | None = None
        begun = closed = self.exceeded
        while not closed:
            try:  # everything between start and close: nobody knows where an interruption arrives
                if not begun:
                    begun = True
                    start(self._watch)
                    outcome = run_plugin_sandboxed(tool_fn)
                closed = self._close()
            except Stopped:
                continue
        if self._read():
            self._judge()
        return outcome

    def report(self, tool_fn: object) -> str:
        used = format_memory_bytes(self.peak - self._before)
        text = f"Memory limit exceeded: {used} used, the limit is {format_memory_bytes(self.limit)}"
        say(logger, logging.ERROR, "Plugin tool %s: %s", tool_name(tool_fn), text)
        return text

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            if not self._read():
                return
            self._judge()
            if self.exceeded:
                self._stop()
                return

    def _read(self) -> bool:
        """Take a reading; False where the meter gives none."""
        try:
            self.peak = max(self.peak, get_memory_usage_bytes())
        except Exception:  # noqa: BLE001 - a meter of the host's; without readings there is nothing to compare
            return False
        return True

    def _judge(self) -> None:
        self.exceeded = self.exceeded or self.peak - self._before > self.limit

    def _stop(self) -> None:
        with self._change:
            if not self._over.is_set():
                self._interrupted = True
                interrupt(self._thread_id, Stopped)

    def _close(self) -> bool:
        """End the watch; an interruption that is still on its way to this thread is taken back."""
        with self._change:
            self._over.set()
            if self._interrupted:
                interrupt(self._thread_id, None)
        return True
