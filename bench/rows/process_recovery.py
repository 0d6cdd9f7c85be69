"""How soon after a worker's death the next call is served."""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing import get_context
from typing import TYPE_CHECKING

from pebble import ProcessExpired, ProcessPool

from bench import subject
from bench.harness import Effort, Row
from bench.plugins.process.process import die, echo
from bench.rows.process_faults import in_turns, within

if TYPE_CHECKING:
    import plugward

HOW = (
    "a function in another process ends it by SIGKILL; from the error in the caller's hand to the answer of the next "
    "call that is served, numpy imported in the worker that answers. Plugward with one warm spare, and without one: "
    "then the worker is forked from a process that has imported numpy, after a backoff of 1 ms. pebble starts its "
    "worker by spawn and imports numpy in an initializer"
)
RESTART = {"policy": "on_failure", "max": 1000, "within_s": 1, "backoff_ms": [1, 1]}

Turn = Callable[[int], float]


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("process recovery", HOW)
    turns = max(9, effort.rounds)
    with ProcessPool(max_workers=1, context=get_context("spawn"), initializer=import_numpy) as pebble:
        competitors: dict[str, Turn] = {"pebble": pebble_turn(pebble)}
        if subject.installed():
            needs = {"dependencies": ["numpy"], "restart": RESTART}
            competitors["Plugward, a warm spare"] = own_turn(subject.process(spares=1, **needs), 1)
            competitors["Plugward, forked"] = own_turn(subject.process(**needs), 0)
        else:
            row.skipped.append(subject.MISSING)
        row.results = in_turns("next call", competitors, turns)
    spare, forked = row.find("Plugward, a warm spare: next call"), row.find("Plugward, forked: next call")
    row.goals.append(within("with a warm spare: at most 5 ms", spare, 5e6, None))
    row.goals.append(within("without one, forked with numpy: at most 15 ms", forked, 15e6, None))
    return row


def import_numpy() -> None:
    """What every competitor's worker has imported."""
    import numpy  # noqa: F401


def pebble_turn(pool: ProcessPool) -> Turn:
    """Pebble notices, and starts another worker by itself."""

    def turn(_number: int) -> float:
        pool.schedule(echo, args=("ready",)).result()
        try:
            pool.schedule(die, args=("SIGKILL",)).result()
        except ProcessExpired:
            since = time.perf_counter()
            pool.schedule(echo, args=("again",)).result()
            return time.perf_counter() - since
        raise AssertionError("it lived on")

    return turn


def own_turn(runtime: plugward.Runtime, spares: int) -> Turn:
    """Plugward; its spare is made again outside the timing, its own and that of whoever comes next."""

    def turn(_number: int) -> float:
        await_spares(runtime, spares)
        outcome = runtime.call("bench", "die", {"how": "SIGKILL"})
        since = time.perf_counter()
        assert outcome.code == "PW-WORKER-004", outcome
        while not runtime.call("bench", "echo", {"data": "again"}).ok:
            time.sleep(0.0002)
            assert time.perf_counter() - since < 60, runtime.plugin_health("bench")
        took = time.perf_counter() - since
        await_spares(runtime, spares)
        return took

    return turn


def await_spares(runtime: plugward.Runtime, spares: int) -> None:
    """Wait until nothing is made in the background any more."""
    while (runtime.plugin_health("bench") or {})["spares"] < spares:
        time.sleep(0.001)
