"""Is the code there that a manifest's `entrypoint` names? It is looked up, never imported."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from plugward._environment import Environment, Foreign, visible
from plugward._packages import Told

__all__ = ["check"]

GROUP = "plugward.plugins"
FILE, MODULE = "PW-LOAD-007", "PW-LOAD-003"
"""What a load says of a file, and of a module, that is not there."""
REMEDY = "put it there, or correct entrypoint in the manifest"


def check(entrypoint: str, folder: str, foreign: Foreign | None = None, program: str | None = None) -> list[Told]:
    """Look where a load looks: in the plugin's folder, among the entry points of packages, on the import path.

    Whether the module has the named class is not said: that is known only once it was imported.
    """
    start = time.perf_counter_ns()
    name, colon, _ = entrypoint.partition(":")
    name = name.strip()
    environment = Environment(foreign, program)
    if name.endswith(".py") or "/" in name:
        place = Path(folder) / name
        told = _good(name, str(place)) if place.is_file() else _bad(name, FILE, f"the plugin's file {name}", str(place))
    else:
        told = _module(name, folder, environment, offered=not colon)
    kind, subject, ok, code, *words = told
    cause, message, remedy = map(visible, words)
    return [(kind, subject, ok, code, cause, message, remedy, (time.perf_counter_ns() - start) // 1000)]


Untimed = tuple[str, str, bool, "str | None", str, str, str]


def _module(name: str, folder: str, environment: Environment, *, offered: bool) -> Untimed:
    top, *rest = name.split(".")
    PathFinder.invalidate_caches()
    own = PathFinder.find_spec(top, [folder])
    if own is not None and own.loader is None:
        own = None  # a folder without __init__.py: a load passes it over
    target = None if own is not None or not offered else environment.offered(GROUP, name)
    if target is not None:
        name = target
        top, *rest = name.split(".")
    try:
        spec = own or environment.spec(top)
    except Exception as error:  # noqa: BLE001 (a finder of the host's own; the import itself would tell)
        return _good(name, f"{name} was not looked at", f"a finder raised {type(error).__name__}: {error}")
    if spec is None:
        return _bad(name, MODULE, f"the plugin's module {name}", f"neither in {folder} nor on the import path")
    gone = _beneath(top, list(spec.submodule_search_locations or ()), rest)
    if gone is not None:
        return _bad(name, MODULE, f"the plugin's module {name}", f"{gone} is not there")
    return _good(name, f"{top}: {spec.origin or 'a package of several folders'}")


def _beneath(name: str, places: Sequence[str], rest: Sequence[str]) -> str | None:
    """The first of the modules beneath a package that is not there."""
    for part in rest:
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(part, list(places))
        if spec is None:
            return name
        places = list(spec.submodule_search_locations or ())
    return None


def _good(name: str, message: str, note: str = "") -> Untimed:
    return ("entrypoint", name, True, None, note, message, "")


def _bad(name: str, code: str, what: str, where: str) -> Untimed:
    return ("entrypoint", name, False, code, f"it was looked for: {where}", f"{what} is not there", REMEDY)
