"""A drop-in for a FastAPI plugin host: the module names it imports, each a thin view of the real API.

One module per original, so that one line is the whole migration::

    import plugward.forgesyte
    plugward.forgesyte.alias("app.plugins")        # before the first import of app.plugins.*

or, module by module, ``sys.modules["app.plugins.sandbox"] = plugward.forgesyte.sandbox``. Nothing here is imported
before it is used. ``docs/migrate-forgesyte.md`` says what gets better at each of the four seams.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["MODULES", "alias"]

MODULES = (
    "lifecycle.lifecycle_state",
    "lifecycle.lifecycle_manager",
    "health.health_model",
    "health.health_router",
    "loader.plugin_errors",
    "loader.plugin_registry",
    "loader.dependency_checker",
    "loader.startup_audit",
    "loader.plugin_loader",
    "sandbox",
    "sandbox.sandbox_runner",
    "sandbox.timeout",
    "sandbox.memory_guard",
)
"""Every module that stands in for one of the host's."""


PACKAGES = ("lifecycle", "health", "loader")
"""Packages that only hold some of these; a host's own take precedence."""


def alias(package: str) -> None:
    """Let `import <package>.<module>` give the module of this package, for each of `MODULES`.

    Call it before the host imports them. Everything else in `package` stays the host's own; where it has no package
    of that name (`<package>.health`), this one's stands in.
    """
    from . import _alias

    _alias.install(package, __name__, MODULES, PACKAGES)


def __getattr__(name: str) -> ModuleType:
    if name in {"lifecycle", "health", "loader", "sandbox", "tool_runner"}:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
