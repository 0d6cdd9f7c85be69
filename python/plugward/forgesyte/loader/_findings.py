"""Single answers out of the real dependency checker's findings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plugward import _native

RECOGNISED = (b"PK\x03\x04", b"GGUF", b"<")
"""How texts and files begin of which more can be said: archives that may be damaged, web pages in a model's place."""
TEXT = frozenset(b"\t\n\r" + bytes(range(0x20, 0x7F)))
LOOKED_AT = 512
"""Bytes by which a text is told from a model."""


def driver_sees_a_gpu() -> bool:
    """Whether the driver (not torch, not a command line tool) knows a GPU that this process may use."""
    return not _problems("gpu", requires_gpu=True)


def requirement_problem(requirement: str) -> str | None:
    """Why a requirement (`numpy>=1.24`) is not met; None where it is."""
    return next(iter(_problems("package", dependencies=[requirement])), None)


def model_problem(path: str | Path, read_bytes: int) -> str | None:
    """Why a model file cannot be used; None where nothing speaks against it."""
    try:
        place = Path(path).absolute()
        head, length, blank, problem = _native.read_head(place)
    except (OSError, TypeError, ValueError) as error:
        return f"it cannot be read: {error}"
    if problem is not None:
        return problem
    if length < max(read_bytes, 1):
        return f"it has only {length} bytes"
    if blank:
        return "it holds nothing but zeros"
    model = {"path": str(place), "format": None if _is_telling(head) else "text"}
    return next(iter(_problems("model", models={"model": model})), None)


def _is_telling(head: bytes) -> bool:
    """Whether the file's ending and its bytes say what should be in it; a text stands for any model, as before."""
    return head.startswith(RECOGNISED) or not all(byte in TEXT for byte in head[:LOOKED_AT])


def _problems(kind: str, **needs: Any) -> list[str]:
    findings = _native.check_manifest({"name": "asked", "kind": "python", "entrypoint": "asked:Plugin", **needs})
    return [finding["message"] for finding in findings if finding["kind"] == kind and not finding["ok"]]
