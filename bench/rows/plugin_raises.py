"""The same inline call, and the plugin raises."""

from __future__ import annotations

from bench import published, subject
from bench.harness import Effort, Row, Statement, distance_goal, interleave, ratio_goal
from bench.peers import hooks

HOW = (
    "a Python callable that raises ValueError; every competitor ends with the error in hand: bare and pluggy in an "
    "`except`, Plugward as an outcome with type, message, cause and remedy, the plugin still in service"
)


def fail(x: int) -> int:
    """Raise, with a message that is made for this call."""
    raise ValueError(f"{x} is refused")


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("plugin raises", HOW)
    caught = "try:\n    {}\nexcept ValueError as error:\n    str(error)"
    competitors = [
        Statement("bare try/except", caught.format("fail(x=1)"), {"fail": fail}, "floor"),
        Statement("pluggy", caught.format("hook(x=1)"), {"hook": hooks.manager(fail).hook.echo}),
        Statement("pluggy, guarded", "hook(x=1)", {"hook": hooks.manager(fail, guarded=True).hook.echo}),
    ]
    if subject.installed():
        runtime = subject.host({"fail": fail}, "inline", 1000)
        outcome = runtime.call("bench", "fail", {"x": 1})
        assert not outcome.ok, outcome
        assert outcome.error is not None
        names = {"call": runtime.call, "args": {"x": 1}}
        competitors.append(Statement("Plugward inline", "call('bench', 'fail', args).error", names, "plugward"))
    else:
        row.skipped.append(subject.MISSING)
    row.results = interleave(competitors, effort)
    floor = row.find("bare try/except")
    assert floor is not None
    row.results.append(published.RAISE_PATH.scaled(floor))
    ours = row.find("Plugward inline")
    row.goals = [
        distance_goal("at most +0.5 µs over try/except", ours, floor, 500),
        ratio_goal("at least 30x faster than ForgeSyte's path", ours, row.find("ForgeSyte, whole path"), 30),
    ]
    return row
