"""The five states, and a manager that keeps them for plugins that a host executes itself."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from plugward.errors import PlugwardError

if TYPE_CHECKING:
    from plugward._runtime import Runtime

__all__ = ["PluginLifecycleManager", "PluginLifecycleState"]


class PluginLifecycleState(str, Enum):
    """The states of a plugin; their names are final."""

    LOADED = "LOADED"
    INITIALIZED = "INITIALIZED"
    RUNNING = "RUNNING"
    FAILED = "FAILED"
    UNAVAILABLE = "UNAVAILABLE"

    def __str__(self) -> str:
        """Give the bare name."""
        return self.value


class PluginLifecycleManager:
    """Reads and sets the states of a runtime's plugins; the runtime's transition table decides what is allowed."""

    def __init__(self, runtime: Runtime | None = None) -> None:
        """Manage the plugins of `runtime`, or of the process's default one."""
        if runtime is None:
            from plugward._runtime import default_runtime

            runtime = default_runtime()
        self._runtime = runtime

    def set_state(self, name: str, state: PluginLifecycleState | str, reason: str = "") -> PluginLifecycleState:
        """Move a plugin to `state`; one that is not known yet is registered. Raises `PlugwardError` if forbidden.

        FAILED and UNAVAILABLE are final: only `LOADED` leads out of them, as the beginning of the next generation.
        """
        wanted = PluginLifecycleState(state)
        known = self.get_state(name)
        if known is None:
            self._runtime.register(name)
            known = PluginLifecycleState.LOADED
        if known is wanted:
            return known
        if wanted is PluginLifecycleState.RUNNING and known is PluginLifecycleState.LOADED:
            self._runtime.mark(name, "ready")
        return PluginLifecycleState(self._runtime.mark(name, wanted.value, reason))

    def get_state(self, name: str) -> PluginLifecycleState | None:
        """The state of a plugin; `None` if there is none of that name."""
        health = self._runtime.plugin_health(name)
        return None if health is None else PluginLifecycleState(health["state"])

    def all_states(self) -> dict[str, PluginLifecycleState]:
        """The states of all plugins, by name."""
        return {health["name"]: PluginLifecycleState(health["state"]) for health in self._runtime.health()}

    def try_state(self, name: str, state: PluginLifecycleState | str, reason: str = "") -> bool:
        """Do the same as `set_state`, but answer whether it was allowed."""
        try:
            self.set_state(name, state, reason)
        except PlugwardError:
            return False
        return True
