"""Health, metrics, the registry view: they answer whatever the plugins and the log do."""

import contextlib
import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import plugward
from plugward import PluginLifecycleManager, PluginLifecycleState, PluginRegistry, Runtime
from plugward.health import PluginHealthResponse
from python.tests.patience import PATIENCE

FIELDS = {
    "name", "state", "description", "reason", "version", "uptime_seconds", "last_used", "success_count", "error_count",
    "last_execution_time_ms", "avg_execution_time_ms", "generation", "restarts", "isolation", "pid", "findings",
    "last_error", "in_flight", "quarantined", "quarantine_reason",
}  # fmt: skip


def fail() -> None:
    raise ValueError("look here")


def test_health_has_the_fields_of_the_spec(runtime: Runtime) -> None:
    runtime.add_host("p", {"t": lambda: 1, "fail": fail}, description="adds", version="2.0", fails_on="crash")
    runtime.call("p", "t")
    runtime.call("p", "fail")
    (health,) = runtime.health()
    assert set(health) >= FIELDS
    assert (health["success_count"], health["error_count"], health["version"]) == (1, 1, "2.0")
    assert health["avg_execution_time_ms"] > 0
    assert json.loads(runtime.health_json())[0]["name"] == "p"
    model = PluginHealthResponse.model_validate(health)
    assert model.state is PluginLifecycleState.INITIALIZED
    assert model.last_used is not None
    assert model.last_used.tzinfo is not None
    assert runtime.plugin_health("nobody") is None


def test_metrics_count_calls_and_errors_by_code(runtime: Runtime) -> None:
    runtime.add_host("p", {"t": lambda: 1, "fail": fail}, fails_on="crash")
    for _ in range(3):
        runtime.call("p", "t")
    runtime.call("p", "fail")
    text = runtime.metrics()
    assert "PW-CALL-001" in text
    assert 'plugin="p"' in text
    assert text.rstrip().endswith("# EOF")


def test_the_summary_counts_by_state(runtime: Runtime) -> None:
    runtime.add_host("good", {"t": print})
    runtime.add_host("bad", {"t": fail})
    runtime.call("bad", "t")
    summary = runtime.summary()
    assert (summary["total"], summary["available"], summary["failed"], summary["ready"]) == (2, 1, 1, True)


# --- the log ---------------------------------------------------------------------------------------------------------


