"""The first host's own names, served by `plugward.forgesyte`, against what that host published of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from bench import published, subject
from bench.harness import Competitor, Effort, Goal, Result, Row, Statement, interleave, ratio_goal

PLUGINS = 100
HOW = (
    "a Python callable that returns its argument, run by each of the host's names; `run_plugin_tool` calls a plugin "
    f"that the host registered with its object; `list_all` lists {PLUGINS} plugins as pydantic models. The host's "
    "figures were published without a floor, so they are scaled by the floors of its other figures: the bare call, and "
    "the executor for the timeout. That is rough, for `list_all` most of all. Bare peers: the call, a "
    f"`ThreadPoolExecutor`, and {PLUGINS} such models validated from dicts at hand"
)
PAIRS = (
    ("run_plugin_sandboxed", published.DROP_IN_SANDBOX, "bare call"),
    ("run_plugin_tool", published.DROP_IN_PATH, "bare call"),
    ("run_with_timeout", published.DROP_IN_TIMEOUT, "ThreadPoolExecutor"),
    (f"list_all of {PLUGINS}", published.DROP_IN_LIST, "bare call"),
)


def echo(x: int) -> int:
    """Give the argument back."""
    return x


class Plugin:
    """As that host's plugin authors write them."""

    name = "p0"

    def __init__(self) -> None:
        """Say which tools there are."""
        self.tools = {"echo": {"handler": self.echo, "description": "", "input_schema": {}, "output_schema": {}}}

    def run_tool(self, tool: str, args: dict[str, Any]) -> Any:
        """Run a tool by its name."""
        return self.tools[tool]["handler"](**args)  # type: ignore[operator]

    def echo(self, x: int) -> int:
        """Give the argument back."""
        return x


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("drop-in for ForgeSyte", HOW)
    pool = ThreadPoolExecutor(max_workers=1)
    floors: list[Competitor] = [
        Statement("bare call", "echo(x=1)", {"echo": echo}, "floor"),
        Statement("ThreadPoolExecutor", "submit(echo, x=1).result(timeout=5)", {"submit": pool.submit, "echo": echo}),
    ]
    if subject.installed():
        with full_registry() as registry:
            row.results = interleave([*floors, *dropped_in(registry)], effort)
    else:
        row.skipped.append(subject.MISSING)
        row.results = interleave(floors, effort)
    pool.shutdown()
    add_published(row)
    return row


def add_published(row: Row) -> None:
    """Add the host's figures, and whether each is beaten."""
    for name, figure, floor in PAIRS:
        reference = row.find(floor)
        assert reference is not None
        theirs = figure.scaled(reference)
        row.results.append(theirs)
        row.goals.append(beaten(name, row.find(name), theirs))


def beaten(name: str, ours: Result | None, theirs: Result) -> Goal:
    """The timeout has a ratio in the project's goals; the other names are to be no slower than they were."""
    if name == "run_with_timeout":
        return ratio_goal(f"{name}: at least 8x faster than ForgeSyte's", ours, theirs, 8)
    return ratio_goal(f"{name}: faster than ForgeSyte's", ours, theirs, 1)


def dropped_in(registry: Any) -> list[Competitor]:
    """Plugward's side, seen to work once."""
    from pydantic import TypeAdapter

    from plugward.forgesyte.health.health_model import PluginHealthResponse
    from plugward.forgesyte.sandbox.sandbox_runner import run_plugin_sandboxed
    from plugward.forgesyte.sandbox.timeout import run_with_timeout
    from plugward.forgesyte.tool_runner import run_plugin_tool

    assert run_plugin_sandboxed(echo, x=1).result == 1
    assert run_plugin_tool("p0", "echo", {"x": 1}) == 1
    assert run_with_timeout(echo, 5, x=1).result == 1
    assert len(registry.list_all()) == PLUGINS
    models = TypeAdapter(list[PluginHealthResponse])
    names = {"echo": echo, "args": {"x": 1}, "sandboxed": run_plugin_sandboxed, "timed": run_with_timeout}
    names |= {"tool": run_plugin_tool, "list_all": registry.list_all}
    dicts = json.loads(models.dump_json(registry.list_all()))
    return [
        Statement(f"{PLUGINS} models from dicts", "make(dicts)", {"make": models.validate_python, "dicts": dicts}),
        Statement("run_plugin_sandboxed", "sandboxed(echo, x=1)", names, "plugward"),
        Statement("run_plugin_tool", "tool('p0', 'echo', args)", names, "plugward"),
        Statement("run_with_timeout", "timed(echo, 5, x=1)", names, "plugward"),
        Statement(f"list_all of {PLUGINS}", "list_all()", names, "plugward"),
    ]


@contextmanager
def full_registry() -> Iterator[Any]:
    """The process's registry with a hundred plugins; the one that was there before comes back."""
    from plugward.forgesyte.loader.plugin_registry import PluginRegistry

    subject.new_runtime()  # silences the log
    before = PluginRegistry._instance
    registry = PluginRegistry._create_instance()
    try:
        for number in range(PLUGINS):
            registry.register(f"p{number}", "echoes", "1.0.0", instance=Plugin() if number == 0 else None)
            registry.mark_initialized(f"p{number}")
        yield registry
    finally:
        PluginRegistry._instance = before
