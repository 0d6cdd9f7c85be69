"""How soon a process knows whether it has a GPU: its first answer, and the next ones."""

from __future__ import annotations

import statistics
import subprocess
import sys

from bench import subject
from bench.harness import Effort, Goal, Result, Role, Row, percentile

HOW = (
    "a new process, plugward imported, asks for a GPU: wall time of its first answer and of its tenth. The peer opens "
    "the driver's library with ctypes, in a process of its own as well: the least that any answer costs"
)
ASK = """
import time
from plugward import DependencyChecker
ask = DependencyChecker().check_gpu
"""
OPEN = """
import ctypes, time
def ask():
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        pass
"""
TIMED = """
took = []
for _ in range(10):
    since = time.perf_counter_ns()
    ask()
    took.append(time.perf_counter_ns() - since)
print(took[0], took[-1])
"""
LIMIT_NS = 5e6


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("GPU answer", HOW)
    scripts = {"ctypes, dlopen alone": OPEN}
    if subject.installed():
        scripts["Plugward"] = ASK
    else:
        row.skipped.append(subject.MISSING)
    turns = max(5, effort.rounds // 2)
    took = {name: [asked(script) for _ in range(turns)] for name, script in scripts.items()}
    for name, pairs in took.items():
        for at, what in enumerate(("first answer", "tenth answer")):
            row.results.append(result(f"{name}: {what}", [pair[at] for pair in pairs]))
    for what in ("first answer", "tenth answer"):
        row.goals.append(goal(row.find(f"Plugward: {what}"), what))
    return row


def asked(script: str) -> tuple[float, float]:
    """Nanoseconds of the first and of the tenth answer of one process."""
    ended = subprocess.run([sys.executable, "-c", script + TIMED], capture_output=True, text=True, check=True)
    first, tenth = ended.stdout.split()
    return float(first), float(tenth)


def result(name: str, took: list[float]) -> Result:
    """Nanoseconds as a result."""
    role: Role = "plugward" if name.startswith("Plugward") else "peer"
    middle, note = statistics.median(took), f"p99 of {len(took)} processes"
    return Result(name, role, middle, percentile(took, 25), percentile(took, 75), percentile(took, 99), note)


def goal(ours: Result | None, what: str) -> Goal:
    """Without a driver an answer takes less than 5 ms; with one, the driver's own time counts as well."""
    wanted = f"{what} within 5 ms where there is no driver"
    if ours is None:
        return Goal(wanted, "not measured", None)
    return Goal(wanted, f"{ours.median_ns / 1e6:.2f} ms", ours.median_ns <= LIMIT_NS)
