"""Plugward: plugins may raise, hang or crash, the host gets a structured answer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from plugward._errors import CATALOGUE, CatalogueEntry, Code
from plugward._native import LoadReport, Outcome, __version__, describe_permissions
from plugward._runtime import Runtime, default_runtime
from plugward.context import Context
from plugward.errors import CallCancelled, DeadlineExceeded, InvalidInput, PluginCallError, PlugwardError
from plugward.tool import Plugin, tool

if TYPE_CHECKING:
    from plugward.check import DependencyChecker
    from plugward.health import PluginHealthResponse
    from plugward.lease import Lease
    from plugward.lifecycle import PluginLifecycleManager, PluginLifecycleState
    from plugward.registry import PluginRegistry
    from plugward.runner import ToolRunner
    from plugward.sandbox import PluginSandboxResult, PluginSandboxRunner, run_plugin_sandboxed

__all__ = [
    "CATALOGUE",
    "CallCancelled",
    "CatalogueEntry",
    "Code",
    "Context",
    "DeadlineExceeded",
    "DependencyChecker",
    "InvalidInput",
    "Lease",
    "LoadReport",
    "Outcome",
    "Plugin",
    "PluginCallError",
    "PluginHealthResponse",
    "PluginLifecycleManager",
    "PluginLifecycleState",
    "PluginRegistry",
    "PluginSandboxResult",
    "PluginSandboxRunner",
    "PlugwardError",
    "Runtime",
    "ToolRunner",
    "__version__",
    "default_runtime",
    "describe_permissions",
    "run_plugin_sandboxed",
    "tool",
]

_LATER = {
    "DependencyChecker": "check",
    "Lease": "lease",
    "PluginHealthResponse": "health",
    "PluginLifecycleManager": "lifecycle",
    "PluginLifecycleState": "lifecycle",
    "PluginRegistry": "registry",
    "PluginSandboxResult": "sandbox",
    "PluginSandboxRunner": "sandbox",
    "ToolRunner": "runner",
    "run_plugin_sandboxed": "sandbox",
}
"""Names whose modules are imported when they are first asked for: pydantic alone takes longer than all the rest."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
