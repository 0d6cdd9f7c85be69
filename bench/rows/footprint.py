"""What Plugward weighs: the wheel, the library, the import, and a worker that has nothing to do."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from pathlib import Path

from bench import subject
from bench.harness import Effort, Goal, Result, Row, percentile

HOW = (
    "files as they are shipped, in millions of bytes; `import plugward` in a new process; resident memory of a worker "
    "that has answered one call, less that of a bare interpreter (both count what they share with others)"
)
ROOT = Path(__file__).resolve().parents[2]
WHEELS, LIBRARY = "target/wheels/plugward-*.whl", "target/release/libplugward.so"
IMPORT = """
import time
since = time.perf_counter_ns()
import plugward
print(time.perf_counter_ns() - since)
"""
BARE = "import sys; print('here', flush=True); sys.stdin.read()"
IMPORT_MS, WHEEL_MB, LIBRARY_MB, WORKER_MB = 60, 8, 6, 15


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("footprint", HOW)
    row.goals += [
        size("wheel", WHEELS, WHEEL_MB, "make setup"),
        size("libplugward.so", LIBRARY, LIBRARY_MB, "make build"),
    ]
    row.skipped += [goal.seen for goal in row.goals if goal.met is None]
    if not subject.installed():
        row.skipped.append(subject.MISSING)
        return row
    took = [imported() for _ in range(max(5, effort.rounds // 2))]
    middle = statistics.median(took)
    note = f"p99 of {len(took)} processes"
    row.results.append(
        Result(
            "import plugward",
            "plugward",
            middle,
            percentile(took, 25),
            percentile(took, 75),
            percentile(took, 99),
            note,
        )
    )
    row.goals.append(Goal(f"import within {IMPORT_MS} ms", f"{middle / 1e6:.1f} ms", middle <= IMPORT_MS * 1e6))
    forked, bare = idle_worker(), bare_interpreter()
    over = (forked - bare) / 1e3
    seen = f"+{over:.1f} MB ({forked / 1e3:.1f} MB, a bare interpreter {bare / 1e3:.1f} MB)"
    row.goals.append(Goal(f"an idle worker: at most {WORKER_MB} MB over a bare interpreter", seen, over <= WORKER_MB))
    return row


def size(what: str, pattern: str, most_mb: int, how: str) -> Goal:
    """A file's size; the newest of those that fit."""
    found = sorted(ROOT.glob(pattern), key=lambda path: path.stat().st_mtime)
    wanted = f"{what}: at most {most_mb} MB"
    if not found:
        return Goal(wanted, f"{what} is not built ({how})", None)
    length = found[-1].stat().st_size
    return Goal(wanted, f"{length / 1e6:.2f} MB", length <= most_mb * 1e6)


def imported() -> float:
    """Nanoseconds of the import in a new process."""
    ended = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    return float(ended.stdout)


def idle_worker() -> float:
    """Resident kB of a worker that was forked from the fork-server, as all but the first are."""
    with subject.process() as runtime:
        assert runtime.restart("bench").ok
        assert runtime.call("bench", "echo", {"data": ""}).ok
        health = runtime.plugin_health("bench")
        assert health is not None
        return resident(health["pid"])


def bare_interpreter() -> float:
    """Resident kB of Python that has imported nothing."""
    command = [sys.executable, "-c", BARE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as bare:
        assert bare.stdout is not None
        bare.stdout.readline()
        kb = resident(bare.pid)
        bare.kill()
    return kb


def resident(pid: int) -> float:
    """Resident kB of a process."""
    found = re.search(r"^Rss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return float(found[1])
