"""Which distributions an environment holds: the host's own, or that of another interpreter.

Only metadata is read, another interpreter's as well. Whatever is imported, is imported in a process of its own.
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import importlib.util
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.markers import Marker

Foreign = tuple[Sequence[str], Mapping[str, str], str]
"""Import path, marker variables and version of another interpreter."""
State = tuple[str, frozenset[tuple[str, int, int, int]]]
"""A folder of metadata, and its files."""
_read_before: dict[State, Installed] = {}
"""A restart asks again for what seldom changes, and a large package takes milliseconds to read."""
MOST_KNOWN = 1024
SUFFIXES = (".py", ".so", ".pyd")


def visible(text: str) -> str:
    """A text that can be printed and sent: a path whose bytes are not UTF-8 has characters that cannot."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


@dataclass
class Installed:
    """One distribution that is there."""

    name: str
    version: str | None = None
    requires: list[str] = field(default_factory=list)
    extras: set[str] = field(default_factory=set)
    modules: list[str] = field(default_factory=list)
    origin: str | None = None
    editable: bool = False
    broken: str | None = None
    """Why it is there in name only."""


class Environment:
    """Where requirements are looked up, and what markers evaluate to."""

    def __init__(self, foreign: Foreign | None = None, program: str | None = None) -> None:
        """Stand for this interpreter, or for another one."""
        self._path = None if foreign is None else list(map(str, foreign[0]))
        self._markers = {} if foreign is None else dict(foreign[1])
        self.version = sys.version.split()[0] if foreign is None else foreign[2]
        self.pip = "pip" if foreign is None else f"{program or 'its interpreter'} -m pip"
        self._known: dict[str, Installed | None] = {}

    def needs(self, marker: Marker | None, extras: Sequence[str] = ()) -> bool:
        """Whether a requirement with this marker counts here."""
        if marker is None:
            return True
        return any(marker.evaluate({**self._markers, "extra": extra}) for extra in ("", *extras))

    def find(self, name: str) -> Installed | None:
        """The distribution of that name, however it is spelt."""
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key not in self._known:
            self._known[key] = self._look(name)
        return self._known[key]

    def owner(self, module: str) -> tuple[Installed, str] | None:
        """What an importable top-level module belongs to, and a note that says so; it is not imported."""
        spec = self._module(module)
        if spec is None:
            return None
        if module in sys.stdlib_module_names:
            return Installed("Python", self.version), f"{module} is a module of Python itself"
        for distribution in importlib.metadata.distributions(path=self._places()):
            found = self._read(module, distribution)
            if found.broken is None and module in found.modules:
                return found, f"{module} is a module of {found.name}"
        place = spec.origin or "no file"
        return Installed(module, modules=[module]), f"no installed distribution holds it; it is imported from {place}"

    def _module(self, name: str) -> ModuleSpec | None:
        """A module that has code: any folder that lies in the way could be imported as a namespace."""
        if not name.isidentifier():
            return None
        try:
            spec = self.spec(name)
        except Exception:  # noqa: BLE001 (a finder of the host's own; it has found nothing)
            return None
        return spec if spec is not None and spec.origin is not None else None

    def spec(self, module: str) -> ModuleSpec | None:
        """Where a top-level module would be imported from; it is not."""
        if self._path is None:
            try:
                return importlib.util.find_spec(module)
            except ValueError:  # it is there, without a spec: somebody put it there
                return ModuleSpec(module, None, origin="sys.modules")
        importlib.machinery.PathFinder.invalidate_caches()
        builtin = importlib.machinery.BuiltinImporter.find_spec(module)
        return builtin or importlib.machinery.PathFinder.find_spec(module, self._path)

    def offered(self, group: str, name: str) -> str | None:
        """The module behind an entry point, where an installed package offers one of that name."""
        for distribution in importlib.metadata.distributions(path=self._places()):
            for point in distribution.entry_points:
                if point.group == group and point.name == name:
                    return point.module
        return None

    def _places(self) -> list[str]:
        return list(sys.path) if self._path is None else self._path

    def _look(self, name: str) -> Installed | None:
        broken = None
        for distribution in importlib.metadata.Distribution.discover(name=name, path=self._places()):
            found = self._read(name, distribution)
            if found.broken is None:
                return found
            broken = broken or found
        return broken

    def _read(self, name: str, distribution: importlib.metadata.Distribution) -> Installed:
        try:
            found = _parsed(name, distribution)
        except Exception as error:  # noqa: BLE001 (the files of a damaged installation hold anything)
            return Installed(name, broken=f"its metadata cannot be read: {error}")
        if found.broken is not None:
            return found
        if not found.version:
            found.broken = "its metadata names no version"
        elif found.modules and not found.editable and not any(map(self.holds, found.modules)):
            found.broken = f"its metadata is there, but none of its modules is ({', '.join(found.modules)})"
        return found

    def holds(self, module: str) -> bool:
        """Whether a top-level module could be imported; it is not."""
        if self._path is not None:
            return any(_holds(Path(folder), module) for folder in self._path)
        try:
            return module in sys.modules or importlib.util.find_spec(module) is not None
        except Exception:  # noqa: BLE001 (a finder of the host's own; the import itself would tell)
            return True

    def modules(self, found: Installed) -> list[str]:
        """What to import of a distribution."""
        guess = re.sub(r"[-.]", "_", found.name)
        return found.modules or [name for name in dict.fromkeys((guess, guess.lower())) if self.holds(name)][:1]


