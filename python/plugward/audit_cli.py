"""`plugward audit`: drift between what is installed, the registry and the health API. Exit 1 on issues."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import plugward
from plugward import _audit

DEFAULT_FOLDER = Path("plugins")
DEFAULT_GROUP = "plugward.plugins"


def audit(
    plugins: Annotated[
        Path | None, typer.Option("--plugins", "-p", help="A manifest, a plugin's folder, or a folder of them.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", "-g", help="An entry-point group; may be given several times.")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Audit the running server at this address, loading nothing here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Compare installed plugins, the registry and the health API; every issue says what to type next."""
    folder = plugins or (DEFAULT_FOLDER if DEFAULT_FOLDER.is_dir() else None)
    groups = group if group is not None else [DEFAULT_GROUP]
    found = _audit.discover(folder, groups)
    report = _of_server(url, found) if url else _of_this_process(folder, groups, found)
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
    else:
        _show(report)
    raise typer.Exit(1 if report.issues else 0)


def _of_server(url: str, found: list[_audit.Found]) -> _audit.Report:
    try:
        return _audit.audit(_audit.ServerSubject(url), found)
    except ValueError as error:
        raise typer.BadParameter(f"--url: {error}") from None


def _of_this_process(folder: Path | None, groups: list[str], found: list[_audit.Found]) -> _audit.Report:
    with plugward.Runtime(logging=False) as runtime:
        if folder is not None:
            runtime.load(folder)
        for group in groups:
            runtime.load_entry_points(group)
        return _audit.audit(_audit.LocalSubject(runtime, str(folder or DEFAULT_FOLDER)), found)


def _show(report: _audit.Report) -> None:
    out = Console(soft_wrap=True, highlight=False)
    out.print(f"audited {escape(report.subject)}: {len(report.discovered)} installed, {len(report.listed)} listed")
    if not report.issues:
        out.print("[green]no issues[/]")
        return
    if out.is_terminal:
        table = Table("plugin", "issue", "what is wrong", "type next")
        for issue in report.issues:
            table.add_row(*(escape(text) for text in (issue.plugin, issue.kind, issue.message, issue.next)))
        out.print(table)
    else:
        for issue in report.issues:
            line = f"{issue.kind}: {issue.plugin or report.subject}: {issue.message}; next: {issue.next}"
            out.print(line.replace("\n", " "), markup=False)
    out.print(f"[red]{len(report.issues)} issues[/]")
