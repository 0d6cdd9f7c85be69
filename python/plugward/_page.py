"""The health page: one self-contained piece of HTML, without scripts or anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --ok: #1a7f37; --run: #0969da; --bad: #cf222e; --away: #9a6700; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0 0 .2rem; } p { margin: .2rem 0 1rem; opacity: .8; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .45rem .6rem; text-align: left; vertical-align: top; }
th { font-weight: 600; border-bottom: 2px solid var(--line); } td { border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.state { font-weight: 600; white-space: nowrap; } .why { overflow-wrap: anywhere; }
.INITIALIZED { color: var(--ok); } .RUNNING { color: var(--run); } .FAILED { color: var(--bad); }
.UNAVAILABLE, .LOADED { color: var(--away); } small { opacity: .75; }
"""

_HEAD = (
    ("plugin", ""),
    ("state", ""),
    ("life", "number"),
    ("ok", "number"),
    ("errors", "number"),
    ("mean ms", "number"),
    ("what is known", ""),
)


def page(plugins: Iterable[Mapping[str, Any]], summary: Mapping[str, Any]) -> str:
    """The page as text; it asks the browser to load it again every five seconds."""
    rows = "".join(_row(plugin) for plugin in plugins)
    head = "".join(f'<th class="{kind}">{escape(title)}</th>' for title, kind in _HEAD)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Plugward: plugins</title>'
        f"<style>{_STYLE}</style></head><body><h1>Plugins</h1><p>{_summary(summary)}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></body></html>"
    )


def _summary(summary: Mapping[str, Any]) -> str:
    ready = "ready" if summary["ready"] else f"not ready: {escape(str(summary['reason']))}"
    counts = ", ".join(f"{summary[key]} {key}" for key in ("available", "failed", "unavailable", "loading"))
    return f"{summary['total']} plugins: {counts}; {ready}"


def _row(plugin: Mapping[str, Any]) -> str:
    state = escape(str(plugin["state"]))
    name = escape(str(plugin["name"]))
    version = f" <small>{escape(str(plugin['version']))}</small>" if plugin["version"] else ""
    mean = plugin["avg_execution_time_ms"]
    return (
        f"<tr><td>{name}{version}</td>"
        f'<td class="state {state}">{state}</td>'
        f'<td class="number">{plugin["generation"]}</td>'
        f'<td class="number">{plugin["success_count"]}</td>'
        f'<td class="number">{plugin["error_count"]}</td>'
        f'<td class="number">{"" if mean is None else f"{mean:.2f}"}</td>'
        f'<td class="why">{_known(plugin)}</td></tr>'
    )


def _known(plugin: Mapping[str, Any]) -> str:
    parts = [escape(str(plugin["reason"] or plugin["description"] or ""))]
    if plugin["abandoned_threads"]:
        parts.append(f"<small>{plugin['abandoned_threads']} abandoned threads</small>")
    if plugin["in_flight"]:
        parts.append(f"<small>{plugin['in_flight']} calls under way</small>")
    return "<br>".join(part for part in parts if part)
