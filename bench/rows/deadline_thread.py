"""A call with a deadline that the caller can count on: what it costs, and how late the caller is back."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import func_timeout

from bench import published, subject
from bench.harness import (
    Competitor,
    Coroutine,
    Effort,
    Goal,
    Result,
    Row,
    Statement,
    interleave,
    percentile,
    ratio_goal,
)

HOW = (
    "a Python callable that returns at once, run on another thread with a deadline of five seconds; then one that "
    "sleeps far beyond a deadline of 50 ms: how much later than the deadline the caller is back"
)
DEADLINE = 0.05
HANG = 0.4


def echo(x: int) -> int:
    """Give the argument back."""
    return x


def hang(x: int) -> int:
    """Come back long after the deadline."""
    time.sleep(HANG)
    return x


class HandOver:
    """A waiting thread that is woken and wakes its caller: the least that any call on another thread costs."""

    def __init__(self) -> None:
        """Start the thread."""
        self._go, self._done = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._done.acquire()
        threading.Thread(target=self._serve, daemon=True).start()

    def turn(self) -> None:
        """Wake the thread and wait until it has woken us."""
        self._go.release()
        self._done.acquire()

    def _serve(self) -> None:
        while True:
            self._go.acquire()
            self._done.release()


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("deadline (thread)", HOW)
    pool = ThreadPoolExecutor(max_workers=1)
    coroutine = Coroutine("asyncio.wait_for(to_thread)", lambda: asyncio.wait_for(asyncio.to_thread(echo, x=1), 5))
    competitors: list[Competitor] = [
        Statement("thread hand-over", "turn()", {"turn": HandOver().turn}, "floor"),
        Statement("ThreadPoolExecutor", "submit(echo, x=1).result(timeout=5)", {"submit": pool.submit, "echo": echo}),
        Statement("func_timeout", "run(5, echo, (1,))", {"run": func_timeout.func_timeout, "echo": echo}),
        coroutine,
    ]
    if subject.installed():
        runtime = subject.host({"echo": echo}, "thread", 5000)
        assert runtime.call("bench", "echo", {"x": 1}).ok
        names = {"call": runtime.call, "args": {"x": 1}}
        competitors.append(Statement("Plugward thread", "call('bench', 'echo', args)", names, "plugward"))
    else:
        row.skipped.append(subject.MISSING)
    row.results = interleave(competitors, effort)
    coroutine.close()
    pool.shutdown()
    executor, ours = row.find("ThreadPoolExecutor"), row.find("Plugward thread")
    assert executor is not None
    row.results.append(published.TIMEOUT.scaled(executor))
    row.goals = [
        ratio_goal("at most 1x the executor", ours, executor, 1),
        ratio_goal("at least 8x faster than ForgeSyte's timeout", ours, row.find("ForgeSyte, timeout"), 8),
    ]
    add_overshoot(row, effort)
    return row


def add_overshoot(row: Row, effort: Effort) -> None:
    """Measure how late each competitor is back from a call that hangs."""
    repeats = max(5, effort.rounds // 2)
    late = {name: measure_late(call, repeats) for name, call in hanging(repeats).items()}
    row.results += [overshoot(name, took) for name, took in late.items()]
    ours = late.get("Plugward thread")
    seen = "not measured" if ours is None else f"{statistics.median(ours):.2f} ms, worst {max(ours):.2f} ms"
    met = None if ours is None else statistics.median(ours) <= 5
    row.goals.append(Goal("the caller is back at most 5 ms after the deadline", seen, met))
    row.extra["late_ms"] = late


def hanging(repeats: int) -> dict[str, Callable[[int], None]]:
    """For each competitor, a function that calls something that hangs and comes back when it is cut."""
    pool = ThreadPoolExecutor(max_workers=repeats)

    def executor(_turn: int) -> None:
        try:
            pool.submit(hang, 1).result(timeout=DEADLINE)
        except TimeoutError:
            return
        raise AssertionError("the hang came back")

    def killed(_turn: int) -> None:
        try:
            func_timeout.func_timeout(DEADLINE, hang, (1,))
        except func_timeout.FunctionTimedOut:
            return
        raise AssertionError("the hang came back")

    calls: dict[str, Callable[[int], None]] = {"ThreadPoolExecutor": executor, "func_timeout": killed}
    if subject.installed():
        calls["Plugward thread"] = ours(repeats)
    return calls


def ours(repeats: int) -> Callable[[int], None]:
    """Plugward's side: a deadline is a fault, so every turn has a plugin of its own."""
    runtime = subject.new_runtime()
    for turn in range(repeats):
        runtime.add_host(f"hang{turn}", {"hang": hang}, isolation="thread", deadline_ms=int(DEADLINE * 1e3))

    def call(turn: int) -> None:
        outcome = runtime.call(f"hang{turn}", "hang", {"x": 1})
        assert not outcome.ok, outcome

    return call


def measure_late(call: Callable[[int], None], repeats: int) -> list[float]:
    """Milliseconds after the deadline at which the caller was back, for each turn."""
    late = []
    for turn in range(repeats):
        begun = time.perf_counter()
        call(turn)
        late.append((time.perf_counter() - begun - DEADLINE) * 1e3)
    return late


def overshoot(name: str, late_ms: list[float]) -> Result:
    """The lateness as a result of the row."""
    took = [value * 1e6 for value in late_ms]
    return Result(
        f"{name}: late by",
        "plugward" if name.startswith("Plugward") else "peer",
        statistics.median(took),
        percentile(took, 25),
        percentile(took, 75),
        max(took),
        f"after a deadline of {DEADLINE * 1e3:.0f} ms; p99 is the worst of {len(took)}",
    )
