"""A registry for hosts that execute their plugins themselves: a view on a runtime's plugins."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from plugward.errors import PlugwardError
from plugward.lifecycle import PluginLifecycleState

if TYPE_CHECKING:
    from plugward._runtime import Runtime
    from plugward.health import PluginHealthResponse

__all__ = ["PluginRegistry"]

_log = logging.getLogger("plugward.registry")


class PluginRegistry:
    """Register plugins, mark what happens to them, read their health.

    The runtime keeps the states: readers take no lock, and what its transition table forbids is refused. FAILED and
    UNAVAILABLE are final for a generation; `restart` begins the next one.
    """

    def __init__(self, runtime: Runtime | None = None) -> None:
        """View the plugins of `runtime`, or of the process's default one."""
        if runtime is None:
            from plugward._runtime import default_runtime

            runtime = default_runtime()
        self._runtime = runtime
        self._instances: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def runtime(self) -> Runtime:
        """The runtime behind the view."""
        return self._runtime

    def register(self, name: str, description: str = "", version: str = "", instance: Any = None) -> None:
        """Add a plugin in LOADED; one that is there already stays as it is, also a failed one."""
        if self._runtime.plugin_health(name) is None:
            try:
                self._runtime.register(name, description, version)
            except PlugwardError as error:
                if error.code != "PW-REG-003":  # another thread was faster
                    raise
        if instance is not None:
            self.set_plugin_instance(name, instance)

    def mark_initialized(self, name: str) -> bool:
        """Move to INITIALIZED; whether that was allowed."""
        return self._mark(name, "initialized")

    def mark_running(self, name: str) -> bool:
        """Move to RUNNING; whether that was allowed."""
        return self._mark(name, "running")

    def mark_failed(self, name: str, reason: str) -> bool:
        """Move to FAILED and count one error; an unknown name is logged, no more."""
        if self._runtime.plugin_health(name) is None:
            _log.warning("mark_failed: no plugin named %r", name)
            return False
        marked = self._mark(name, "failed", reason)
        self.record_error(name)
        return marked

    def mark_unavailable(self, name: str, reason: str) -> bool:
        """Move to UNAVAILABLE; an unknown name is added."""
        self.register(name)
        return self._mark(name, "unavailable", reason)

    def restart(self, name: str) -> bool:
        """Begin the next generation, in LOADED."""
        return self._mark(name, "restart")

    def record_success(self, name: str, execution_time_ms: float | None = None) -> None:
        """Count one success and end its call."""
        self._record(name, True, execution_time_ms)

    def record_error(self, name: str, execution_time_ms: float | None = None) -> None:
        """Count one error and end its call."""
        self._record(name, False, execution_time_ms)

    def get_status(self, name: str) -> PluginHealthResponse | None:
        """Health of one plugin."""
        from plugward.health import PluginHealthResponse

        health = self._runtime.plugin_health(name)
        return None if health is None else PluginHealthResponse.model_validate(health)

    def list_all(self) -> list[PluginHealthResponse]:
        """Health of every plugin, sorted by name."""
        from plugward.health import PluginHealthResponse

        return [PluginHealthResponse.model_validate(health) for health in self._runtime.health()]

    def list_available(self) -> list[PluginHealthResponse]:
        """The plugins that take calls."""
        available = (PluginLifecycleState.INITIALIZED, PluginLifecycleState.RUNNING)
        return [health for health in self.list_all() if health.state in available]

    def get_state(self, name: str) -> PluginLifecycleState | None:
        """The state of one plugin."""
        health = self._runtime.plugin_health(name)
        return None if health is None else PluginLifecycleState(health["state"])

    def all_states(self) -> dict[str, PluginLifecycleState]:
        """The states of all plugins, by name."""
        return {health["name"]: PluginLifecycleState(health["state"]) for health in self._runtime.health()}

    def is_available(self, name: str) -> bool:
        """Whether a plugin takes calls."""
        return self.get_state(name) in (PluginLifecycleState.INITIALIZED, PluginLifecycleState.RUNNING)

    def set_plugin_instance(self, name: str, instance: Any) -> None:
        """Keep the host's own object of a plugin."""
        with self._lock:
            self._instances[name] = instance

    def get_plugin_instance(self, name: str) -> Any:
        """The host's own object of a plugin, or the one that the runtime made; `None` if there is none."""
        with self._lock:
            kept = self._instances.get(name)
        return kept if kept is not None else self._runtime.instance(name)

    def _mark(self, name: str, what: str, reason: str = "") -> bool:
        try:
            self._runtime.mark(name, what, reason)
        except PlugwardError as error:
            _log.warning("%s: %s", name, error)
            return False
        return True

    def _record(self, name: str, ok: bool, elapsed_ms: float | None) -> None:
        try:
            self._runtime.record(name, ok, elapsed_ms)
            if self.get_state(name) is PluginLifecycleState.RUNNING:
                self._runtime.mark(name, "call_ended")
        except PlugwardError as error:
            _log.warning("%s: %s", name, error)
