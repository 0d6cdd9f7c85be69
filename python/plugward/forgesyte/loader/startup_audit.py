"""Compares what was discovered at start-up with what the registry holds: no plugin may be invisible."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from ..sandbox._calls import error_text, say
from . import plugin_registry

__all__ = ["run_startup_audit"]

logger = logging.getLogger(__name__)


def get_registry() -> plugin_registry.PluginRegistry:
    """The registry of this moment; looked up here so that it can be replaced at either module."""
    return plugin_registry.get_registry()


def run_startup_audit(discovered_names: Iterable[str]) -> dict[str, Any]:
    """Report the difference in the log and as `{"ok", "discovered", "registered", "missing", "extra"}`. Never raises.

    `missing` were discovered and are not in the registry (nobody would see them in health), `extra` the reverse.
    """
    try:
        discovered, registered = set(discovered_names), set(get_registry().all_states())
    except Exception as error:  # noqa: BLE001 - an audit must not stop the start-up that it looks at
        text = f"{type(error).__name__}: {error_text(error)}"
        say(logger, logging.ERROR, "Plugin startup audit could not be done: %s", text)
        return {"ok": False, "discovered": [], "registered": [], "missing": [], "extra": [], "error": text}
    missing, extra = sorted(discovered - registered), sorted(registered - discovered)
    _report(len(discovered), missing, extra)
    return {
        "ok": not missing and not extra,
        "discovered": sorted(discovered),
        "registered": sorted(registered),
        "missing": missing,
        "extra": extra,
    }


def _report(count: int, missing: list[str], extra: list[str]) -> None:
    for name in missing:
        say(logger, logging.ERROR, "Plugin startup audit: plugin '%s' was discovered but is not registered", name)
    for name in extra:
        say(logger, logging.WARNING, "Plugin startup audit: plugin '%s' is registered but was not discovered", name)
    if not missing and not extra:
        say(logger, logging.INFO, "Plugin startup audit: all %d discovered plugins are registered", count)
