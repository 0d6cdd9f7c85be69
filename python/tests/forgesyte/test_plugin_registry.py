"""The registry: one for the process, every state the runtime's, FAILED and UNAVAILABLE final."""

import datetime
import logging
import sys
import threading
import time
from unittest.mock import MagicMock

import pytest

from plugward.forgesyte.health.health_model import PluginHealthResponse
from plugward.forgesyte.lifecycle.lifecycle_state import PluginLifecycleState as State
from plugward.forgesyte.loader import plugin_registry
from plugward.forgesyte.loader.plugin_registry import PluginRegistry, get_registry
from python.tests.patience import until


def test_it_is_a_singleton() -> None:
    with pytest.raises(RuntimeError, match=r"singleton.*get_registry\(\)"):
        PluginRegistry()
    assert get_registry() is get_registry()


def test_each_way_to_reset_gives_an_empty_one(registry: PluginRegistry) -> None:
    registry.register("old")
    PluginRegistry._instance = None
    assert get_registry().all_states() == {}
    get_registry().register("old")
    get_registry()._init_singleton()
    assert get_registry().all_states() == {}
    made = PluginRegistry._create_instance()
    assert made is get_registry()
    bare = object.__new__(PluginRegistry)
    bare._init_singleton()
    assert bare.list_all() == []


def test_resets_leave_no_threads_behind() -> None:
    get_registry()
    before = len(threading.enumerate()), thread_count()
    for _ in range(20):
        PluginRegistry._instance = None
        get_registry().register("a")
    deadline = time.monotonic() + 60
    while thread_count() > before[1] + 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert thread_count() <= before[1] + 2


