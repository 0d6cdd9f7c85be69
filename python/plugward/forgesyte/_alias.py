"""Imports of a host's module names that give modules of another package.

An import hook rather than entries in `sys.modules`: nothing is imported before the host asks for it, and the import
system itself hangs the module into its parent package, where `unittest.mock.patch("app.plugins.x.y")` looks for it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def install(package: str, target: str, modules: Sequence[str], packages: Sequence[str]) -> None:
    """Let `package.x` be `target.x` for all `modules`, and for those `packages` that nobody else offers."""
    first, last = _Finder(package, target, modules), _Finder(package, target, packages)
    sys.meta_path[:] = [first, *(finder for finder in sys.meta_path if finder not in (first, last)), last]
    for name in modules:
        if f"{package}.{name}" in sys.modules:
            _replace(f"{package}.{name}", importlib.import_module(f"{target}.{name}"))


def _replace(name: str, module: ModuleType) -> None:
    """Take the place of a module that the host has imported already."""
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], child, module)


class _Finder(MetaPathFinder):
    def __init__(self, package: str, target: str, names: Sequence[str]) -> None:
        self._known = {f"{package}.{name}": f"{target}.{name}" for name in names}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Finder) and other._known == self._known

    def __hash__(self) -> int:
        return hash(frozenset(self._known))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        known = self._known.get(fullname)
        return None if known is None else ModuleSpec(fullname, _Loader(known))


class _Loader(Loader):
    """Gives a module that exists under its own name, and leaves it as it is."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        del spec
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
