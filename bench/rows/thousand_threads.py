"""A thousand threads read the health of fifty plugins while four writers flip their states."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import subject
from bench.harness import Effort, Goal, Result, Role, Row, percentile
from bench.peers.registry import LockedRegistry, ReadWriteRegistry

ROOT = Path(__file__).resolve().parents[2]
READERS, WRITERS, PLUGINS = 1000, 4, 50
WINDOWS = 6
PAUSE = 0.05
HOW = (
    f"{READERS} threads read a snapshot of {PLUGINS} plugins while {WRITERS} writers flip states. Native threads read "
    "without a pause: once the states alone, once the full health objects, which the goals are about. "
    f"Python threads pause {PAUSE * 1e3:.0f} ms between reads, as request handlers do: without it the "
    "interpreter lock alone decides who runs. One soak after the other; a window is a sixth of a soak, and a thread "
    "that finished nothing in one is a stall"
)


@dataclass
class Soak:
    """What a soak has seen."""

    read_ns: list[float] = field(default_factory=list)
    write_ns: list[float] = field(default_factory=list)
    stalls: int = 0
    windows: int = 0


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("1000 threads", HOW)
    for name, registry in (
        ("lock, copies", LockedRegistry(PLUGINS)),
        ("read-write lock, copies", ReadWriteRegistry(PLUGINS)),
    ):
        add(row, name, "peer", soak(registry.snapshot, registry.flip, effort.soak_seconds / 4))
    python = None
    if subject.installed():
        python = soak(*plugward_sides(), effort.soak_seconds)
        add(row, "Plugward, Python threads", "plugward", python)
    else:
        row.skipped.append(subject.MISSING)
    native = None
    if shutil.which("cargo") is None:
        row.skipped.append("NATIVE THREADS WERE NOT MEASURED: cargo is missing")
    else:
        for what in ("status", "health"):
            native = native_soak(effort.soak_seconds, what)
            row.extra[what] = native
            add_native(row, native, what)
    row.goals = goals(python, native)
    return row


def plugward_sides() -> tuple[Callable[[], object], Callable[[int], object]]:
    """The read and the write side of a runtime: a call takes its plugin to RUNNING and back."""
    runtime = subject.new_runtime()
    for number in range(PLUGINS):
        runtime.add_host(f"p{number}", {"echo": lambda x: x}, isolation="inline")
    return runtime.health, lambda turn: runtime.call(f"p{turn % PLUGINS}", "echo", {"x": 1})


def soak(read: Callable[[], object], write: Callable[[int], object], seconds: float) -> Soak:
    """Run readers and writers for some seconds and see whether each of them gets on in every window."""
    seen = Soak()
    counts = [0] * (READERS + WRITERS)
    times: list[list[float]] = [[] for _ in counts]
    ended = threading.Event()
    gate = threading.Barrier(len(counts) + 1)

    def work(index: int, act: Callable[[], object]) -> None:
        gate.wait()
        while not ended.is_set():
            begun = time.perf_counter_ns()
            act()
            times[index].append(time.perf_counter_ns() - begun)
            counts[index] += 1
            time.sleep(PAUSE)

    def writer(index: int) -> Callable[[], object]:
        return lambda: write(counts[index] * WRITERS + index)

    before = threading.stack_size(256 << 10)
    threads = [
        threading.Thread(target=work, args=(index, read if index < READERS else writer(index)), daemon=True)
        for index in range(len(counts))
    ]
    for thread in threads:
        thread.start()
    threading.stack_size(before)
    gate.wait()
    watch(counts, seconds, seen)
    ended.set()
    finish = time.monotonic() + 30
    for thread in threads:
        thread.join(max(0.0, finish - time.monotonic()))
    seen.stalls += sum(thread.is_alive() for thread in threads)
    seen.read_ns = [took for one in times[:READERS] for took in one]
    seen.write_ns = [took for one in times[READERS:] for took in one]
    return seen


def watch(counts: list[int], seconds: float, seen: Soak) -> None:
    """Look at every thread's count at the end of each window."""
    last = list(counts)
    for _ in range(WINDOWS):
        time.sleep(seconds / WINDOWS)
        now = list(counts)
        seen.stalls += sum(after == before for after, before in zip(now, last, strict=True))
        seen.windows += 1
        last = now


def native_soak(seconds: float, what: str) -> dict[str, Any]:
    """The same from native threads, by a program of the core."""
    command = [
        "cargo",
        "run",
        "--quiet",
        "--release",
        "--locked",
        "-p",
        "plugward-core",
        "--example",
        "thousand_threads",
    ]
    ended = subprocess.run([*command, "--", str(seconds), what], cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise RuntimeError(f"the native program ended with {ended.returncode}:\n{ended.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def add(row: Row, name: str, role: Role, seen: Soak) -> None:
    """Add the readers' and writers' times of a soak."""
    note = f"{len(seen.read_ns)} reads, {len(seen.write_ns)} writes, {seen.stalls} stalls in {seen.windows} windows"
    for side, took in (("read", seen.read_ns), ("write", seen.write_ns)):
        if took:
            p25, p50, p75, p99 = (percentile(took, percent) for percent in (25, 50, 75, 99))
            row.results.append(Result(f"{name}: {side}", role, p50, p25, p75, p99, note))


def add_native(row: Row, native: dict[str, Any], what: str) -> None:
    """Add the native program's times."""
    note = (
        f"{native['reads']} reads, {native['writes']} writes, {native['stalls']} stalls in {native['windows']} windows"
    )
    for side in ("read", "write"):
        p25, p50, p75, p99 = (float(native[f"{side}_ns"][key]) for key in ("p25", "p50", "p75", "p99"))
        row.results.append(Result(f"Plugward, native threads, {what}: {side}", "plugward", p50, p25, p75, p99, note))


def goals(python: Soak | None, native: dict[str, Any] | None) -> list[Goal]:
    """The row's goals."""
    progress = "every reader and writer gets on in every window"
    found = [Goal(f"{progress} (Python)", "not measured", None)]
    if python is not None:
        found = [Goal(f"{progress} (Python)", f"{python.stalls} stalls", python.stalls == 0)]
    if native is None:
        return [
            *found,
            *(Goal(f"{what} (native)", "not measured", None) for what in (progress, "p50 <= 20 µs", "p99 <= 1 ms")),
        ]
    p50, p99 = native["read_ns"]["p50"], native["read_ns"]["p99"]
    return [
        *found,
        Goal(f"{progress} (native)", f"{native['stalls']} stalls", native["stalls"] == 0),
        Goal("p50 <= 20 µs (native)", f"{p50 / 1e3:.2f} µs", p50 <= 20_000),
        Goal("p99 <= 1 ms (native)", f"{p99 / 1e6:.2f} ms", p99 <= 1_000_000),
        Goal("no torn read (native)", f"{native['torn']} torn", native["torn"] == 0),
    ]
