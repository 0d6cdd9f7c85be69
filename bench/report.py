"""Writes results.json and RESULTS.md."""

from __future__ import annotations

import json
from pathlib import Path

from bench.harness import Goal, Result, Row

HERE = Path(__file__).parent
INTRO = """# Results

Written by `make bench`; do not edit. Competitors take turns in one run; a median is over the rounds, quartiles stand
beside it, p99 is of single calls. Ratios within one run are what counts: absolute times drift by a factor of two from
machine to machine. Rows marked "published" could not be run here: the figure and its reference come from the project's
goals, and the figure is scaled by the reference measured here.
"""


def write(rows: list[Row], machine: dict[str, str], folder: Path = HERE) -> None:
    """Write both files. Rows that were measured before and not now are kept, and say when."""
    rows = merged(kept(folder), rows)
    data = {"machine": machine, "rows": [row.to_dict() for row in rows]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    (folder / "RESULTS.md").write_text(markdown(rows, machine))


def kept(folder: Path) -> list[Row]:
    """The rows of the last run, each with the day it was measured."""
    file = folder / "results.json"
    if not file.exists():
        return []
    before = json.loads(file.read_text())
    found = []
    for data in before["rows"]:
        row = Row(**data)
        row.results = [Result(**result) for result in data["results"]]
        row.goals = [Goal(**goal) for goal in data["goals"]]
        row.extra.setdefault("measured", before["machine"]["date"])
        found.append(row)
    return found


def merged(before: list[Row], now: list[Row]) -> list[Row]:
    """Every row once: as it is now, in its old place, and what is new at the end."""
    fresh = {row.title: row for row in now}
    rows = [fresh.pop(row.title, row) for row in before]
    return [*rows, *fresh.values()]


def markdown(rows: list[Row], machine: dict[str, str]) -> str:
    """The whole page."""
    parts = [INTRO, "| machine | |\n|---|---|"]
    parts[-1] += "".join(f"\n| {key} | {value} |" for key, value in machine.items())
    parts.append("## Goals\n\n| row | goal | seen | met |\n|---|---|---|---|")
    parts[-1] += "".join(
        f"\n| {row.title} | {goal.wanted} | {goal.seen} | {verdict(goal)} |" for row in rows for goal in row.goals
    )
    parts += [section(row) for row in rows]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def section(row: Row) -> str:
    """One row with all competitors."""
    floor = next((result for result in row.results if result.role == "floor"), None)
    lines = [f"## {row.title}", "", row.how + ".", ""]
    lines += [f"Measured earlier: {row.extra['measured']}.\n"] if "measured" in row.extra else []
    lines += [f"**{skipped}**\n" for skipped in row.skipped]
    if row.results:
        lines += ["| competitor | median | quartiles | p99 | x floor | note |", "|---|---|---|---|---|---|"]
        lines += [line(result, floor) for result in row.results]
    return "\n".join(lines)


def line(result: Result, floor: Result | None) -> str:
    """One competitor."""
    name = f"**{result.name}**" if result.role == "plugward" else result.name
    quartiles = "" if result.role == "published" else f"{duration(result.low_ns)} to {duration(result.high_ns)}"
    p99 = "" if result.p99_ns is None else duration(result.p99_ns)
    times = "" if floor is None else f"{result.median_ns / floor.median_ns:.1f}"
    return f"| {name} | {duration(result.median_ns)} | {quartiles} | {p99} | {times} | {result.note or result.role} |"


def verdict(goal: Goal) -> str:
    """Yes, no, or that it was not measured."""
    return {True: "yes", False: "**no**", None: "not measured"}[goal.met]


def duration(nanoseconds: float) -> str:
    """Three figures and the unit that fits."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if abs(nanoseconds) >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"
