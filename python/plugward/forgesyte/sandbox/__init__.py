"""Running a plugin's tool so that the host only ever sees a result."""

from __future__ import annotations

from .memory_guard import (
    DEFAULT_MEMORY_LIMIT_BYTES,
    MemoryGuardResult,
    check_memory_limit,
    format_memory_bytes,
    get_memory_usage_bytes,
    run_with_memory_guard,
)
from .sandbox_runner import PluginSandboxResult, run_plugin_sandboxed
from .timeout import DEFAULT_TIMEOUT_SECONDS, TimeoutGuardResult, run_sandboxed_with_timeout, run_with_timeout

__all__ = [
    "DEFAULT_MEMORY_LIMIT_BYTES",
    "DEFAULT_TIMEOUT_SECONDS",
    "MemoryGuardResult",
    "PluginSandboxResult",
    "TimeoutGuardResult",
    "check_memory_limit",
    "format_memory_bytes",
    "get_memory_usage_bytes",
    "run_plugin_sandboxed",
    "run_sandboxed_with_timeout",
    "run_with_memory_guard",
    "run_with_timeout",
]