class Raises(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise SystemExit("from a handler")


class Blocks(logging.Handler):
    release = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.release.wait(120)


def full() -> logging.Handler:
    return logging.StreamHandler(open("/dev/full", "w"))  # noqa: PTH123


@pytest.fixture
def handler(request: pytest.FixtureRequest) -> Iterator[logging.Handler]:
    made: logging.Handler = request.param()
    logger = logging.getLogger("plugward")
    logger.addHandler(made)
    logger.propagate = False
    raising, logging.raiseExceptions = logging.raiseExceptions, False
    yield made
    Blocks.release.set()
    logger.removeHandler(made)
    logger.propagate = True
    logging.raiseExceptions = raising
    stream = getattr(made, "stream", None)
    if stream is not None and stream.name == "/dev/full":
        with contextlib.suppress(OSError):
            stream.close()


@pytest.mark.parametrize("handler", [Raises, Blocks, full], indirect=True)
def test_a_bad_log_handler_neither_fails_nor_delays_a_call(handler: logging.Handler) -> None:
    Blocks.release.clear()
    with Runtime(log_queue=64) as runtime:
        runtime.add_host("p", {"fail": fail, "t": lambda: 1}, fails_on="crash")
        begun = time.monotonic()
        for _ in range(300):
            assert runtime.call("p", "fail").error == "look here"
            assert runtime.call("p", "t").ok
        assert time.monotonic() - begun < PATIENCE
        assert runtime.health()[0]["state"] == "INITIALIZED"
        assert runtime.summary()["log"]["written"] > 0
        assert any("look here" in record["message"] for record in runtime.logs())
        if isinstance(handler, Raises):
            assert runtime.flush_logs(PATIENCE)
            assert runtime.summary()["log"]["sink_errors"] > 0
        Blocks.release.set()


def test_records_reach_pythons_logging_with_their_traceback(caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    writer = logging.StreamHandler(stream)
    logging.getLogger("plugward.p").addHandler(writer)
    try:
        with caplog.at_level(logging.INFO, "plugward"), Runtime() as runtime:
            runtime.add_host("p", {"fail": fail})
            runtime.call("p", "fail")
            assert runtime.flush_logs(PATIENCE)
    finally:
        logging.getLogger("plugward.p").removeHandler(writer)
    (record,) = [r for r in caplog.records if getattr(r, "code", None) == "PW-CALL-001" and "call " in r.getMessage()]
    assert record.levelno == logging.ERROR
    assert record.plugin == "p"  # type: ignore[attr-defined]
    assert "in fail" in stream.getvalue()
    assert 'raise ValueError("look here")' in stream.getvalue()


def test_a_plugin_that_raises_all_the_time_does_not_flood_the_log(runtime: Runtime) -> None:
    runtime.add_host("p", {"fail": fail}, fails_on="crash")
    for _ in range(5000):
        runtime.call("p", "fail")
    assert runtime.summary()["log"]["written"] < 2500
    assert runtime.plugin_health("p")["error_count"] == 5000  # type: ignore[index]


# --- plugins that the host executes itself ---------------------------------------------------------------------------


def test_the_registry_view(runtime: Runtime) -> None:
    registry = PluginRegistry(runtime)
    registry.register("p", "tracks", "1.0", instance=(thing := object()))
    assert registry.get_state("p") is PluginLifecycleState.LOADED
    assert not registry.is_available("p")
    assert registry.mark_initialized("p")
    assert registry.is_available("p")
    assert registry.mark_running("p")
    registry.record_success("p", 12.0)
    registry.record_success("p", 4.0)
    status = registry.get_status("p")
    assert status is not None
    assert status.state is PluginLifecycleState.INITIALIZED
    assert (status.success_count, status.last_execution_time_ms, status.avg_execution_time_ms) == (2, 4.0, 8.0)
    assert registry.get_plugin_instance("p") is thing
    assert [one.name for one in registry.list_available()] == ["p"]


def test_failed_is_final_until_a_restart(runtime: Runtime) -> None:
    registry = PluginRegistry(runtime)
    registry.register("p")
    registry.mark_initialized("p")
    assert registry.mark_failed("p", "broke")
    registry.register("p")
    registry.record_success("p")
    for attempt in (registry.mark_initialized, registry.mark_running):
        assert not attempt("p")
    status = registry.get_status("p")
    assert status is not None
    assert (status.state, status.reason, status.error_count) == (PluginLifecycleState.FAILED, "broke", 1)
    assert registry.restart("p")
    assert registry.mark_initialized("p")
    assert registry.get_status("p").generation == 2  # type: ignore[union-attr]


def test_unknown_names_in_the_registry(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    registry = PluginRegistry(runtime)
    assert not registry.mark_failed("nobody", "x")
    assert "nobody" in caplog.text
    assert registry.mark_unavailable("gpu-thing", "no GPU")
    assert registry.all_states() == {"gpu-thing": PluginLifecycleState.UNAVAILABLE}
    assert registry.get_status("nobody") is None
    assert registry.get_state("nobody") is None


def test_the_lifecycle_manager(runtime: Runtime) -> None:
    manager = PluginLifecycleManager(runtime)
    assert manager.get_state("p") is None
    assert manager.set_state("p", PluginLifecycleState.RUNNING) is PluginLifecycleState.RUNNING
    assert manager.set_state("p", "INITIALIZED") is PluginLifecycleState.INITIALIZED
    assert not manager.try_state("p", "UNAVAILABLE"), "its dependencies were there when it was initialised"
    assert manager.set_state("p", "FAILED", "broke") is PluginLifecycleState.FAILED
    assert not manager.try_state("p", "RUNNING")
    with pytest.raises(plugward.PlugwardError) as caught:
        manager.set_state("p", "INITIALIZED")
    assert caught.value.code == "PW-LIFE-001"
    assert manager.set_state("p", "LOADED") is PluginLifecycleState.LOADED
    assert manager.all_states() == {"p": PluginLifecycleState.LOADED}
    with pytest.raises(ValueError, match="NOTHING"):
        manager.set_state("p", "NOTHING")


def test_many_readers_and_writers(runtime: Runtime) -> None:
    """Health stays consistent while writers flip states."""
    ended = threading.Event()
    wrong: list[Any] = []
    registry = PluginRegistry(runtime)
    for number in range(10):
        registry.register(f"p{number}")

    def write(number: int) -> None:
        while not ended.is_set():
            registry.mark_initialized(f"p{number}")
            registry.mark_failed(f"p{number}", "flip")
            registry.restart(f"p{number}")

    def read() -> None:
        while not ended.is_set():
            for one in runtime.health():
                if (one["state"] == "FAILED") != (one["reason"] is not None):
                    wrong.append(one)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    threads += [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    ended.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong, wrong[0]
