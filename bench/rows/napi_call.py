"""What a call through the Node addon costs over a bare JavaScript call."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any

from bench.harness import Effort, Result, Row, distance_goal, percentile

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "bench" / "node" / "napi_call.mjs"
NEEDED = (ROOT / "node" / "plugward.node", ROOT / "node" / "dist" / "src" / "index.mjs")
MISSING = "THE NODE DOOR WAS NOT MEASURED: {} (make bench builds it where npm is)"
HOW = (
    "one Node program, everything in turns: a function that returns its argument, called bare, by `callSync` and by "
    "`await call` of an inline plugin, without a deadline and with one of a second armed; the no-op is `version()` of "
    "the addon. Then the same function in a worker: a plugin at `isolation=thread` with a deadline, beside a "
    "plain `worker_threads` worker that posts back what it is sent, which knows no deadline, state or outcome"
)


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("N-API call overhead", HOW)
    reason = unusable()
    if reason is None:
        measured = measure(effort)
        row.extra["node"] = measured["node"]
        row.results = [result(one) for one in measured["results"]]
        compare(row, "thread call, deadline", "worker_threads message and back")
    else:
        row.skipped.append(MISSING.format(reason))
    bare = row.find("bare call")
    row.goals = [
        distance_goal(f"{name}: at most +1 µs over a bare call", row.find(name), bare, 1000)
        for name in ("callSync, no deadline", "callSync, deadline")
    ]
    return row


def unusable() -> str | None:
    """Why the program cannot run here, if it cannot."""
    if shutil.which("node") is None:
        return "node is missing"
    return next((f"{path.relative_to(ROOT)} is not built" for path in NEEDED if not path.exists()), None)


def measure(effort: Effort) -> dict[str, Any]:
    """Run the program; what it wrote."""
    options = {"rounds": effort.rounds, "batchSeconds": effort.batch_seconds, "singles": effort.singles}
    command = ["node", str(PROGRAM), json.dumps(options)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    if ended.returncode != 0:
        raise RuntimeError(f"the Node program ended with {ended.returncode}:\n{ended.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def result(one: dict[str, Any]) -> Result:
    """Median and quartiles over the rounds; the tail is of single calls, less what reading the clock costs."""
    took, p99 = one["took"], max(0.0, percentile(one["singles"], 99) - one["clock"])
    p25, p75 = percentile(took, 25), percentile(took, 75)
    return Result(one["name"], one["role"], statistics.median(took), p25, p75, p99)


def compare(row: Row, ours: str, theirs: str) -> None:
    """Write down how a call stands to its own peer, which is not the row's floor."""
    found, peer = row.find(ours), row.find(theirs)
    assert found is not None
    assert peer is not None
    note = f"{found.median_ns / peer.median_ns:.1f}x {theirs}"
    row.results = [Result(**{**vars(one), "note": note}) if one is found else one for one in row.results]
