"""Moves plugins from state to state, by the one transition table of the runtime."""

from __future__ import annotations

import logging

import plugward

from .. import _view
from .lifecycle_state import PluginLifecycleState

__all__ = ["PluginLifecycleManager"]

logger = logging.getLogger(__name__)


class PluginLifecycleManager:
    """A view of one runtime: its own, or the one it is given.

    FAILED and UNAVAILABLE are final: of all states only LOADED, which begins the next generation, leads back from
    them to a plugin that is executed. What the table forbids is logged and left undone.
    """

    def __init__(self, runtime: plugward.Runtime | None = None) -> None:
        """Without a runtime, make one of its own."""
        self._view = _view.View(runtime or plugward.Runtime(logging=False), logger)

    def set_state(self, name: str, state: PluginLifecycleState | str) -> None:
        """Move a plugin to `state`, through the states between; an unknown name is listed first."""
        self._view.list_plugin(name)
        self._view.move(name, PluginLifecycleState(state), "set by the host", explicit=True)

    def get_state(self, name: str) -> PluginLifecycleState | None:
        """Its state, None for an unknown name."""
        return self._view.state(name)

    def all_states(self) -> dict[str, PluginLifecycleState]:
        """The state of every plugin, by name."""
        return self._view.states()
