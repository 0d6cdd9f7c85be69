"""Replays `tests/conformance/*.json` at the Python door; the core, C and Node replay the same files."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import new_class
from typing import Any

import pytest

import plugward

DOOR = "python"
STORIES = sorted((Path(__file__).parents[2] / "tests" / "conformance").glob("*.json"))


class Fixture:
    """Tools that do what their ids say."""

    def __init__(self, tools: list[dict[str, Any]]) -> None:
        self.tools = {tool["id"]: self.described(**tool) for tool in tools}

    def described(self, id: str, **spec: Any) -> dict[str, Any]:  # noqa: A002 (a tool's member)
        return {"handler": getattr(self, "raise_" if id == "raise" else id), **spec}

    def echo(self, **args: Any) -> dict[str, Any]:
        return args

    def text(self) -> str:
        return "text"

    def raise_(self, type: str, message: str) -> None:  # noqa: A002 (the story's word)
        raise new_class(type, (Exception,))(message)

    def refuse(self, message: str) -> None:
        raise plugward.InvalidInput(message)

    def hang(self) -> str:
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            with suppress(BaseException):
                time.sleep(deadline - time.monotonic())
        return "late"

    def exit(self, status: int) -> None:
        sys.exit(status)


def code_of(action: Any) -> dict[str, Any]:
    try:
        action()
    except plugward.PlugwardError as error:
        return {"code": error.code}
    return {"code": None}


def load(rt: plugward.Runtime, manifest: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in manifest.items() if key not in ("tools", "name")}
    return report(rt.add_plugin(Fixture(manifest["tools"]), manifest["name"], rest))


def report(seen: plugward.LoadReport) -> dict[str, Any]:
    return {"state": seen.state, "generation": seen.generation, "code": seen.code}


def told(begin: Callable[[], plugward.LoadReport]) -> dict[str, Any]:
    try:
        return report(begin())
    except plugward.PlugwardError as error:
        return {"code": error.code}


def mark(rt: plugward.Runtime, what: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"state": rt.mark(what["name"], what["event"], what.get("reason", ""))}
    except plugward.PlugwardError as error:
        return {"code": error.code}


def wait(rt: plugward.Runtime, what: dict[str, Any]) -> dict[str, Any]:
    field, value = next((key, item) for key, item in what.items() if key != "plugin")
    until = time.monotonic() + 60
    while (rt.plugin_health(what["plugin"]) or {})[field] != value:
        assert time.monotonic() < until, f"{field} did not become {value} within 60 s"
        time.sleep(0.02)
    return {}


def take(rt: plugward.Runtime, verb: str, what: Any) -> dict[str, Any]:
    match verb:
        case "load":
            return load(rt, what)
        case "call":
            return rt.call(what["plugin"], what["tool"], what["args"], deadline_ms=what.get("deadline_ms")).to_dict()
        case "restart":
            return told(lambda: rt.restart(what))
        case "reload":
            return told(lambda: rt.reload(what))
        case "stop":
            return told(lambda: rt.stop(what))
        case "unload":
            return code_of(lambda: rt.unload(what))
        case "health":
            return rt.plugin_health(what) or {"missing": True}
        case "list":
            return {"names": [health["name"] for health in rt.health()]}
        case "register":
            return code_of(lambda: rt.register(what["name"], what["description"], what["version"]))
        case "mark":
            return mark(rt, what)
        case "record":
            return code_of(lambda: rt.record(what["name"], what["ok"], what.get("elapsed_ms")))
        case "close":
            rt.close()
            return {}
        case "wait":
            return wait(rt, what)
        case _:
            raise AssertionError(f"no step {verb}")


def compare(place: str, expect: dict[str, Any], seen: dict[str, Any]) -> None:
    for key, want in expect.items():
        if key.endswith("_contains"):
            field = key.removesuffix("_contains")
            for part in want if isinstance(want, list) else [want]:
                assert part in str(seen.get(field)), f"{place}: {field} lacks {part}: {seen}"
        else:
            assert key in seen, f"{place}: {key} is missing in {seen}"
            assert seen[key] == want, f"{place}: {key} in {seen}"


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_the_story_plays_out_as_written(path: Path) -> None:
    story = json.loads(path.read_text())
    with plugward.Runtime() as rt:
        for number, step in enumerate(story["steps"], 1):
            if DOOR not in step.get("only", [DOOR]):
                continue
            verb, what = next((key, item) for key, item in step.items() if key not in ("expect", "only"))
            compare(f"{path.name} step {number}", step.get("expect", {}), take(rt, verb, what))


def test_there_are_stories() -> None:
    assert len(STORIES) >= 14
