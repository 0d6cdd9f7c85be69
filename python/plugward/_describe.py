"""Exceptions as text and results as plain data, bounded in size. The native module bounds the time."""

from __future__ import annotations

import builtins
import os
import traceback
from collections.abc import Callable, Mapping
from enum import Enum
from types import TracebackType
from typing import Any

LIMIT = 256 * 1024
FRAMES = 64
LINKS = 32
MEMBERS = 16


def cut(text: str, limit: int = LIMIT) -> str:
    """Keep the two ends of a long text."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... [cut; {len(text)} characters in all] ...\n{text[-half:]}"


def format_exception(error: BaseException, message_of: Callable[[BaseException], str]) -> str:
    """The full traceback, with causes and contexts, as the interpreter would print it.

    `traceback` itself was rejected: it asks an exception for its text several times, swallows what stops it, and copies
    messages of any length. `message_of` asks once, for a bounded time.
    """
    parts: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = error
    joint = ""
    while link is not None and len(seen) < LINKS:
        if id(link) in seen:
            parts.append(f"{name_of(link)} (shown already: the chain is circular)\n{joint}")
            break
        seen.add(id(link))
        parts.append(_one(link, message_of) + joint)
        link, joint = _before(link)
    return cut("".join(reversed(parts)))


_CAUSE = BaseException.__dict__["__cause__"]
_CONTEXT = BaseException.__dict__["__context__"]
_SUPPRESSED = BaseException.__dict__["__suppress_context__"]
_TRACEBACK = BaseException.__dict__["__traceback__"]
_NAME = type.__dict__["__name__"]


def name_of(error: BaseException) -> str:
    """The real name of an exception's class."""
    name: str = _NAME.__get__(type(error))
    return name


def _before(error: BaseException) -> tuple[BaseException | None, str]:
    """What an exception came from, read past whatever its class overrides."""
    cause = _CAUSE.__get__(error)
    if cause is not None:
        return cause, "\nThe above exception was the direct cause of the following exception:\n\n"
    context = _CONTEXT.__get__(error)
    if context is None or _SUPPRESSED.__get__(error):
        return None, ""
    return context, "\nDuring handling of the above exception, another exception occurred:\n\n"


def _one(error: BaseException, message_of: Callable[[BaseException], str]) -> str:
    place = _TRACEBACK.__get__(error)
    frames = "Traceback (most recent call last):\n" + _frames(place) if place is not None else ""
    message = message_of(error)
    line = f"{name_of(error)}: {message}" if message else name_of(error)
    return f"{frames}{line}\n{_members(error, message_of)}"


def _frames(place: TracebackType) -> str:
    try:
        return "".join(traceback.format_tb(place, limit=-FRAMES))
    except Exception as wrong:  # noqa: BLE001 (a module's __loader__ gives the source lines: the plugin's code)
        return f"  (the places cannot be shown: {name_of(wrong)})\n"


def _members(error: BaseException, message_of: Callable[[BaseException], str]) -> str:
    """The members of an exception group, one line each."""
    group = getattr(builtins, "BaseExceptionGroup", None)  # Python 3.11 and later
    if group is None or not issubclass(type(error), group):
        return ""
    members: tuple[BaseException, ...] = group.__dict__["exceptions"].__get__(error)
    return "".join(f"  | {name_of(member)}: {message_of(member)}\n" for member in members[:MEMBERS])


def plain(value: Any) -> Any:
    """Plain data of a result that `json` does not know.

    Pydantic models and dataclasses are dumped, arrays are lists (of lists) and numpy's numbers Python's, bytes are
    base64, sets are sorted lists, members of enumerations their values, paths their text.
    """
    for method in ("model_dump", "tolist", "isoformat", "_asdict"):
        found = getattr(value, method, None)
        if callable(found):
            return found()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(type(value), "__dataclass_fields__"):
        import dataclasses

        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, (bytes, bytearray, memoryview)):
        import base64

        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"{type(value).__name__} has no JSON form")
