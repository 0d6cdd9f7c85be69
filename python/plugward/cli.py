"""The console script `plugward`: run, list, check, doctor, audit.

Exit codes: 0 well; 1 a plugin or a dependency is not well; 2 the command was used wrongly.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Annotated, Any

try:
    import typer
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table
except ImportError:  # pragma: no cover - depends on what is installed
    print("plugward: the command line needs more packages; run: pip install 'plugward[cli]'", file=sys.stderr)  # noqa: T201
    raise SystemExit(2) from None

import plugward
from plugward import _json
from plugward.audit_cli import audit
from plugward.check_cli import check

app = typer.Typer(
    help="Plugward: plugins may raise, hang or crash, the host gets a structured answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(audit)
app.command()(check)
out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

COLOURS = {"INITIALIZED": "green", "RUNNING": "cyan", "FAILED": "red", "UNAVAILABLE": "yellow", "LOADED": "blue"}

Folder = Annotated[Path, typer.Option("--plugins", "-p", help="A manifest, a plugin's folder, or a folder of them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
def run(
    plugin: Annotated[str, typer.Argument(help="The plugin's name.")],
    tool: Annotated[str, typer.Argument(help="The tool.")],
    plugins: Folder = Path("plugins"),
    args: Annotated[str, typer.Option("--args", "-a", help="The arguments as a JSON object, or @FILE.")] = "{}",
    deadline_ms: Annotated[float | None, typer.Option(min=0.001, help="How long the call may take.")] = None,
    as_json: AsJson = False,
) -> None:
    """Load plugins and run one tool of one of them."""
    given = _arguments(args)
    with plugward.Runtime(logging=False) as runtime:
        runtime.load(plugins)
        outcome = runtime.call(plugin, tool, given, deadline_ms=deadline_ms)
        _tell(outcome, as_json)
    raise typer.Exit(0 if outcome.ok else 1)


def _arguments(text: str) -> dict[str, Any]:
    try:
        if text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        given = json.loads(text)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"--args: {error}") from None
    if not isinstance(given, dict):
        raise typer.BadParameter("--args must be a JSON object")
    return given


def _tell(outcome: plugward.Outcome, as_json: bool) -> None:
    if as_json:
        out.out(_json.dumps(outcome), highlight=False)
        return
    if outcome.ok:
        data = json.loads(_json.dumps(outcome))
        out.print_json(data=data.get("result"))
        err.print(f"[green]ok[/] in {outcome.elapsed_ms:.3f} ms")
        return
    err.print(f"[red]{outcome.error_type}[/] [{outcome.code}]", highlight=False, markup=True)
    err.print(f"  {outcome.error}", markup=False)
    err.print(f"  why: {outcome.cause}", markup=False)
    err.print(f"  what to do: {outcome.remedy}", markup=False)
    if outcome.traceback:
        err.print(outcome.traceback, markup=False)


@app.command("list")
def list_plugins(plugins: Folder = Path("plugins"), as_json: AsJson = False) -> None:
    """Load plugins and show their health."""
    with plugward.Runtime(logging=False) as runtime:
        runtime.load(plugins)
        health = runtime.health()
    if as_json:
        out.out(json.dumps(health), highlight=False)
    else:
        table = Table("plugin", "state", "version", "isolation", "tools", "reason or description")
        for one in health:
            state = f"[{COLOURS[one['state']]}]{one['state']}[/]"
            why = (one["reason"] or one["description"] or "").replace("[", r"\[")
            table.add_row(one["name"], state, one["version"] or "", one["isolation"], ", ".join(one["tools"]), why)
        out.print(table)
    raise typer.Exit(1 if any(one["state"] in ("FAILED", "UNAVAILABLE") for one in health) else 0)


@app.command()
def doctor(
    plugins: Annotated[Path | None, typer.Option("--plugins", "-p", help="Load these plugins as well.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what Plugward sees of this machine, and whether it works here."""
    facts = _facts()
    problems: list[str] = []
    with plugward.Runtime(logging=False) as runtime:
        runtime.add_host("doctor", {"answer": _answer}, deadline_ms=5000, isolation="thread")
        outcome = runtime.call("doctor", "answer")
        if not outcome.ok:
            problems.append(f"a call on another thread failed: {outcome.error}")
        runtime.unload("doctor")
        if plugins is not None:
            runtime.load(plugins)
        health, logs = runtime.health(), runtime.logs()
    problems += [f"{one['name']}: {one['reason']}" for one in health if one["reason"]]
    report = {"ok": not problems, "facts": facts, "problems": problems, "plugins": health, "log": logs[-20:]}
    if as_json:
        out.out(json.dumps(report), highlight=False)
    else:
        _show_doctor(report)
    raise typer.Exit(0 if not problems else 1)


def _answer() -> int:
    return 42


def _facts() -> dict[str, Any]:
    gpu = plugward.DependencyChecker().gpu()
    return {
        "plugward": plugward.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "gpu": "usable" if all(finding["ok"] for finding in gpu) else "not usable",
        "gpu_findings": gpu,
    }


def _show_doctor(report: dict[str, Any]) -> None:
    table = Table(show_header=False)
    for key, value in report["facts"].items():
        if key != "gpu_findings":
            table.add_row(key, escape(str(value)))
    for finding in report["facts"]["gpu_findings"]:
        mark = "" if finding["ok"] else f"{finding['code']}: "
        why = "" if finding["ok"] else f" ({finding['cause']})"
        table.add_row(f"gpu {finding['subject']}", escape(f"{mark}{finding['message']}{why}"))
    out.print(table)
    for line in report["problems"]:
        err.print(f"[red]problem[/] {escape(line)}", highlight=False)
    if not report["problems"]:
        out.print("[green]all is well[/]")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
