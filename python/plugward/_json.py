"""Outcomes as JSON text, also where a plugin's result is no plain data."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plugward._describe import name_of, plain
from plugward._errors import CATALOGUE, Code

if TYPE_CHECKING:
    from plugward._native import Outcome
    from plugward.errors import PlugwardError

PATIENCE = 10.0
"""Seconds that a result may take to turn itself into plain data."""


@dataclass(frozen=True)
class Text:
    """A body and the HTTP status that fits."""

    body: str
    http_status: int


async def encode(outcome: Outcome) -> Text:
    """The outcome as JSON. Code of the plugin's own result objects runs on a thread, and not for ever."""
    data = outcome.to_dict()
    text = _plain_dumps(data)
    if text is None:
        try:
            text, why = await asyncio.wait_for(asyncio.to_thread(_safely, data), PATIENCE)
        except asyncio.TimeoutError:
            text, why = None, "it did not end in time"
        if text is None:
            return _unserialisable(data, why)
    return Text(text, outcome.http_status)


def dumps(outcome: Outcome) -> str:
    """The same at once, for programs without an event loop."""
    data = outcome.to_dict()
    text = _plain_dumps(data)
    if text is not None:
        return text
    text, why = _safely(data)
    return _unserialisable(data, why).body if text is None else text


def _plain_dumps(data: dict[str, Any]) -> str | None:
    try:
        return json.dumps(data, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None


def _safely(data: dict[str, Any]) -> tuple[str | None, str]:
    try:
        return _converted(data), ""
    except BaseException as error:  # noqa: BLE001 (the result's own methods may raise anything)
        return None, name_of(error)


def _converted(data: dict[str, Any]) -> str:
    try:
        return json.dumps(data, allow_nan=False, default=plain)
    except (TypeError, ValueError):  # a key of numpy's, or a number that is not finite
        return json.dumps(_finite(data), allow_nan=False)


def _finite(value: Any, depth: int = 0) -> Any:
    """JSON has no NaN and no infinity: they become null. Keys are text, as `json` writes the keys that it knows."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth > 64:
        raise ValueError("the result is nested too deeply, or contains itself")
    if isinstance(value, dict):
        return {_key(key): _finite(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item, depth + 1) for item in value]
    if isinstance(value, (str, int, bool, type(None))):
        return value
    return _finite(plain(value), depth + 1)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, (int, float, type(None))):
        return json.dumps(key)
    return _key(plain(key))


def _unserialisable(data: dict[str, Any], why: str) -> Text:
    entry = CATALOGUE[Code.CALL_UNSERIALIZABLE]
    answer = {key: value for key, value in data.items() if key != "result"}
    answer |= {
        "ok": False,
        "error": f"{data['plugin']}.{data['tool']} answered something that has no JSON form: {why}",
        "error_type": entry.kind,
        "code": entry.code,
        "cause": entry.cause,
        "remedy": entry.remedy,
        "retryable": entry.retryable,
        "http_status": entry.http_status,
    }
    return Text(json.dumps(answer), entry.http_status)


def error_dict(error: PlugwardError) -> dict[str, Any]:
    """An error of the API as an answer."""
    return {
        "ok": False,
        "error": str(error),
        "error_type": error.error_type,
        "code": error.code,
        "cause": error.cause,
        "remedy": error.remedy,
        "retryable": error.retryable,
        "http_status": error.http_status,
    }
