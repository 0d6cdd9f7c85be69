"""Rows that measure other programs or names: each is tried once, far too briefly for a figure."""

import asyncio
import importlib
from collections import Counter

import pytest

from bench import published, subject
from bench.harness import Effort, Result
from bench.rows import drop_in, health_http, napi_call

TINY = Effort(rounds=3, batch_seconds=0.001, singles=20, soak_seconds=0.1)


def test_a_node_door_that_is_not_built_is_said_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(napi_call, "NEEDED", (napi_call.ROOT / "node" / "nowhere.node",))
    monkeypatch.setattr(napi_call.shutil, "which", lambda _name: "/bin/node")
    row = napi_call.run(TINY)
    assert row.skipped == [napi_call.MISSING.format("node/nowhere.node is not built")]
    assert [goal.met for goal in row.goals] == [None, None]
    monkeypatch.setattr(napi_call.shutil, "which", lambda _name: None)
    assert "node is missing" in napi_call.run(TINY).skipped[0]


def test_what_node_measured_becomes_results() -> None:
    one = {"name": "x", "role": "peer", "took": [3.0, 1.0, 2.0], "singles": [50.0] * 99 + [500.0], "clock": 40.0}
    found = napi_call.result(one)
    assert (found.median_ns, found.low_ns, found.high_ns, found.p99_ns) == (2.0, 1.0, 3.0, 460.0)


@pytest.mark.skipif(napi_call.unusable() is not None, reason=f"the Node door: {napi_call.unusable()}")
def test_node_measures_every_competitor() -> None:
    row = napi_call.run(TINY)
    assert [result.role for result in row.results].count("plugward") == 5
    assert all(result.median_ns > 0 for result in row.results)
    thread = row.find("thread call, deadline")
    assert thread is not None
    assert "x worker_threads" in thread.note
    assert None not in [goal.met for goal in row.goals]


def test_the_drop_in_row_without_plugward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "installed", lambda: False)
    row = drop_in.run(TINY)
    assert row.skipped == [subject.MISSING]
    assert [goal.met for goal in row.goals] == [None] * len(drop_in.PAIRS)
    assert [one.name for one in row.results if one.role == "published"] == [one.name for _, one, _ in drop_in.PAIRS]


def test_the_drop_in_row_leaves_the_registry_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = pytest.importorskip("plugward.forgesyte.loader.plugin_registry").PluginRegistry
    monkeypatch.setattr(subject, "installed", lambda: True)
    before = registry._instance
    row = drop_in.run(TINY)
    assert registry._instance is before
    assert [one.name for one in row.results if one.role == "plugward"] == [name for name, _, _ in drop_in.PAIRS]
    assert None not in [goal.met for goal in row.goals]


def test_a_figure_without_a_range_is_told_as_one() -> None:
    floor = Result("bare call", "floor", 48.0, 48.0, 48.0)
    assert published.DROP_IN_SANDBOX.scaled(floor).note.startswith("published, not re-run: 6.9 µs at a bare call of ")
    assert published.CALL_PATH.scaled(floor).note.startswith("published, not re-run: 10.5 to 20 µs at a bare call of ")


@pytest.mark.parametrize("name", health_http.ROLES)
def test_every_server_answers_with_the_same_plugins(name: str) -> None:
    pytest.importorskip("plugward")
    pytest.importorskip("uvicorn")
    seen = health_http.Seen()
    with health_http.server(name) as port:
        asyncio.run(health_http.clients(port, 0.05, seen))
    assert set(seen.statuses) == {200}
    assert len(seen.took_ns) >= health_http.CLIENTS
    assert seen.length > 20_000


def test_one_answer_that_is_not_200_misses_the_goal() -> None:
    good = health_http.Seen([1e6] * 99, Counter({200: 99}), 1.0)
    slow = health_http.Seen([5e6] * 9, Counter({200: 9}), 1.0)
    seen = dict.fromkeys(health_http.ROLES, slow) | {health_http.OURS: good}
    assert [goal.met for goal in health_http.goals(seen)] == [True, True, True]
    good.statuses[503] += 1
    assert [goal.met for goal in health_http.goals(seen)] == [False, True, True]
    assert [goal.met for goal in health_http.goals({})] == [None, None, None]


def test_the_row_on_the_gpus_answer() -> None:
    if not subject.installed():
        pytest.skip(subject.MISSING)
    row = importlib.import_module("bench.rows.gpu_answer").run(TINY)
    assert len(row.results) == 4
    assert all(result.median_ns > 0 for result in row.results)
    assert None not in [goal.met for goal in row.goals]


def test_the_row_on_what_it_weighs(monkeypatch: pytest.MonkeyPatch) -> None:
    if not subject.installed():
        pytest.skip(subject.MISSING)
    footprint = importlib.import_module("bench.rows.footprint")
    monkeypatch.setattr(footprint, "LIBRARY", "nowhere/libplugward.so")
    row = footprint.run(TINY)
    assert [goal.met for goal in row.goals if "libplugward" in goal.wanted] == [None]
    assert row.skipped == ["libplugward.so is not built (make build)"]
    worker, interpreter = footprint.idle_worker(), footprint.bare_interpreter()
    assert worker > interpreter > 1000
    assert row.goals[-1].seen.startswith("+")


@pytest.mark.parametrize("name", ["process_call", "process_frame", "process_faults", "process_recovery"])
def test_the_rows_on_worker_processes(name: str) -> None:
    for peer in ("pebble", "numpy"):
        pytest.importorskip(peer, reason=f"{peer} is a peer of this row (make bench installs it)")
    if not subject.installed():
        pytest.skip(subject.MISSING)
    row = importlib.import_module(f"bench.rows.{name}").run(TINY)
    assert all(result.median_ns > 0 for result in row.results)
    assert {result.role for result in row.results} >= {"peer", "plugward"}
    assert row.goals
    assert None not in [goal.met for goal in row.goals]
