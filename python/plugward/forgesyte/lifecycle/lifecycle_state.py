"""The five states of a plugin: the runtime's own."""

from __future__ import annotations

from plugward.lifecycle import PluginLifecycleState

__all__ = ["FINAL", "PluginLifecycleState"]

FINAL = (PluginLifecycleState.FAILED, PluginLifecycleState.UNAVAILABLE)
"""What only a restart leads out of."""
