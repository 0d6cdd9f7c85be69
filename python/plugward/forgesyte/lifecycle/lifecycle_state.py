"""The five states of a plugin."""

from __future__ import annotations

from enum import Enum

__all__ = ["PluginLifecycleState"]


class PluginLifecycleState(str, Enum):
    """Where a plugin stands; each member equals its name, ``PluginLifecycleState.FAILED == "FAILED"``.

    FAILED and UNAVAILABLE are final within a generation: only a restart leads out of them.
    """

    LOADED = "LOADED"
    INITIALIZED = "INITIALIZED"
    RUNNING = "RUNNING"
    FAILED = "FAILED"
    UNAVAILABLE = "UNAVAILABLE"

    @property
    def is_final(self) -> bool:
        """Whether only a restart leads out of this state."""
        return self in (PluginLifecycleState.FAILED, PluginLifecycleState.UNAVAILABLE)