def _parsed(name: str, distribution: importlib.metadata.Distribution) -> Installed:
    """What its files say; they are read again when one of them has changed."""
    key = _state(distribution)
    known = _read_before.get(key) if key is not None else None
    if known is None:
        known = _from_files(name, distribution)
        if key is not None:
            if len(_read_before) >= MOST_KNOWN:
                _read_before.clear()
            _read_before[key] = known
    return replace(known)


def _from_files(name: str, distribution: importlib.metadata.Distribution) -> Installed:
    if not any(map(distribution.read_text, ("METADATA", "PKG-INFO", ""))):
        return Installed(name, broken="its metadata file is missing or empty")
    metadata = distribution.metadata
    editable, origin = _origin(distribution)
    return Installed(
        (metadata.get_all("Name") or [name])[0],
        (metadata.get_all("Version") or [None])[0],
        list(distribution.requires or ()),
        set(metadata.get_all("Provides-Extra") or ()),
        _modules(distribution),
        origin,
        editable,
    )


def _state(distribution: importlib.metadata.Distribution) -> State | None:
    """Which files it has, and when they were changed; nothing where they do not lie in a folder of its own."""
    place = getattr(distribution, "_path", None)
    if not isinstance(place, Path):
        return None
    try:
        found = [(entry.name, entry.stat()) for entry in os.scandir(place)]
    except OSError:
        return None
    return str(place), frozenset((name, at.st_mtime_ns, at.st_size, at.st_ino) for name, at in found)


def _holds(folder: Path, module: str) -> bool:
    place = folder / module
    return place.is_dir() or place.with_suffix(".py").is_file() or any(folder.glob(f"{module}.*so"))


def _origin(distribution: importlib.metadata.Distribution) -> tuple[bool, str | None]:
    """Whether it is an editable installation, and the URL that it was installed from."""
    text = distribution.read_text("direct_url.json")
    if not text:
        return False, None
    told = json.loads(text)
    return bool(told.get("dir_info", {}).get("editable")), str(told.get("url"))


def _modules(distribution: importlib.metadata.Distribution) -> list[str]:
    """The top-level modules, without those that are nobody's business."""
    listed = distribution.read_text("top_level.txt")
    names = listed.split() if listed else _recorded(distribution.read_text("RECORD") or "")
    names = [name for name in dict.fromkeys(names) if name.isidentifier() and not name.startswith("__")]
    return [name for name in names if not name.startswith("_")] or names


def _recorded(record: str) -> list[str]:
    """The modules among the files of a `RECORD`."""
    names = []
    for line in record.splitlines():
        top, slash, rest = line.split(",", 1)[0].strip('"').partition("/")
        if (rest if slash else top).endswith(SUFFIXES):
            names.append(top if slash else top.partition(".")[0])
    return names


def folder(name: str) -> str | None:
    """The folder of a package of this interpreter, without importing it."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return places[0] if places else None
