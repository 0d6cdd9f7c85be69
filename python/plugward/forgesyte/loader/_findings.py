"""Single answers out of the real dependency checker's findings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plugward import _native

RECOGNISED = (b"PK\x03\x04", b"GGUF", b"<")
"""How files begin of which more can be said: archives that may be damaged, web pages in the place of a model."""


def driver_sees_a_gpu() -> bool:
    """Whether the driver (not torch, not a command line tool) knows a GPU that this process may use."""
    return not _problems("gpu", requires_gpu=True)


def requirement_problem(requirement: str) -> str | None:
    """Why a requirement (`numpy>=1.24`) is not met; None where it is."""
    return next(iter(_problems("package", dependencies=[requirement])), None)


def model_problem(path: str | Path, read_bytes: int) -> str | None:
    """Why a model file cannot be used; None where nothing speaks against it."""
    try:
        if not Path(path).is_file():
            return "there is no such file"
        with Path(path).open("rb") as file:
            head = file.read(max(read_bytes, 4))
    except (OSError, TypeError, ValueError) as error:
        return f"it cannot be read: {error}"
    if len(head) < max(read_bytes, 1):
        return f"it has only {len(head)} bytes"
    model = {"path": str(Path(path).absolute()), "format": None if head.startswith(RECOGNISED) else "unknown"}
    return next(iter(_problems("model", models={"model": model})), None)


def _problems(kind: str, **needs: Any) -> list[str]:
    findings = _native.check_manifest({"name": "asked", "kind": "python", "entrypoint": "asked:Plugin", **needs})
    return [finding["message"] for finding in findings if finding["kind"] == kind and not finding["ok"]]
