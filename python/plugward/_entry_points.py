"""Plugins that installed packages offer as entry points."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plugward._describe import cut

if TYPE_CHECKING:
    from plugward._native import LoadReport
    from plugward._runtime import Runtime

MANIFESTS = ("manifest.json", "plugward.json")
LOAD_IMPORT = "PW-LOAD-003"


def load(runtime: Runtime, group: str) -> list[LoadReport]:
    """Load all of a group, in the order of their names; every broken one is listed with its step and reason."""
    points = sorted(importlib.metadata.entry_points(group=group), key=lambda point: point.name)
    return [_load(runtime, point) for point in points]


def _load(runtime: Runtime, point: importlib.metadata.EntryPoint) -> LoadReport:
    try:
        manifest = {**_manifest(point), "name": point.name, "kind": "python", "entrypoint": point.value}
        by_process = manifest.get("isolation") == "process"
        return runtime._add(None if by_process else ("entry_point", point), manifest)
    except Exception as error:  # noqa: BLE001 (a manifest that cannot be read is a broken plugin, no more)
        return runtime._add_broken(point.name, getattr(error, "code", LOAD_IMPORT), cut(str(error), 4096))


def _manifest(point: importlib.metadata.EntryPoint) -> dict[str, Any]:
    """The manifest next to the plugin's module, found without importing anything."""
    found = next((path for path in _candidates(point) if path.is_file()), None)
    about = point.dist
    known: dict[str, Any] = {}
    if about is not None:
        known = {"version": about.version, "description": about.metadata["Summary"] or ""}
    if found is None:
        return known
    from plugward import _native

    read = _native.read_manifest(found)["manifest"]
    own = json.loads(found.read_text(encoding="utf-8"))
    return {**known, **{key: value for key, value in read.items() if key in own or value not in (None, [], {}, "")}}


def _candidates(point: importlib.metadata.EntryPoint) -> list[Path]:
    if point.dist is None:
        return []
    module = Path(str(point.dist.locate_file(point.module.replace(".", "/"))))
    return [folder / name for folder in (module, module.parent) for name in MANIFESTS]
