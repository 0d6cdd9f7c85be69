"""Times competitors in one run, in turns, and says whether a goal was met.

Absolute times drift by a factor of two between machines and minutes. So every round runs a batch of every competitor,
the order rotates from round to round, and what counts are ratios of medians over the rounds. Nothing asserts a time.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

Role = Literal["floor", "peer", "published", "plugward"]


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds of batches, single timings, and the length of soak tests."""

    rounds: int = 41
    batch_seconds: float = 0.02
    singles: int = 4000
    soak_seconds: float = 60.0


FULL = Effort()
QUICK = Effort(rounds=7, batch_seconds=0.005, singles=400, soak_seconds=3.0)


class Competitor(Protocol):
    """Something that can be timed."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    @property
    def role(self) -> Role:
        """What it is in the comparison."""

    def batch(self, number: int) -> float:
        """Seconds for `number` calls in a row."""

    def singles(self, number: int) -> list[float]:
        """Nanoseconds of each of `number` calls, the clock included."""


_LOOP = """
def batch(number, clock):
    begun = clock()
    for _ in range(number):
        {statement}
    return (clock() - begun) / 1e9

def singles(number, clock):
    took = []
    for _ in range(number):
        begun = clock()
        {statement}
        took.append(clock() - begun)
    return took
"""


class Statement:
    """A statement, compiled into the timing loop, so that no extra call is timed."""

    def __init__(self, name: str, statement: str, names: dict[str, Any], role: Role = "peer") -> None:
        """Compile `statement`, which sees `names`."""
        self.name = name
        self.role: Role = role
        self._names = dict(names)
        indented = statement.replace("\n", "\n        ")
        exec(_LOOP.format(statement=indented), self._names)

    def batch(self, number: int) -> float:
        """Seconds for `number` runs in a row."""
        return float(self._names["batch"](number, time.perf_counter_ns))

    def singles(self, number: int) -> list[float]:
        """Nanoseconds of each of `number` runs."""
        return list(self._names["singles"](number, time.perf_counter_ns))


class Coroutine:
    """A coroutine function, awaited in one running event loop."""

    def __init__(self, name: str, call: Callable[[], Awaitable[object]], role: Role = "peer") -> None:
        """Await what `call` gives, again and again."""
        self.name = name
        self.role: Role = role
        self._call = call
        self._runner = asyncio.Runner()

    def batch(self, number: int) -> float:
        """Seconds for `number` awaits in a row."""
        return sum(self.singles(number)) / 1e9

    def singles(self, number: int) -> list[float]:
        """Nanoseconds of each of `number` awaits."""
        return self._runner.run(self._each(number))

    def close(self) -> None:
        """End the event loop."""
        self._runner.close()

    async def _each(self, number: int) -> list[float]:
        took: list[float] = []
        for _ in range(number):
            begun = time.perf_counter_ns()
            await self._call()
            took.append(time.perf_counter_ns() - begun)
        return took


@dataclass(frozen=True)
class Result:
    """What one competitor took, in nanoseconds a call."""

    name: str
    role: Role
    median_ns: float
    low_ns: float
    high_ns: float
    p99_ns: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Goal:
    """One goal: what was wanted and what was seen. `met` is `None` where it could not be measured."""

    wanted: str
    seen: str
    met: bool | None


@dataclass
class Row:
    """One row of the goals with everything that was measured for it."""

    title: str
    how: str
    results: list[Result] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def find(self, name: str) -> Result | None:
        """The result of that name, if it was measured."""
        return next((result for result in self.results if result.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for results.json."""
        return asdict(self)


@contextmanager
def quiet_gc() -> Iterator[None]:
    """Keep the collector out of the timings."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def interleave(competitors: Sequence[Competitor], effort: Effort) -> list[Result]:
    """Time all competitors in turns."""
    numbers = {id(one): calls_for(one, effort.batch_seconds) for one in competitors}
    took: dict[int, list[float]] = {id(one): [] for one in competitors}
    with quiet_gc():
        for turn in range(effort.rounds):
            start = turn % len(competitors)
            for one in [*competitors[start:], *competitors[:start]]:
                number = numbers[id(one)]
                took[id(one)].append(one.batch(number) / number * 1e9)
        return [summary(one, took[id(one)], tail(one, effort)) for one in competitors]


def calls_for(one: Competitor, seconds: float) -> int:
    """How many calls fill a batch; also the warm-up."""
    number = 1
    while (took := one.batch(number)) < seconds / 4 and number < 1 << 22:
        number *= 2
    return max(1, int(number * seconds / max(took, 1e-9)))


def tail(one: Competitor, effort: Effort) -> float:
    """The 99th percentile of single calls, less what reading the clock costs; slow calls are timed fewer times."""
    fits = calls_for(one, effort.batch_seconds * 25)
    number = max(100, min(effort.singles, fits))
    clock = statistics.median(Statement("clock", "pass", {}).singles(1000))
    return max(0.0, percentile(one.singles(number), 99) - clock)


def summary(one: Competitor, took: list[float], p99: float | None) -> Result:
    """Median and quartiles over the rounds."""
    return Result(one.name, one.role, statistics.median(took), percentile(took, 25), percentile(took, 75), p99)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def ratio_goal(wanted: str, ours: Result | None, theirs: Result | None, least: float) -> Goal:
    """A goal of the kind "at least N times faster than that one"."""
    if ours is None or theirs is None:
        return Goal(wanted, "not measured", None)
    ratio = theirs.median_ns / ours.median_ns
    return Goal(wanted, f"{ratio:.1f}x {theirs.name}", ratio >= least)


def distance_goal(wanted: str, ours: Result | None, floor: Result | None, most_ns: float) -> Goal:
    """A goal of the kind "at most N nanoseconds over the floor"."""
    if ours is None or floor is None:
        return Goal(wanted, "not measured", None)
    over = ours.median_ns - floor.median_ns
    return Goal(wanted, f"+{over / 1e3:.2f} µs", over <= most_ns)


def most_goal(wanted: str, ours: Result | None, floor: Result | None, most: float) -> Goal:
    """A goal of the kind "at most N times that one"."""
    if ours is None or floor is None:
        return Goal(wanted, "not measured", None)
    ratio = ours.median_ns / floor.median_ns
    return Goal(wanted, f"{ratio:.2f}x {floor.name}", ratio <= most)
