"""The account of all plugins: a view of one runtime, with the host's names.

States, counts and times are the runtime's. Kept here is only what it has no place for: the objects of plugins that
the host itself runs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import TypeAdapter

import plugward

from .._view import View
from ..health.health_model import PluginHealthResponse
from ..lifecycle.lifecycle_state import FINAL, PluginLifecycleState
from ..sandbox._calls import say
from ._adapter import has_deadlines, has_tools, source_of, unwrapped

__all__ = ["PluginMetadata", "PluginRegistry", "get_registry"]

logger = logging.getLogger(__name__)

LOCK_SECONDS = 10.0
LIST = TypeAdapter(list[PluginHealthResponse])


@dataclass
class PluginMetadata:
    """What a plugin says of itself."""

    name: str
    description: str = ""
    version: str = ""


class AvailablePlugin(PluginHealthResponse):
    """A plugin's health that also equals its name, so that a list of them can be read as a list of names."""

    def __eq__(self, other: object) -> bool:
        """By name against a text, by content otherwise."""
        return self.name == other if isinstance(other, str) else super().__eq__(other)

    def __hash__(self) -> int:
        """As its name."""
        return hash(self.name)

    def __str__(self) -> str:
        """Its name."""
        return self.name


class PluginRegistry:
    """One for the process; `get_registry()` gives it. Safe to use from any number of threads: no lock is held."""

    _instance: ClassVar[PluginRegistry | None] = None
    _creation: ClassVar[threading.Lock] = threading.Lock()

    runtime: plugward.Runtime
    """Where everything is kept; the whole of Plugward's API is on it."""

    def __init__(self) -> None:
        """Refuse: there is only one."""
        raise RuntimeError("PluginRegistry is a singleton: call get_registry() instead of PluginRegistry()")

    @classmethod
    def _create_instance(cls) -> PluginRegistry:
        """Make a fresh one, which `get_registry()` gives from now on."""
        instance = object.__new__(cls)
        instance._init_singleton()
        PluginRegistry._instance = instance
        return instance

    def _init_singleton(self) -> None:
        """Begin with an empty runtime."""
        # What happens is logged here, by the thread that did it.
        self.runtime = plugward.Runtime(logging=False, lock_timeout=LOCK_SECONDS)
        self._view = View(self.runtime, logger)
        self._objects: dict[str, Any] = {}
        self._adoption = threading.Lock()

    # --- what happens to a plugin ------------------------------------------------------------------------------------

    def register(self, name: str, description: str = "", version: str = "", instance: Any = None) -> None:
        """List a plugin, LOADED. One that is listed already keeps its state and its counts."""
        if self._view.list_plugin(name, description, version):
            say(logger, logging.INFO, "Plugin '%s' registered", name)
        else:
            self.describe(name, description, version)
            state = self.get_state(name)
            say(logger, logging.WARNING, "Plugin '%s' is already registered; it stays %s", name, _word(state))
        if instance is not None:
            self._objects[name] = instance

    def mark_failed(self, name: str, reason: str) -> None:
        """End its generation FAILED and count an error. An unknown name is logged and ignored."""
        if self._known(name, "mark_failed"):
            self._count(name, ok=False)
            self._end(name, PluginLifecycleState.FAILED, reason)

    def mark_unavailable(self, name: str, reason: str) -> None:
        """End its generation UNAVAILABLE; an unknown name is listed first."""
        self._view.list_plugin(name)
        self._end(name, PluginLifecycleState.UNAVAILABLE, reason)

    def mark_initialized(self, name: str) -> None:
        """Say that it is fit for calls."""
        self._move(name, PluginLifecycleState.INITIALIZED)

    def mark_running(self, name: str) -> None:
        """Say that a call of it begins."""
        self._move(name, PluginLifecycleState.RUNNING)

    def record_success(self, name: str, execution_time_ms: float | None = None) -> None:
        """Count a call that ended well."""
        self._record(name, True, execution_time_ms)

    def record_error(self, name: str, execution_time_ms: float | None = None) -> None:
        """Count a call that ended in an error. Whether that fails the plugin, `mark_failed` says."""
        self._record(name, False, execution_time_ms)

    def update_execution_metrics(
        self, plugin_name: str, state: PluginLifecycleState | str, elapsed_ms: float | None, had_error: bool
    ) -> None:
        """Count a call and say which state it left the plugin in."""
        if not self._known(plugin_name, "update_execution_metrics"):
            return
        self._record(plugin_name, not had_error, elapsed_ms)
        target = PluginLifecycleState(state)
        if target in FINAL:
            self._end(plugin_name, target, "its last execution ended in an error")
        elif target is not PluginLifecycleState.LOADED:
            self._view.move(plugin_name, target)

    def restart(self, name: str) -> bool:
        """Begin its next generation, whatever its state: the way out of FAILED and UNAVAILABLE."""
        return self._known(name, "restart") and self._view.move(name, PluginLifecycleState.LOADED, explicit=True)

    # --- what is known of it -----------------------------------------------------------------------------------------

    def get_status(self, name: str) -> PluginHealthResponse | None:
        """Its health, None for an unknown name."""
        found = self.runtime.plugin_health(name)
        return None if found is None else _with_uptime(PluginHealthResponse.model_validate(found))

    def list_all(self) -> list[PluginHealthResponse]:
        """The health of every plugin, FAILED and UNAVAILABLE ones too, sorted by name."""
        return [_with_uptime(health) for health in LIST.validate_json(self.runtime.health_json())]

    def list_available(self) -> list[AvailablePlugin]:
        """Those that are neither FAILED nor UNAVAILABLE; each equals its name."""
        found = (AvailablePlugin.model_construct(**dict(status)) for status in self.list_all())
        return [status for status in found if status.state not in FINAL]

    def get_state(self, name: str) -> PluginLifecycleState | None:
        """Its state, None for an unknown name."""
        return self._view.state(name)

    def all_states(self) -> dict[str, PluginLifecycleState]:
        """The state of every plugin, by name."""
        return self._view.states()

    def is_available(self, name: str) -> bool:
        """Whether it is listed and neither FAILED nor UNAVAILABLE."""
        state = self.get_state(name)
        return state is not None and state not in FINAL

    # --- its object and its code -------------------------------------------------------------------------------------

    def set_plugin_instance(self, name: str, instance: Any) -> None:
        """Keep the object of a plugin that the host has made."""
        self._objects[name] = instance

    def get_plugin_instance(self, name: str) -> Any:
        """Its object, None where there is none."""
        found = self._objects.get(name)
        return unwrapped(self.runtime.instance(name)) if found is None else found

    def get(self, name: str) -> Any:
        """Its object.

        Raises:
            KeyError: there is none.
        """
        found = self.get_plugin_instance(name)
        if found is None:
            raise KeyError(f"Plugin instance for '{name}' not found")
        return found

    def load(self, source: tuple[Any, ...], manifest: Mapping[str, Any]) -> plugward.LoadReport:
        """Load a plugin into the runtime; one that is listed already begins its next generation from there."""
        name, described = str(manifest["name"]), dict(manifest)
        known = self.runtime.state(name) is not None
        report = self.runtime._reload(source, described) if known else self.runtime._add(source, described)
        if report.code == plugward.Code.REGISTRY_DUPLICATE:  # another thread was faster
            report = self.runtime._reload(source, described)
        self._view.by_host.discard(name)
        self._objects.pop(name, None)
        return report

    def adopt(self, name: str) -> bool:
        """Let the runtime itself run a plugin that the host registered with its object; whether it does.

        An object that does not say which tools it has (a mock) stays the host's to run.
        """
        if name not in self._objects:
            return True
        with self._adoption:
            plugin = self._objects.get(name)
            health = self.runtime.plugin_health(name)
            if plugin is None:
                return True
            if health is None or PluginLifecycleState(health["state"]) in FINAL or not has_tools(plugin):
                return False
            manifest = {key: health[key] for key in ("name", "description", "version") if health[key]}
            if has_deadlines(plugin):
                manifest["isolation"] = "thread"
            return self.load(source_of(plugin), manifest).ok

    def describe(self, name: str, description: str = "", version: str = "") -> None:
        """Say anew what a plugin is for; what is empty stays as it was."""
        health = self.runtime.plugin_health(name)
        if health is not None and (description or version):
            said = (description or health["description"] or "", version or health["version"] or "")
            self.runtime.describe(name, *map(str, said))

    # -----------------------------------------------------------------------------------------------------------------

    def _known(self, name: str, what: str) -> bool:
        if self.runtime.state(name) is not None:
            return True
        say(logger, logging.WARNING, "Plugin '%s' is not registered: %s is ignored", name, what)
        return False

    def _move(self, name: str, target: PluginLifecycleState) -> None:
        if self._known(name, f"mark_{target.value.lower()}"):
            self._view.move(name, target)

    def _end(self, name: str, target: PluginLifecycleState, reason: str) -> None:
        if self._view.move(name, target, str(reason)):
            say(logger, logging.ERROR, "Plugin '%s' is %s: %s", name, target.value, reason)

    def _record(self, name: str, ok: bool, elapsed_ms: float | None) -> None:
        if self._known(name, "record_success" if ok else "record_error"):
            self._count(name, ok, elapsed_ms)
            health = self.runtime.plugin_health(name)
            if health and health["state"] == "RUNNING" and not health["in_flight"]:
                self._view.move(name, PluginLifecycleState.INITIALIZED)

    def _count(self, name: str, ok: bool, elapsed_ms: float | None = None) -> None:
        try:
            self.runtime.record(name, ok, elapsed_ms)
        except plugward.PlugwardError as error:
            say(logger, logging.WARNING, "Plugin '%s': an execution was not counted: %s", name, error)


def _word(state: PluginLifecycleState | None) -> str:
    return state.value if state else "unknown"


def _with_uptime(health: PluginHealthResponse) -> PluginHealthResponse:
    """The host shows a number here also for a plugin that never became INITIALIZED."""
    if health.uptime_seconds is None:
        health.uptime_seconds = 0.0
    return health


def get_registry() -> PluginRegistry:
    """The registry of this process; a new one after `PluginRegistry._instance = None`."""
    found = PluginRegistry._instance
    if found is None:
        with PluginRegistry._creation:
            found = PluginRegistry._instance or PluginRegistry._create_instance()
    return found
