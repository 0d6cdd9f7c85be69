"""An inline call with its deadline armed, the full outcome, state and metrics kept."""

from __future__ import annotations

from bench import published, subject
from bench.harness import Effort, Row, Statement, distance_goal, interleave, ratio_goal
from bench.peers import extism_echo, hooks

HOW = (
    "a Python callable that returns its argument; Plugward: `isolation=inline` with a deadline of one second armed; "
    "pluggy: one implementation, `firstresult`; guarded: with a wrapper that catches, times and counts; "
    "Extism: a WebAssembly module that returns its input, as bytes"
)


def echo(x: int) -> int:
    """Give the argument back."""
    return x


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("inline call", HOW)
    competitors = [
        Statement("bare call", "echo(x=1)", {"echo": echo}, "floor"),
        Statement("pluggy", "hook(x=1)", {"hook": hooks.manager(echo).hook.echo}),
        Statement("pluggy, guarded", "hook(x=1)", {"hook": hooks.manager(echo, guarded=True).hook.echo}),
    ]
    try:
        competitors.append(Statement("Extism", "call('echo', data)", {"call": extism_echo.load(), "data": b'{"x":1}'}))
    except extism_echo.UnusableError as error:
        row.skipped.append(f"EXTISM WAS NOT MEASURED: {error}")
    if subject.installed():
        runtime = subject.host({"echo": echo}, "inline", 1000)
        outcome = runtime.call("bench", "echo", {"x": 1})
        assert outcome.ok, outcome
        names = {"call": runtime.call, "args": {"x": 1}}
        competitors.append(Statement("Plugward inline", "call('bench', 'echo', args)", names, "plugward"))
    else:
        row.skipped.append(subject.MISSING)
    row.results = interleave(competitors, effort)
    floor = row.find("bare call")
    assert floor is not None
    row.results += [published.CALL_PATH.scaled(floor), published.CALL_SANDBOX.scaled(floor)]
    ours = row.find("Plugward inline")
    row.goals = [
        distance_goal("at most +0.5 µs over a bare call", ours, floor, 500),
        ratio_goal("at least 25x faster than ForgeSyte's path", ours, row.find("ForgeSyte, whole path"), 25),
        ratio_goal("at least 5x faster than pluggy", ours, row.find("pluggy"), 5),
    ]
    return row
