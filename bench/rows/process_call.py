"""What a call of another process costs, with a kilobyte of text in and out."""

from __future__ import annotations

from bench import subject
from bench.harness import Competitor, Effort, Row, Statement, interleave, most_goal, ratio_goal
from bench.peers import processes
from bench.peers.floors import Floors
from bench.plugins.process.process import echo

HOW = (
    "a function in another process is sent 1000 characters and sends them back: Plugward as a Python plugin at "
    "`isolation=process`, the peers with one worker each; the floors are C, between two processes, in the same turns"
)


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("process call, 1 kB", HOW)
    floors = Floors()
    text = "x" * 1000
    with processes.pools(echo, text, len(text)) as peers:
        competitors: list[Competitor] = [floors.futex(), floors.pipe(), *peers]
        if subject.installed():
            runtime = subject.process()
            assert runtime.call("bench", "echo", {"data": text}).result == text
            names = {"call": runtime.call, "args": {"data": text}}
            competitors.append(Statement("Plugward process", "call('bench', 'echo', args)", names, "plugward"))
        else:
            row.skipped.append(subject.MISSING)
        row.results = interleave(competitors, effort)
    ours = row.find("Plugward process")
    if row.find(processes.Node.name) is None:
        row.skipped.append(processes.NO_NODE)
    row.goals = [
        ratio_goal("at least 12x faster than pebble", ours, row.find("pebble"), 12),
        ratio_goal("at least 2x faster than Node's IPC", ours, row.find(processes.Node.name), 2),
        most_goal("at most 2x the futex floor", ours, row.find("futex ping-pong"), 2),
    ]
    return row
