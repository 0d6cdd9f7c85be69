"""States and the manager that sets them."""

import itertools
import json

import pytest

import plugward
from plugward.forgesyte.lifecycle.lifecycle_manager import PluginLifecycleManager
from plugward.forgesyte.lifecycle.lifecycle_state import FINAL
from plugward.forgesyte.lifecycle.lifecycle_state import PluginLifecycleState as State

EXECUTED = (State.INITIALIZED, State.RUNNING)


def test_the_five_states_are_texts() -> None:
    assert [state.value for state in State] == ["LOADED", "INITIALIZED", "RUNNING", "FAILED", "UNAVAILABLE"]
    assert State.FAILED == "FAILED"
    assert json.dumps(State.RUNNING) == '"RUNNING"'
    assert State("LOADED") is State.LOADED


def test_a_manager_is_empty_and_its_own() -> None:
    one, two = PluginLifecycleManager(), PluginLifecycleManager()
    one.set_state("a", State.LOADED)
    assert one.get_state("a") is State.LOADED
    assert two.get_state("a") is None
    assert two.all_states() == {}
    one.set_state("b", "RUNNING")
    assert one.all_states() == {"a": State.LOADED, "b": State.RUNNING}


@pytest.mark.parametrize(("first", "second"), list(itertools.product(State, State)))
def test_every_pair(first: State, second: State, caplog: pytest.LogCaptureFixture) -> None:
    """From a final state no state is reached in which the plugin is executed; all else that was asked for is."""
    manager = PluginLifecycleManager()
    manager.set_state("p", first)
    assert manager.get_state("p") is first
    manager.set_state("p", second)
    refused = first in FINAL and second in EXECUTED
    assert manager.get_state("p") is (first if refused else second)
    assert ("stays" in caplog.text) == refused


def test_the_order_of_all_states() -> None:
    manager = PluginLifecycleManager()
    for state in State:
        manager.set_state("p", state)
        assert manager.get_state("p") is state


def test_loaded_is_an_explicit_restart() -> None:
    with plugward.Runtime() as runtime:
        manager = PluginLifecycleManager(runtime)
        manager.set_state("p", State.FAILED)
        manager.set_state("p", State.LOADED)
        manager.set_state("p", State.RUNNING)
        assert manager.get_state("p") is State.RUNNING
        health = runtime.plugin_health("p")
    assert health is not None
    assert health["generation"] == 2


def test_a_word_that_is_no_state() -> None:
    with pytest.raises(ValueError, match="SLEEPING"):
        PluginLifecycleManager().set_state("p", "SLEEPING")
