"""What the registry and the lifecycle manager both are: a view of one runtime, in the host's words."""

from __future__ import annotations

import logging

import plugward

from .lifecycle.lifecycle_state import FINAL
from .lifecycle.lifecycle_state import PluginLifecycleState as State
from .sandbox._calls import say

STEPS: dict[tuple[State, State], tuple[str, ...]] = {
    (State.LOADED, State.LOADED): (),
    (State.LOADED, State.INITIALIZED): ("ready",),
    (State.LOADED, State.RUNNING): ("ready", "call_began"),
    (State.LOADED, State.FAILED): ("fault",),
    (State.LOADED, State.UNAVAILABLE): ("dependency_missing",),
    (State.INITIALIZED, State.LOADED): ("restart",),
    (State.INITIALIZED, State.INITIALIZED): (),
    (State.INITIALIZED, State.RUNNING): ("call_began",),
    (State.INITIALIZED, State.FAILED): ("fault",),
    (State.INITIALIZED, State.UNAVAILABLE): ("restart", "dependency_missing"),
    (State.RUNNING, State.LOADED): ("restart",),
    (State.RUNNING, State.INITIALIZED): ("call_ended",),
    (State.RUNNING, State.RUNNING): ("call_began",),
    (State.RUNNING, State.FAILED): ("fault",),
    (State.RUNNING, State.UNAVAILABLE): ("restart", "dependency_missing"),
}
"""The events that lead from one state to another; what is not here is forbidden."""

LEAVES_A_FINAL_STATE: dict[State, tuple[str, ...]] = {
    State.LOADED: ("restart",),
    State.FAILED: ("restart", "fault"),
    State.UNAVAILABLE: ("restart", "dependency_missing"),
}
"""What a final state is left for, where somebody asks for it explicitly; never for a state that is executed."""


class View:
    """States of one runtime's plugins. What the transition table forbids is logged and left undone."""

    def __init__(self, runtime: plugward.Runtime, logger: logging.Logger) -> None:
        """Log in the name of `logger`."""
        self.runtime = runtime
        self.by_host: set[str] = set()
        """Plugins that only have a state here: the runtime has no code of theirs to begin anew."""
        self._logger = logger

    def list_plugin(self, name: str, description: str = "", version: str = "") -> bool:
        """List a plugin that the host runs itself, LOADED; False where the name is known already."""
        if self.runtime.state(name) is not None:
            return False
        try:
            self.runtime.register(name, str(description or ""), str(version or ""))
        except Exception:
            if self.runtime.state(name) is None:  # else another thread was faster
                raise
            return False
        self.by_host.add(name)
        return True

    def state(self, name: str) -> State | None:
        """A plugin's state, None for an unknown name."""
        state = self.runtime.state(name)
        return None if state is None else State(state)

    def states(self) -> dict[str, State]:
        """The state of every plugin, by name."""
        return {name: State(state) for name, state in self.runtime.states()}

    def move(self, name: str, target: State, reason: str = "", *, explicit: bool = False) -> bool:
        """Lead a known plugin to `target`, through the states between; whether it got there.

        Only an explicit move leaves FAILED or UNAVAILABLE, by way of the next generation.
        """
        now = self.state(name)
        if now is None or (now is target and now in FINAL):
            return False  # what ended a generation stays its reason
        steps = STEPS.get((now, target))
        if steps is None and explicit and now in FINAL:
            steps = LEAVES_A_FINAL_STATE.get(target)
        if steps is not None and self._take(name, steps, reason):
            return True
        say(self._logger, logging.WARNING, "Plugin '%s' stays %s: it cannot become %s", name, now.value, target.value)
        return False

    def _take(self, name: str, steps: tuple[str, ...], reason: str) -> bool:
        """Whether the last step was possible; one before it may have been another thread's."""
        done = True
        for step in steps:
            done = self._mark(name, step, reason, last=step is steps[-1])
        return done

    def _mark(self, name: str, event: str, reason: str, *, last: bool) -> bool:
        try:
            if event == "restart" and last and name not in self.by_host:
                return self.runtime.restart(name).ok
            self.runtime.mark(name, event, str(reason))
        except plugward.PlugwardError:
            return False
        return True
