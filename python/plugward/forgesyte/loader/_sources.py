"""From the path that a host gives to a plugin's class."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from plugward import _native
from plugward._loading import IMPORT
from plugward._loading import _StepError as StepError

from ..sandbox._calls import error_text
from ._adapter import Adapted

FILES = ("plugin.py", "__init__.py")


class PluginSource:
    """Imports and finds the class whenever a generation begins: a mended module is read again at a restart."""

    def __init__(self, path: str) -> None:
        """`module:Class`, `module.Class`, a module, a file or a folder."""
        self._path = str(path)

    def __call__(self) -> Callable[[], Adapted]:
        """What constructs the plugin.

        Raises:
            StepError: it cannot be imported, or there is no plugin class.
        """
        try:
            plugin_class = self._found()
        except StepError:
            raise
        except BaseException as error:  # a module may raise anything when it is imported
            text = f"importing {self._path}: {type(error).__name__}: {error_text(error)}"
            raise StepError(IMPORT, text) from error

        def construct() -> Adapted:
            return Adapted(plugin_class())

        return construct

    def _found(self) -> Any:
        place, name = _split(self._path)
        file = _file(place)
        if file is not None:
            return _class_of(_from_file(file), name, self._path)
        try:
            return _class_of(importlib.import_module(place), name, self._path)
        except ModuleNotFoundError as error:
            module, _, last = place.rpartition(".")
            if name or not module or error.name != place:
                raise
            return _class_of(importlib.import_module(module), last, self._path)


def manifest_beside(path: str) -> dict[str, Any]:
    """What the `manifest.json` beside a plugin's module asks for; empty where there is none.

    Raises:
        PlugwardError: it is no manifest.
    """
    folder = _folder(_split(str(path))[0])
    file = folder / "manifest.json" if folder else None
    if file is None or not file.is_file():
        return {}
    manifest = dict(_native.read_manifest(str(file))["manifest"])
    for model in (manifest.get("models") or {}).values():
        model["path"] = str(file.parent / model["path"])
    kept = {key: value for key, value in manifest.items() if key not in ("kind", "entrypoint", "isolation")}
    if manifest.get("isolation") in ("inline", "thread"):  # a plugin that is loaded into the host has no process
        kept["isolation"] = manifest["isolation"]
    return kept


def _split(path: str) -> tuple[str, str]:
    place, colon, name = path.rpartition(":")
    return (place, name) if colon and name.replace(".", "").isidentifier() else (path, "")


def _file(place: str) -> Path | None:
    if not place.endswith(".py") and "/" not in place and "\\" not in place and not Path(place).is_dir():
        return None
    path = Path(place)
    return next((path / file for file in FILES if (path / file).is_file()), path) if path.is_dir() else path


def _folder(place: str) -> Path | None:
    file = _file(place)
    if file is not None:
        return file.parent
    try:
        spec = importlib.util.find_spec(place)
    except BaseException:  # noqa: BLE001 - a parent package may raise anything; the import will say what
        return None
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _from_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise StepError(IMPORT, f"there is no file {file}")
    digest = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"_forgesyte_plugin_{digest}", file)
    if spec is None or spec.loader is None:
        raise StepError(IMPORT, f"{file} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(spec.name, None)
        raise
    return module


def _class_of(module: ModuleType, name: str, path: str) -> Any:
    """The class of that name, else `Plugin`, else the module's one class that looks like a plugin."""
    if name:
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part)
        return found
    if hasattr(module, "Plugin"):
        return module.Plugin
    own = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
    likely = [c for c in own if any(hasattr(c, mark) for mark in ("run_tool", "tools", "run"))] or own
    if len(likely) != 1:
        raise StepError(IMPORT, f"{path} has no class Plugin, and not exactly one class that looks like a plugin")
    return likely[0]
