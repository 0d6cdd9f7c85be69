"""What a host relies on in a plugin, checked one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import plugward
from plugward._describe import plain

REFUSED = "PW-CALL-002"


def broken(plugin: Any, examples: dict[str, Mapping[str, Any]], deadline_ms: float) -> list[str]:
    """Each promise that the plugin does not keep, as a line that says what to do."""
    with plugward.Runtime(logging=False) as runtime:
        report = runtime.add_plugin(plugin, manifest={"isolation": "thread"})
        if not report.ok:
            return [f"it does not load: {report.error} ({report.remedy})"]
        name = report.name
        return [
            *_described(plugin, runtime.tools(name)),
            *_refuses(runtime, name),
            *_answers(runtime, name, examples, deadline_ms),
            *_restarts(runtime, name),
        ]


def _described(plugin: Any, tools: list[dict[str, Any]]) -> Iterator[str]:
    name = getattr(plugin, "name", None)
    if not isinstance(name, str) or not name.strip():
        yield "it has no name: give its class an attribute `name`"
    for tool in tools:
        if not (tool.get("description") or "").strip():
            yield f"tool {tool['id']} has no description: say in its entry of `tools` what it does"
        if tool.get("input_schema") is None:
            yield f"tool {tool['id']} has no input_schema: without one, bad input reaches its code"


def _refuses(runtime: plugward.Runtime, name: str) -> Iterator[str]:
    """Missing arguments are refused before the plugin is entered; so the check runs none of its code."""
    for tool in runtime.tools(name):
        if not (tool.get("input_schema") or {}).get("required"):
            continue
        outcome = runtime.call(name, tool["id"], {})
        if outcome.code != REFUSED:
            yield f"tool {tool['id']} took input without what its schema requires"


def _answers(
    runtime: plugward.Runtime, name: str, examples: dict[str, Mapping[str, Any]], deadline_ms: float
) -> Iterator[str]:
    known = [tool["id"] for tool in runtime.tools(name)]
    for tool, args in examples.items():
        if tool not in known:
            yield f"there is an example for {tool}, but no such tool; it has: {', '.join(known)}"
            continue
        outcome = runtime.call(name, tool, dict(args), deadline_ms=deadline_ms)
        if not outcome.ok:
            yield f"tool {tool} did not answer its example: {outcome.error_type}: {outcome.error} ({outcome.remedy})"
            runtime.restart(name)
            continue
        problem = _no_data(outcome.result)
        if problem:
            yield f"tool {tool} answered what JSON cannot carry: {problem}"


def _no_data(result: Any) -> str | None:
    try:
        json.dumps(result, default=plain, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return str(error)
    return None


def _restarts(runtime: plugward.Runtime, name: str) -> Iterator[str]:
    report = runtime.restart(name)
    if not report.ok:
        yield f"it loads once, but not a second time in the same process: {report.error}"
