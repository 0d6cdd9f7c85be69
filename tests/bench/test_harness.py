"""The measuring itself: what it counts, what it calls a goal, and what it says when something is missing."""

import time
from typing import Any

import pytest

from bench import harness, published, report, subject
from bench.harness import Effort, Goal, Result, Row, Statement
from bench.rows import inline_call

TINY = Effort(rounds=3, batch_seconds=0.002, singles=50, soak_seconds=0.1)


def result(name: str, median_ns: float, role: harness.Role = "peer") -> Result:
    return Result(name, role, median_ns, median_ns, median_ns)


def test_a_slower_statement_takes_longer() -> None:
    short = Statement("short", "sleep(0.0005)", {"sleep": time.sleep})
    long = Statement("long", "sleep(0.005)", {"sleep": time.sleep})
    fast, slow = harness.interleave([short, long], TINY)
    assert fast.median_ns >= 0.4e6
    assert slow.median_ns > 2 * fast.median_ns


def test_competitors_take_turns() -> None:
    order: list[str] = []

    class Noted:
        role: harness.Role = "peer"

        def __init__(self, name: str) -> None:
            self.name = name

        def batch(self, number: int) -> float:
            order.append(self.name)
            return 1.0

        def singles(self, number: int) -> list[float]:
            return [1e6] * number

    harness.interleave([Noted("a"), Noted("b"), Noted("c")], TINY)
    rounds = order[3:12]  # after one call each that sizes the batches
    assert [rounds[i : i + 3] for i in (0, 3, 6)] == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]]


def test_a_statement_of_several_lines_is_one_call() -> None:
    calls: list[int] = []
    statement = Statement("two", "calls.append(1)\ncalls.append(2)", {"calls": calls})
    statement.batch(3)
    assert calls == [1, 2] * 3
    assert len(statement.singles(4)) == 4


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (25, 3), (50, 6), (99, 10), (100, 10)])
def test_percentiles(percent: float, expected: float) -> None:
    assert harness.percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], percent) == expected


@pytest.mark.parametrize(("ours", "met"), [(10.0, True), (20.0, True), (20.1, False)])
def test_a_ratio_goal(ours: float, met: bool) -> None:
    assert harness.ratio_goal("5x", result("ours", ours), result("theirs", 100), 5).met is met


@pytest.mark.parametrize(("ours", "met"), [(90.0, True), (140.0, True), (141.0, False)])
def test_a_distance_goal(ours: float, met: bool) -> None:
    assert harness.distance_goal("+100", result("ours", ours), result("floor", 40), 100).met is met


def test_a_goal_without_its_figures_is_neither_met_nor_missed() -> None:
    assert harness.ratio_goal("5x", None, result("theirs", 100), 5).met is None
    assert harness.distance_goal("+100", result("ours", 1), None, 100).met is None


def test_published_figures_are_scaled_and_marked() -> None:
    figure = published.Published("host", 200, 800, "floor", 10, 40)
    here = figure.scaled(result("floor", 5, "floor"))
    assert here.median_ns == pytest.approx(100)
    assert here.role == "published"
    assert "not re-run" in here.note


def test_what_was_missed_or_not_measured_is_told() -> None:
    row = Row("a row", "somehow", [result("floor", 10, "floor"), result("ours", 25, "plugward")])
    row.goals = [Goal("a", "1", met=True), Goal("b", "2", met=False), Goal("c", "3", met=None)]
    row.skipped = ["NOBODY CAME"]
    page = report.markdown([row], {"cores": "2"})
    assert "| a row | b | 2 | **no** |" in page
    assert "| a row | c | 3 | not measured |" in page
    assert "**NOBODY CAME**" in page
    assert "| **ours** | 25 ns | 25 ns to 25 ns |  | 2.5 | plugward |" in page


def test_a_missing_plugward_is_said_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pluggy")
    monkeypatch.setattr(subject, "installed", lambda: False)
    row = inline_call.run(TINY)
    assert subject.MISSING in row.skipped
    assert [goal.met for goal in row.goals] == [None, None, None]


@pytest.mark.parametrize(
    ("nanoseconds", "text"), [(31.25, "31.2 ns"), (1500, "1.5 µs"), (2.5e6, "2.5 ms"), (3e9, "3 s")]
)
def test_durations(nanoseconds: float, text: str) -> None:
    assert report.duration(nanoseconds) == text


def test_results_are_plain_data(tmp_path: Any) -> None:
    report.write([Row("a row", "somehow", [result("x", 1)])], {"cores": "2"}, tmp_path)
    assert "a row" in (tmp_path / "results.json").read_text()
    assert (tmp_path / "RESULTS.md").read_text().startswith("# Results")


def test_rows_that_are_not_measured_again_are_kept_and_say_when_they_were(tmp_path: Any) -> None:
    old, other = (Row(name, "somehow", [result("x", 10)], [Goal("a", "1", met=True)]) for name in ("one", "two"))
    report.write([old, other], {"date": "2026-01-01"}, tmp_path)
    report.write([Row("two", "somehow", [result("x", 20)]), Row("three", "so")], {"date": "2026-01-02"}, tmp_path)
    report.write([Row("three", "so")], {"date": "2026-01-03"}, tmp_path)
    page = (tmp_path / "RESULTS.md").read_text()
    sections = {part.splitlines()[0]: part for part in page.split("\n## ")[2:]}
    assert list(sections) == ["one", "two", "three"]
    assert "Measured earlier: 2026-01-01." in sections["one"]
    assert "Measured earlier: 2026-01-02." in sections["two"]
    assert "20 ns" in sections["two"]
    assert "earlier" not in sections["three"]
    assert "| one | a | 1 | yes |" in page
