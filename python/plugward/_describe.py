"""Exceptions as text and results as plain data, bounded in size. The native module bounds the time."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

LIMIT = 256 * 1024
FRAMES = 64


def cut(text: str, limit: int = LIMIT) -> str:
    """Keep the two ends of a long text."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... [cut; {len(text)} characters in all] ...\n{text[-half:]}"


def format_exception(error: BaseException) -> str:
    """The full traceback, with causes and contexts. Circular chains and hostile messages are survived."""
    try:
        described = traceback.TracebackException.from_exception(error, limit=-FRAMES, compact=True)
        return cut("".join(described.format()))
    except Exception as wrong:  # noqa: BLE001 (whatever the exception does while it is described)
        kind = type.__dict__["__name__"].__get__(type(error))
        reason = type.__dict__["__name__"].__get__(type(wrong))
        return f"{kind} (its traceback cannot be shown: {reason})\n{frames(error)}"


def frames(error: BaseException) -> str:
    """Only the places, which need no code of the exception."""
    try:
        return "".join(traceback.format_tb(error.__traceback__, limit=-FRAMES))
    except Exception:  # noqa: BLE001 (as above)
        return ""


def plain(value: Any) -> Any:
    """Plain data of a result that `json` does not know: pydantic models, numpy arrays and numbers, sets, bytes."""
    for method in ("model_dump", "tolist", "isoformat", "_asdict"):
        found = getattr(value, method, None)
        if callable(found):
            return found()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, (bytes, bytearray, memoryview)):
        import base64

        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"{type(value).__name__} has no JSON form")
