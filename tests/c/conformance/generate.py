"""Turns `tests/conformance/*.json` into C that replay.c plays: a function per story, a call per step and wish.

    python3 tests/c/conformance/generate.py OUT.c [FOLDER]

Whatever it does not know (a step, a member, an event, a tool) ends it, so that no wish is passed over in silence.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

DOOR = "c"
DOORS = {"core", "c", "python", "node"}
STORIES = Path(__file__).parents[2] / "conformance"
FEWEST = 14
TOOLS = {"echo", "text", "raise", "refuse", "hang"}
EVENTS = {"ready", "call_began", "call_ended", "fault", "dependency_missing", "restart"}


class StoryError(Exception):
    """Something in a story that this program cannot turn into C."""


def canonical(value: Any) -> str:
    """The library's own spelling of a value: compact, keys sorted, UTF-8."""
    out = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
    if any("e" in repr(x) for x in numbers(value)):
        raise StoryError(f"a number with an exponent, which every language spells in its own way: {out}")
    return out


def numbers(value: Any) -> list[float]:
    if isinstance(value, (dict, list)):
        return [x for item in (value.values() if isinstance(value, dict) else value) for x in numbers(item)]
    return [value] if isinstance(value, float) else []


def literal(text: str) -> str:
    """A C string in ASCII: what C reads in its own way, `?` of trigraphs too, is escaped."""
    if "\0" in text:
        raise StoryError(f"a NUL in {text!r}")
    return '"' + "".join(map(letter, text.encode())) + '"'


def letter(byte: int) -> str:
    if byte in b'"\\?':
        return f"\\{byte:c}"
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}"


def members(what: Any, needed: str, optional: str = "") -> list[Any]:
    """The values of these members in their order, None for absent ones; others are unknown."""
    if not isinstance(what, dict):
        raise StoryError(f"an object with {needed} was wanted: {what!r}")
    for key in needed.split():
        if key not in what:
            raise StoryError(f"{key} is missing in {what!r}")
    keys = [*needed.split(), *optional.split()]
    if more := what.keys() - set(keys):
        raise StoryError(f"unknown members {sorted(more)} in {what!r}")
    return [what.get(key) for key in keys]


def texts(*values: Any) -> list[str]:
    for value in values:
        if not isinstance(value, str):
            raise StoryError(f"a text was wanted: {value!r}")
    return [literal(value) for value in values]


def load(manifest: Any) -> list[str]:
    tools = {tool["id"] for tool in manifest["tools"]}
    if tools - TOOLS:
        raise StoryError(f"the fixture has no tools {sorted(tools - TOOLS)}")
    return texts(canonical({"kind": "host", **manifest}))


def call(what: Any) -> list[str]:
    plugin, tool, args, deadline_ms = members(what, "plugin tool args", "deadline_ms")
    return [*texts(plugin, tool, canonical(args)), str(int(deadline_ms or 0))]


def named(name: Any) -> list[str]:
    return texts(name)


def nothing(what: Any) -> list[str]:
    if what is not True:
        raise StoryError(f"true was wanted: {what!r}")
    return []


def register(what: Any) -> list[str]:
    return texts(*members(what, "name description version"))


def mark(what: Any) -> list[str]:
    name, event, reason = members(what, "name event", "reason")
    if event not in EVENTS:
        raise StoryError(f"no event {event!r}")
    return [*texts(name), f"PLUGWARD_EVENT_{event.upper()}", *texts(reason or "")]


def record(what: Any) -> list[str]:
    name, ok, elapsed_ms = members(what, "name ok", "elapsed_ms")
    return [*texts(name), "true" if ok else "false", repr(-1.0 if elapsed_ms is None else float(elapsed_ms))]


def wait(what: Any) -> list[str]:
    fields = [key for key in what if key != "plugin"]
    if len(fields) != 1:
        raise StoryError(f"one field was wanted: {what!r}")
    plugin, value = members(what, f"plugin {fields[0]}")
    return texts(plugin, fields[0], canonical(value))


STEPS: dict[str, Callable[[Any], list[str]]] = {
    "load": load,
    "call": call,
    "restart": named,
    "reload": named,
    "stop": named,
    "unload": named,
    "health": named,
    "list": nothing,
    "register": register,
    "mark": mark,
    "record": record,
    "close": nothing,
    "wait": wait,
}


def wishes(expect: dict[str, Any]) -> list[str]:
    out = []
    for key, value in expect.items():
        field = key.removesuffix("_contains")
        if field == key:
            out.append(f"    want(r, {literal(key)}, {literal(canonical(value))});")
            continue
        for part in value if isinstance(value, list) else [value]:
            out.append(f"    want_contains(r, {', '.join(texts(field, part))});")
    return out


def step_lines(number: int, step: dict[str, Any]) -> list[str]:
    kinds = [key for key in step if key not in ("expect", "only")]
    if len(kinds) != 1 or kinds[0] not in STEPS:
        raise StoryError(f"one step of {', '.join(STEPS)} was wanted: {kinds}")
    only = step.get("only", [DOOR])
    if not set(only) <= DOORS:
        raise StoryError(f"doors {only}, of which some are unknown")
    if DOOR not in only:
        return [f"  /* step {number} ({kinds[0]}) is for {', '.join(only)} only */"]
    arguments = ", ".join(["r", str(number), *STEPS[kinds[0]](step[kinds[0]])])
    return [f"  step_{kinds[0]}({arguments});", *wishes(step.get("expect", {}))]


def story_lines(path: Path, name: str) -> list[str]:
    try:
        _, steps = members(json.loads(path.read_text(encoding="utf-8")), "why steps")
    except (StoryError, ValueError) as error:
        raise StoryError(f"{path.name}: {error}") from error
    lines = [f"static void {name}(replay *r) {{"]
    for number, step in enumerate(steps, 1):
        try:
            lines += step_lines(number, step)
        except (StoryError, KeyError, TypeError, AttributeError) as error:
            raise StoryError(f"{path.name} step {number}: {error!r}") from error
    return [*lines, "}", ""]


def generate(folder: Path) -> str:
    paths = sorted(folder.glob("*.json"))
    if len(paths) < FEWEST:
        raise StoryError(f"{len(paths)} stories in {folder}, where there were {FEWEST} at least")
    lines = ["/* Generated by tests/c/conformance/generate.py; do not edit. */", '#include "replay.h"', ""]
    for number, path in enumerate(paths):
        lines += story_lines(path, f"story_{number}")
    rows = [f"    {{{literal(path.name)}, story_{number}}}," for number, path in enumerate(paths)]
    lines += ["const story stories[] = {", *rows, "};", "const size_t story_count = sizeof stories / sizeof *stories;"]
    return "\n".join(lines) + "\n"


def main(out: str, folder: str = str(STORIES)) -> int:
    try:
        source = generate(Path(folder))
    except StoryError as error:
        print(f"generate.py: {error}", file=sys.stderr)
        return 1
    Path(out).write_text(source, encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
