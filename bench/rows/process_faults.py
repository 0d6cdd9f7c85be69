"""A worker process dies, overstays or eats memory: how soon its caller knows, and what it costs the host."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pebble import ProcessExpired, ProcessPool

from bench import subject
from bench.harness import Effort, Goal, Result, Role, Row, percentile, ratio_goal
from bench.plugins.process.process import die, echo, hang

if TYPE_CHECKING:
    import plugward

HOW = (
    "a function in another process ends it by SIGSEGV, abort or SIGKILL: from the call to the error in the caller's "
    "hand. Then one that overstays a deadline of 50 ms: how much later its caller is back. Then one that allocates "
    "16 MiB at a time, private or shared, beyond limits.memory_mb = 256: from the piece that crosses the limit to the "
    "error. multiprocessing.Pool has no row: its caller waits for ever"
)
WAYS = ("SIGSEGV", "SIGABRT", "SIGKILL")
DEADLINE = 0.05
LIMIT_MB = 256

Turn = Callable[[int], float]


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("process faults", HOW)
    turns = max(9, effort.rounds)
    spawn = get_context("spawn")
    with ProcessPool(max_workers=1, context=spawn) as pebble:
        deaths: dict[str, Turn] = {"pebble": pebble_death(pebble), "ProcessPoolExecutor": executor_death}
        late: dict[str, Turn] = {"pebble": pebble_late(pebble)}
        if subject.installed():
            runtime = subject.process()
            deaths["Plugward process"] = own_death(runtime)
            late["Plugward process"] = own_late(runtime)
        else:
            row.skipped.append(subject.MISSING)
        row.results = [*in_turns("dies", deaths, turns), *in_turns("late by", late, max(5, turns // 2))]
    judge(row)
    if subject.installed():
        for kind in ("private", "shared"):
            add_bomb(row, kind, turns // 4 + 1)
    return row


def in_turns(what: str, competitors: dict[str, Turn], turns: int) -> list[Result]:
    """Seconds of each competitor, one turn each, round by round."""
    took: dict[str, list[float]] = {name: [] for name in competitors}
    for turn in range(turns):
        for name, call in competitors.items():
            took[name].append(call(turn) * 1e9)
    return [result(f"{name}: {what}", took[name]) for name in competitors]


def result(name: str, took: list[float]) -> Result:
    """Nanoseconds as a result."""
    role: Role = "plugward" if name.startswith("Plugward") else "peer"
    middle = statistics.median(took)
    note = f"p99 of {len(took)}"
    return Result(name, role, middle, percentile(took, 25), percentile(took, 75), percentile(took, 99), note)


def pebble_death(pool: ProcessPool) -> Turn:
    """Pebble notices, and starts another worker by itself."""

    def turn(number: int) -> float:
        pool.schedule(echo, args=("ready",)).result()
        since = time.perf_counter()
        try:
            pool.schedule(die, args=(WAYS[number % 3],)).result()
        except ProcessExpired:
            return time.perf_counter() - since
        raise AssertionError("it lived on")

    return turn


def executor_death(number: int) -> float:
    """A pool of its own for every death, because all of the pool dies with its worker."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        pool.submit(echo, "ready").result()
        since = time.perf_counter()
        try:
            pool.submit(die, WAYS[number % 3]).result()
        except BrokenProcessPool:
            return time.perf_counter() - since
        raise AssertionError("it lived on")


def own_death(runtime: plugward.Runtime) -> Turn:
    """Plugward; the next generation is begun outside the timing."""

    def turn(number: int) -> float:
        since = time.perf_counter()
        outcome = runtime.call("bench", "die", {"how": WAYS[number % 3]})
        took = time.perf_counter() - since
        assert outcome.code == "PW-WORKER-004", outcome
        assert runtime.restart("bench").ok
        return took

    return turn


def pebble_late(pool: ProcessPool) -> Turn:
    """Pebble's timeout counts from when its worker begins."""

    def turn(_number: int) -> float:
        pool.schedule(echo, args=("ready",)).result()
        since = time.perf_counter()
        try:
            pool.schedule(hang, timeout=DEADLINE).result()
        except TimeoutError:
            return time.perf_counter() - since - DEADLINE
        raise AssertionError("it came back")

    return turn


def own_late(runtime: plugward.Runtime) -> Turn:
    """Plugward's deadline."""

    def turn(_number: int) -> float:
        since = time.perf_counter()
        outcome = runtime.call("bench", "hang", deadline_ms=DEADLINE * 1e3)
        late = time.perf_counter() - since - DEADLINE
        assert outcome.code == "PW-CALL-005", outcome
        assert runtime.restart("bench").ok
        return late

    return turn


def judge(row: Row) -> None:
    """The goals on deaths and deadlines."""
    dies, late = row.find("Plugward process: dies"), row.find("Plugward process: late by")
    row.goals.append(within("dies: at most 1 ms to the error, p99 at most 10 ms", dies, 1e6, 10e6))
    row.goals.append(ratio_goal("dies: at least 40x faster than pebble", dies, row.find("pebble: dies"), 40))
    row.goals.append(within("deadline overshoot: at most 2 ms", late, 2e6, None))


def within(wanted: str, ours: Result | None, median_ns: float, p99_ns: float | None) -> Goal:
    """A goal of the kind "at most N milliseconds"."""
    if ours is None or ours.p99_ns is None:
        return Goal(wanted, "not measured", None)
    met = ours.median_ns <= median_ns and (p99_ns is None or ours.p99_ns <= p99_ns)
    return Goal(wanted, f"{ours.median_ns / 1e6:.2f} ms, p99 {ours.p99_ns / 1e6:.2f} ms", met)


def add_bomb(row: Row, kind: str, turns: int) -> None:
    """Let the plugin allocate beyond its limit, and look at what the host has resident."""
    runtime = subject.process(limits={"memory_mb": LIMIT_MB})
    before, took = resident_mb(), []
    for _ in range(turns):
        since = time.monotonic_ns()
        outcome = runtime.call("bench", "bomb", {"shared": kind == "shared"}, deadline_ms=60_000)
        ended = time.monotonic_ns()
        assert outcome.code == "PW-CALL-014", outcome
        took.append(float(ended - crossed(runtime, outcome, since)))
        assert runtime.restart("bench").ok
    grown = resident_mb() - before
    found = result(f"Plugward, {kind} memory: dead after", took)
    row.results.append(found)
    wanted = f"{kind} memory bomb: dead within 100 ms of crossing its limit, host RSS +0"
    seen = f"{found.median_ns / 1e6:.1f} ms, worst {max(took) / 1e6:.1f} ms, host {grown:+.1f} MiB"
    row.goals.append(Goal(wanted, seen, max(took) <= 100e6 and grown < 4))


def crossed(runtime: plugward.Runtime, outcome: Any, since: int) -> int:
    """When the plugin said that it had more than it may have; when it said its last, if it never came so far."""
    said = [record["message"] for record in runtime.logs()] + (outcome.traceback or "").splitlines()
    lines = [(int(n), int(at)) for n, at in re.findall(r"^(\d+) (\d+)$", "\n".join(said), re.MULTILINE)]
    mine = [(n, at) for n, at in lines if at > since]  # earlier turns are in the log as well
    beyond = [at for n, at in mine if n > LIMIT_MB << 20]
    return min(beyond, default=max(at for _, at in mine))


def resident_mb() -> float:
    """What this process has resident."""
    text = Path("/proc/self/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", text)
    assert found is not None
    return int(found[1]) / 1024