def thread_count() -> int:
    if sys.platform != "linux":
        return threading.active_count()
    with open("/proc/self/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))


def test_a_registered_plugin_is_loaded(registry: PluginRegistry) -> None:
    registry.register("ocr", description="reads", version="1.2.3")
    status = registry.get_status("ocr")
    assert isinstance(status, PluginHealthResponse)
    assert (status.name, status.state, status.description, status.version) == ("ocr", State.LOADED, "reads", "1.2.3")
    assert (status.success_count, status.error_count, status.reason, status.last_used) == (0, 0, None, None)
    assert status.uptime_seconds is not None
    assert registry.get_status("nobody") is None
    assert registry.get_state("nobody") is None
    assert not registry.is_available("nobody")


def test_registering_again_says_what_is_new_and_keeps_the_rest(registry: PluginRegistry) -> None:
    registry.register("ocr", "reads", "1.0")
    registry.record_success("ocr", 1.0)
    registry.mark_initialized("ocr")
    registry.register("ocr", version="2.0")
    status = registry.get_status("ocr")
    assert status is not None
    assert (status.description, status.version, status.success_count) == ("reads", "2.0", 1)
    assert status.state is State.INITIALIZED


def test_the_way_through_the_states(registry: PluginRegistry) -> None:
    registry.register("ocr")
    registry.mark_initialized("ocr")
    assert registry.get_state("ocr") is State.INITIALIZED
    before = datetime.datetime.now(datetime.timezone.utc)
    registry.mark_running("ocr")
    assert registry.get_state("ocr") is State.RUNNING
    status = registry.get_status("ocr")
    assert status is not None
    assert status.last_used is not None
    assert abs((status.last_used - before).total_seconds()) < 30
    registry.record_success("ocr", 12.0)
    assert registry.get_state("ocr") is State.INITIALIZED, "a success does not leave it RUNNING"
    registry.mark_running("ocr")
    registry.record_error("ocr", 8.0)
    assert registry.get_state("ocr") is State.INITIALIZED


def test_running_straight_from_loaded(registry: PluginRegistry) -> None:
    registry.register("ocr")
    registry.mark_running("ocr")
    assert registry.get_state("ocr") is State.RUNNING
    registry.mark_initialized("ocr")
    assert registry.get_state("ocr") is State.INITIALIZED


@pytest.mark.parametrize("final", [State.FAILED, State.UNAVAILABLE])
def test_a_final_state_is_left_by_restart_alone(registry: PluginRegistry, final: State) -> None:
    registry.register("ocr")
    mark = registry.mark_failed if final is State.FAILED else registry.mark_unavailable
    mark("ocr", "first reason")
    registry.mark_initialized("ocr")
    registry.mark_running("ocr")
    registry.mark_failed("ocr", "later")
    registry.mark_unavailable("ocr", "later")
    registry.record_success("ocr", 1.0)
    registry.register("ocr")
    registry.update_execution_metrics("ocr", State.INITIALIZED, 1.0, False)
    status = registry.get_status("ocr")
    assert status is not None
    assert (status.state, status.reason) == (final, "first reason")
    assert registry.restart("ocr")
    assert registry.get_state("ocr") is State.LOADED
    assert registry.get_status("ocr").reason is None  # type: ignore[union-attr]


def test_mark_failed_counts_an_error_and_ignores_strangers(
    registry: PluginRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.register("ocr")
    registry.mark_initialized("ocr")
    registry.mark_failed("ocr", "weights are gone")
    status = registry.get_status("ocr")
    assert status is not None
    assert (status.state, status.reason, status.error_count) == (State.FAILED, "weights are gone", 1)
    assert "ocr" in caplog.text
    assert "weights are gone" in caplog.text
    caplog.clear()
    registry.mark_failed("stranger", "whatever")
    assert registry.get_status("stranger") is None
    assert "stranger" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


def test_mark_unavailable_lists_strangers(registry: PluginRegistry) -> None:
    registry.mark_unavailable("gpu_only", "GPU required")
    status = registry.get_status("gpu_only")
    assert status is not None
    assert (status.state, status.reason, status.error_count) == (State.UNAVAILABLE, "GPU required", 0)


def test_unavailable_after_initialized_is_a_new_generation(registry: PluginRegistry) -> None:
    registry.register("ocr")
    registry.mark_initialized("ocr")
    registry.mark_unavailable("ocr", "the GPU fell off the bus")
    assert registry.get_state("ocr") is State.UNAVAILABLE
    health = registry.runtime.plugin_health("ocr")
    assert health is not None
    assert health["generation"] == 2


def test_metrics_are_the_last_ten(registry: PluginRegistry) -> None:
    registry.register("ocr")
    for n in range(1, 13):
        registry.record_success("ocr", float(n))
    registry.record_error("ocr")
    status = registry.get_status("ocr")
    assert status is not None
    assert (status.success_count, status.error_count, status.last_execution_time_ms) == (12, 1, 12.0)
    assert status.avg_execution_time_ms == pytest.approx(sum(range(3, 13)) / 10)


def test_update_execution_metrics(registry: PluginRegistry) -> None:
    registry.register("ocr")
    registry.update_execution_metrics("ocr", State.INITIALIZED, 5.0, False)
    registry.update_execution_metrics("ocr", "RUNNING", 6.0, False)
    assert registry.get_state("ocr") is State.RUNNING
    registry.update_execution_metrics("ocr", State.FAILED, 7.0, True)
    status = registry.get_status("ocr")
    assert status is not None
    assert (status.state, status.success_count, status.error_count) == (State.FAILED, 2, 1)
    registry.update_execution_metrics("stranger", State.FAILED, 7.0, True)
    assert registry.get_state("stranger") is None


def test_lists(registry: PluginRegistry) -> None:
    for name in ("zebra", "ant", "mule"):
        registry.register(name)
    registry.mark_failed("mule", "x")
    registry.mark_unavailable("yak", "no GPU")
    assert [status.name for status in registry.list_all()] == ["ant", "mule", "yak", "zebra"]
    available = registry.list_available()
    assert available == ["ant", "zebra"]
    assert "ant" in available
    assert "mule" not in available
    assert [status.state for status in available] == [State.LOADED, State.LOADED]
    assert {status.name for status in available} == set(available)
    assert registry.all_states() == {
        "ant": State.LOADED,
        "mule": State.FAILED,
        "yak": State.UNAVAILABLE,
        "zebra": State.LOADED,
    }
    assert registry.is_available("ant")
    assert not registry.is_available("mule")


def test_instances(registry: PluginRegistry) -> None:
    mock = MagicMock()
    registry.register("a", instance=mock)
    registry.register("b")
    assert registry.get("a") is mock
    assert registry.get_plugin_instance("b") is None
    with pytest.raises(KeyError, match="Plugin instance for 'b' not found"):
        registry.get("b")
    registry.set_plugin_instance("b", mock)
    assert registry.get("b") is mock
    assert registry.get_state("b") is State.LOADED


def test_names_and_reasons_that_nobody_expects(registry: PluginRegistry) -> None:
    for name in ("", " ", "ö/../x", "a" * 500, 'q"uote', "\n"):
        registry.register(name)
        registry.mark_failed(name, "x" * 1000)
        assert registry.get_state(name) is State.FAILED
    registry.register("none", None, None)  # type: ignore[arg-type]
    registry.mark_failed("none", ValueError("an exception for a reason"))  # type: ignore[arg-type]
    assert registry.get_status("none").reason == "an exception for a reason"  # type: ignore[union-attr]


@pytest.mark.timeout(180)
def test_readers_and_writers_never_block_each_other(registry: PluginRegistry) -> None:
    """What froze the host's own registry within seconds: readers and writers without a pause."""
    names = [f"p{n}" for n in range(20)]
    for name in names:
        registry.register(name)
        registry.mark_initialized(name)
    stop, problems = threading.Event(), []
    progress = [0] * 12

    def read(slot: int) -> None:
        while not stop.is_set():
            listed = registry.list_all()
            if len(listed) < len(names) or any(s.state is State.FAILED and not s.reason for s in listed):
                problems.append(listed)
            progress[slot] += 1

    def write(slot: int) -> None:
        n = 0
        while not stop.is_set():
            name = names[n % len(names)]
            registry.mark_running(name)
            registry.record_success(name, 1.0)
            if n % 7 == 0:
                registry.mark_failed(name, "reason")
                registry.restart(name)
                registry.mark_initialized(name)
            n += 1
            progress[slot] += 1

    threads = [threading.Thread(target=read if n < 8 else write, args=(n,)) for n in range(12)]
    logging.getLogger(plugin_registry.__name__).setLevel(logging.CRITICAL)
    try:
        for thread in threads:
            thread.start()
        time.sleep(3)
        until("all have had their turn", lambda: all(progress))
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
        logging.getLogger(plugin_registry.__name__).setLevel(logging.NOTSET)
    assert not any(thread.is_alive() for thread in threads)
    assert all(progress), progress
    assert problems == []


def test_many_threads_get_one_registry() -> None:
    found = []
    threads = [threading.Thread(target=lambda: found.append(get_registry())) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
