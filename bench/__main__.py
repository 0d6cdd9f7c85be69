"""python -m bench [--quick] [--out FOLDER] [row ...]."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from bench import machine, report
from bench.harness import FULL, QUICK, Effort, Row

ROWS = (
    "inline_call",
    "plugin_raises",
    "deadline_thread",
    "napi_call",
    "drop_in",
    "thousand_threads",
    "health_http",
    "process_call",
    "process_frame",
    "process_faults",
    "process_recovery",
    "tracking_step",
    "video_pipeline",
    "gpu_answer",
    "footprint",
)


def main() -> int:
    """Measure the rows and write the results. A goal that is missed is told, and is no error."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures the rows of the project's goals.")
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="a few rounds only: does it run at all?")
    parser.add_argument("--out", type=Path, default=report.HERE, help="the folder for RESULTS.md and results.json")
    options = parser.parse_args()
    unknown = sorted(set(options.rows) - set(ROWS))
    if unknown:
        parser.error(f"no row is called {', '.join(unknown)}; the rows are {', '.join(ROWS)}")

    about = machine.describe()
    if options.quick:
        about["note"] = "quick rounds (--quick)"
    rows = [measure(name, QUICK if options.quick else FULL) for name in options.rows or ROWS]
    about["load after"] = machine.load()
    report.write(rows, about, options.out)
    print("written: RESULTS.md and results.json")
    return 0


def measure(name: str, effort: Effort) -> Row:
    """Measure one row and print it."""
    print(f"== {name}", flush=True)
    row: Row = importlib.import_module(f"bench.rows.{name}").run(effort)
    for skipped in row.skipped:
        print(f"!! {skipped}", file=sys.stderr)
    for result in row.results:
        print(f"   {result.name:32} {report.duration(result.median_ns):>9}  {result.note}")
    for goal in row.goals:
        print(f"   {report.verdict(goal):>14}: {goal.wanted} ({goal.seen})")
    return row


if __name__ == "__main__":
    sys.exit(main())
