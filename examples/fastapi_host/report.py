"""Prints what the demo sees, as tables on a terminal and plain lines elsewhere, and keeps the broken promises."""

from __future__ import annotations

import json
import sys
from typing import Any

try:
    from rich.console import Console
    from rich.table import Table
except ImportError:  # the demo also runs without the extra packages
    RICH = False
else:
    RICH = sys.stdout.isatty()

COLOURS = {"INITIALIZED": "green", "RUNNING": "cyan", "FAILED": "red", "UNAVAILABLE": "yellow"}
WIDTH = 160


class Report:
    """The demo's output and its verdict."""

    def __init__(self) -> None:
        """Begin with nothing promised."""
        self.kept = 0
        self.broken: list[str] = []
        self._console = Console() if RICH else None

    def title(self, text: str) -> None:
        """Print a heading."""
        if self._console:
            self._console.rule(f"[bold]{text}")
        else:
            print(f"\n== {text}", flush=True)

    def line(self, text: str) -> None:
        """Print a line as it is."""
        print(f"   {text}", flush=True)

    def answer(self, what: str, answer: Any, elapsed_ms: float) -> None:
        """Print the answer to a request, cut to one line."""
        text = json.dumps(answer, separators=(",", ":"), ensure_ascii=False)
        self.line(f"{what}  ({elapsed_ms:.1f} ms)")
        self.line("  " + (text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."))

    def health(self, plugins: dict[str, dict[str, Any]]) -> None:
        """Print the health table."""
        rows = [
            (
                name,
                str(plugin.get("state")),
                str(plugin.get("generation", "")),
                str(plugin.get("success_count", 0)),
                str(plugin.get("error_count", 0)),
                str(plugin.get("reason") or ""),
            )
            for name, plugin in sorted(plugins.items())
        ]
        header = ("plugin", "state", "life", "ok", "errors", "reason")
        if self._console:
            table = Table(*header)
            for row in rows:
                table.add_row(row[0], f"[{COLOURS.get(row[1], 'white')}]{row[1]}", *row[2:])
            self._console.print(table)
            return
        for row in (header, *rows):
            self.line(f"{row[0]:14} {row[1]:12} {row[2]:>4} {row[3]:>4} {row[4]:>6}  {row[5]}"[:WIDTH].rstrip())

    def promise(self, text: str, kept: object, seen: object = None) -> None:
        """Note whether a promise was kept; a broken one is printed with what was seen instead."""
        if kept:
            self.kept += 1
            self.line(f"[ok] {text}")
        else:
            self.broken.append(text)
            self.line(f"[BROKEN] {text}; seen: {seen!r}")

    def verdict(self) -> int:
        """Print the summary; 0 only if every promise was kept and there was at least one."""
        print(f"\n{self.kept} promises kept, {len(self.broken)} broken", flush=True)
        for text in self.broken:
            print(f"  broken: {text}", flush=True)
        return 0 if self.kept and not self.broken else 1
