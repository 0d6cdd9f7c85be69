"""What plain data stands for an object on its way to or from a worker process, and memory without numpy."""

from __future__ import annotations

import array
import os
import sys
from enum import Enum
from typing import Any

REMEDIES = {
    "set": "hand over sorted(...) or list(...)",
    "frozenset": "hand over sorted(...) or list(...)",
    "datetime.datetime": "hand over .isoformat()",
    "datetime.date": "hand over .isoformat()",
    "datetime.time": "hand over .isoformat()",
    "datetime.timedelta": "hand over .total_seconds()",
    "decimal.Decimal": "hand over str(...) or float(...)",
    "uuid.UUID": "hand over str(...)",
    "complex": "hand over [z.real, z.imag], or an array",
    "generator": "hand over list(...)",
    "coroutine": "it was not awaited",
    "mappingproxy": "hand over dict(...)",
}


def stand_in(value: object, is_result: bool, is_dumped: bool) -> Any:
    """Plain data that says the same, to be looked at in turn; `TypeError` says why there is none.

    Members of enumerations are their values and paths are their text. A result that is a pydantic model or a dataclass
    is dumped: its members may be arrays and bytes, so pydantic is asked for Python data, and for JSON only where
    a member (`is_dumped`) is neither.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    is_model = callable(getattr(type(value), "model_dump", None))
    is_record = hasattr(type(value), "__dataclass_fields__")
    if is_result and is_model:
        return value.model_dump()  # type: ignore[attr-defined]
    if is_result and is_record:
        import dataclasses

        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}  # type: ignore[arg-type]
    if is_dumped and "pydantic_core" in sys.modules:
        return sys.modules["pydantic_core"].to_jsonable_python(value)
    raise TypeError(f"{kind(value)} cannot cross to another process; {_remedy(value, is_model, is_record)}")


def kind(value: object) -> str:
    """The name of its class, with the module where that is not `builtins`."""
    name = type(value).__qualname__
    module = type(value).__module__
    return name if module == "builtins" else f"{module}.{name}"


def _remedy(value: object, is_model: bool, is_record: bool) -> str:
    if is_model:
        return "hand over .model_dump()"
    if is_record:
        return "hand over dataclasses.asdict(...)"
    named = REMEDIES.get(kind(value))
    return named or "what can is plain data (numbers, text, lists, dicts), bytes and arrays of numbers"


FORMATS = {(0, 8): "b", (0, 16): "h", (0, 32): "i", (0, 64): "q", (1, 8): "B", (1, 16): "H", (1, 32): "I", (1, 64): "Q"}
FORMATS |= {(2, 32): "f", (2, 64): "d", (6, 8): "?"}
"""The letter of a memoryview for DLPack's code and bits."""


def view(data: Any, code: int, bits: int, letter: str, shape: tuple[int, ...]) -> Any:
    """A memoryview of `data` (an object with a buffer) in that shape; `TypeError` where there can be none."""
    form: Any = letter or FORMATS.get((code, bits), "")
    if not form:
        raise TypeError(f"no memoryview has numbers of {bits} bits of that kind")
    flat = memoryview(data).cast("B")
    if len(shape) == 1:
        return flat.cast(form)
    if 0 in shape:
        raise TypeError(f"no memoryview has the shape {shape}")
    return flat.cast(form, shape)


def borrowed(address: int, length: int, keeper: object) -> Any:
    """An object whose buffer is that memory, and that keeps the keeper."""
    import ctypes

    memory: Any = (ctypes.c_ubyte * length).from_address(address)
    memory._keeper = keeper
    return memory


def typed_array(letter: str, data: bytes) -> array.array[Any]:
    """An `array.array` of those bytes."""
    made = array.array(letter)
    made.frombytes(data)
    return made
