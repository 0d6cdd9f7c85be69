"""`plugward check`: is what plugins need there? Exit 1 where something is missing, 2 where nothing can be read."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

import plugward
from plugward import _native
from plugward._environment import visible
from plugward.errors import PlugwardError

MISSING, UNREADABLE = 1, 2
PLAIN_WIDTH = 120
"""Columns where the output is no terminal and COLUMNS does not say otherwise."""


def check(
    path: Annotated[Path, typer.Argument(help="A manifest, a plugin's folder, or a folder of them.")],
    deep: Annotated[bool, typer.Option("--deep", help="Import each package in a throw-away process.")] = False,
    import_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that one import may take with --deep.")
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Check what plugins need, without importing or running any of them, and say what they may do."""
    width = None if os.environ.get("COLUMNS") else PLAIN_WIDTH
    out, err = Console(highlight=False), Console(stderr=True, highlight=False, soft_wrap=True)
    if not out.is_terminal:
        out = Console(highlight=False, width=width)
    with _watched(err) as progress:
        reports = [_checked(one, deep, import_timeout, progress) for one in _native.discover_plugins(path)]
    if as_json:
        typer.echo(json.dumps(reports))
    else:
        for report in reports:
            _show(out, report)
        _sum_up(out, reports)
    if not reports:
        err.print(f"no plugin was found at {path}", markup=False)
    raise typer.Exit(_status(reports))


def _status(reports: list[dict[str, Any]]) -> int:
    if not reports or any(report["error"] for report in reports):
        return UNREADABLE
    return 0 if all(report["ok"] for report in reports) else MISSING


def _checked(candidate: dict[str, Any], deep: bool, import_timeout: float, progress: _Bars) -> dict[str, Any]:
    error = candidate["error"]
    findings: list[dict[str, Any]] = []
    permissions = None
    if error is None:
        checker = plugward.DependencyChecker()
        try:
            findings = checker.check(candidate["path"], deep=deep, import_timeout=import_timeout, progress=progress)
            permissions = plugward.describe_permissions(candidate["path"])
        except PlugwardError as wrong:
            error = {"code": wrong.code, "message": str(wrong), "cause": wrong.cause, "remedy": wrong.remedy}
    ok = error is None and all(finding["ok"] for finding in findings)
    return {
        "name": candidate["name"],
        "path": visible(str(candidate["path"])),
        "ok": ok,
        "error": error,
        "findings": findings,
        "permissions": permissions,
    }


# --- the progress of large files -------------------------------------------------------------------------------------


class _Bars:
    """One bar for each file that is being read; the checks report from their own threads."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._tasks: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __call__(self, path: str, done: int, total: int) -> None:
        if self._progress is None:
            return
        name = str(path)
        with self._lock:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(Path(name).name, total=total)
            self._progress.update(self._tasks[name], completed=done, total=total)


@contextmanager
def _watched(err: Console) -> Iterator[_Bars]:
    """Bars on standard error where that is a terminal; they are gone when all is read."""
    if not err.is_terminal:
        yield _Bars(None)
        return
    columns = (TextColumn("reading {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        yield _Bars(progress)


# --- what people see -------------------------------------------------------------------------------------------------


def _show(out: Console, report: dict[str, Any]) -> None:
    out.rule(Text(report["name"]), align="left")
    if report["error"]:
        text = Text.assemble(("the manifest cannot be used", "red"), f" [{report['error']['code']}]")
        out.print(text)
        out.print(Text(report["error"]["message"]))
        out.print(Text(f"why: {report['error']['cause']}"))
        out.print(Text(f"do: {report['error']['remedy']}"))
        return
    table = Table("", "kind", "subject", "finding", show_lines=False)
    for one in report["findings"]:
        mark = Text("ok", "green") if one["ok"] else Text(one["code"], "red")
        table.add_row(mark, one["kind"], Text(one["subject"]), _told(one))
    out.print(table)
    out.print(_permissions(report["permissions"]))


def _permissions(described: dict[str, Any]) -> Table:
    """What it may do, with the line of the manifest that says so; limits that are not set are left out."""
    table = Table("what it may do", "held by", "in the manifest")
    for clause in described["clauses"]:
        if clause["allowed"] == "everything" and clause["line"].startswith("limits."):
            continue
        held = Text(clause["mechanism"], "" if clause["enforced"] else "yellow")
        table.add_row(Text(clause["text"]), held, clause["line"])
    return table


def _told(finding: dict[str, Any]) -> Text:
    text = Text(finding["message"])
    if finding["cause"]:
        text.append("\nnote: " if finding["ok"] else "\nwhy: ", "dim")
        text.append(finding["cause"])
    if finding["remedy"]:
        text.append("\ndo: ", "dim")
        text.append(finding["remedy"])
    return text


def _sum_up(out: Console, reports: list[dict[str, Any]]) -> None:
    bad = sum(not finding["ok"] for report in reports for finding in report["findings"])
    unread = sum(report["error"] is not None for report in reports)
    if bad or unread:
        manifests = f"manifests that cannot be used: {unread}; " if unread else ""
        out.print(Text(f"{manifests}findings that need a hand: {bad}", "red"))
    elif reports:
        out.print(Text("all that is needed is there", "green"))
