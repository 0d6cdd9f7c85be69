"""Imports a plugin's folder for that plugin alone.

Two plugins may each have their own `helper.py`. Putting their folders on `sys.path` would give both the first one, so
every generation gets a package of its own, `plugward_plugins.<name>_<number>`, whose modules see the folder through
their own `__import__`. Nobody else can import from it by its short names.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.machinery
import importlib.util
import itertools
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOT = "plugward_plugins"
_numbers = itertools.count(1)
_folders: dict[str, Folder]


class Folder:
    """A plugin's folder in one generation."""

    def __init__(self, name: str, generation: int, path: Path) -> None:
        """Choose the package's name; nothing is imported yet."""
        safe = re.sub(r"\W", "_", name)
        self.path = path
        self.package = f"{ROOT}.{safe}_{generation}_{next(_numbers)}"
        self.builtins: dict[str, Any] = {**vars(builtins), "__import__": self._import}
        self._finder = importlib.machinery.FileFinder(
            str(path),
            (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
            (_Loader, importlib.machinery.SOURCE_SUFFIXES),
        )

    def holds(self, name: str) -> bool:
        """Whether the folder has a top-level module of that name."""
        top = name.partition(".")[0]
        if not top.isidentifier():
            return False
        place = self.path / top
        return (place / "__init__.py").is_file() or place.with_suffix(".py").is_file() or self._extension(top)

    def _extension(self, top: str) -> bool:
        return any((self.path / f"{top}{suffix}").is_file() for suffix in importlib.machinery.EXTENSION_SUFFIXES)

    def import_file(self, file: str) -> ModuleType:
        """Import a file of the folder."""
        relative = Path(file)
        parts = [*relative.parent.parts, relative.stem]
        if all(part.isidentifier() for part in parts) and ".." not in parts:
            return self.import_module(".".join(parts))
        self._enter()
        name = f"{self.package}.{re.sub(r'[^0-9A-Za-z]', '_', file)}"
        spec = importlib.util.spec_from_file_location(
            name, self.path / file, loader=_Loader(name, str(self.path / file))
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    def import_module(self, name: str) -> ModuleType:
        """Import a module of the folder by its short name."""
        self._enter()
        return importlib.import_module(f"{self.package}.{name}")

    def find_spec(self, fullname: str, path: Sequence[str] | None) -> importlib.machinery.ModuleSpec | None:
        """Where one of the folder's modules is."""
        if fullname == self.package:
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(self.path)]
            return spec
        if path is None or list(path) == [str(self.path)]:
            return self._finder.find_spec(fullname)
        for place in path:
            found = importlib.machinery.FileFinder(
                place,
                (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
                (_Loader, importlib.machinery.SOURCE_SUFFIXES),
            ).find_spec(fullname)
            if found is not None:
                return found
        return None

    def forget(self) -> None:
        """Take the generation's modules off `sys.modules`; code that still runs keeps its own."""
        _folders.pop(self.package, None)
        for name in [n for n in list(sys.modules) if n == self.package or n.startswith(f"{self.package}.")]:
            sys.modules.pop(name, None)

    def _enter(self) -> None:
        importlib.invalidate_caches()
        self._finder.invalidate_caches()
        if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder())
        if ROOT not in sys.modules:
            root = ModuleType(ROOT, "Plugins that were loaded from folders.")
            root.__path__ = []
            sys.modules[ROOT] = root
        _folders[self.package] = self

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 (the signature of `__import__`)
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """What an `import` statement of the folder's modules does: the folder first, as for a script."""
        if level or not self.holds(name) or self.package not in _folders:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = self.import_module(name)
        if fromlist:
            for wanted in fromlist:
                if wanted != "*" and hasattr(module, "__path__") and not hasattr(module, wanted):
                    self._submodule(module.__name__, wanted)
            return module
        return sys.modules[f"{self.package}.{name.partition('.')[0]}"]

    @staticmethod
    def _submodule(package: str, name: str) -> None:
        try:
            importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{package}.{name}":
                raise


_folders = {}


def afresh(name: str) -> ModuleType:
    """Import a module of the environment anew, beside the one that code in use still has.

    `importlib.reload` would change the old module in place, under the generation that still serves. Where the new one
    cannot be imported, the old one is back.
    """
    before = _named(name)
    for module in before:
        del sys.modules[module]
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except BaseException:
        for module in _named(name):
            del sys.modules[module]
        sys.modules.update(before)
        raise


def _named(name: str) -> dict[str, ModuleType]:
    return {known: module for known, module in sys.modules.items() if known == name or known.startswith(f"{name}.")}


class _Loader(importlib.machinery.SourceFileLoader):
    """Gives a module its folder's `__import__` before its code runs."""

    def exec_module(self, module: ModuleType) -> None:
        folder = _folder_of(module.__name__)
        if folder is not None:
            module.__dict__["__builtins__"] = folder.builtins
        super().exec_module(module)

    def get_code(self, fullname: str) -> CodeType | None:
        """Compile from the source as it is now: a file that was mended within a second is not the cached one."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _folder_of(name: str) -> Folder | None:
    parts = name.split(".")
    return _folders.get(".".join(parts[:2])) if len(parts) > 1 and parts[0] == ROOT else None


class _Finder(MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002 (the signature of a finder)
    ) -> importlib.machinery.ModuleSpec | None:
        folder = _folder_of(fullname)
        return folder.find_spec(fullname, path) if folder is not None else None
