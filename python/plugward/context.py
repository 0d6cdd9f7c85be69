"""What a plugin gets from its runtime: its name, its generation, and a place for its state."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plugward._native import Checkpoints

_BYTES, _JSON = b"\x00", b"\x01"


class Context:
    """One generation of one plugin. The plugin finds it as `self.ctx`, from `on_load` on."""

    __slots__ = ("_checkpoints", "generation", "plugin")

    def __init__(self, plugin: str, generation: int, checkpoints: Checkpoints) -> None:
        """Made by Plugward."""
        self.plugin = plugin
        self.generation = generation
        self._checkpoints = checkpoints

    def checkpoint(self, state: Any) -> None:
        """Keep `state` until the next call replaces it: the next generation's `on_restore(state, events)` gets it.

        `state` is bytes, or anything that `json.dumps` takes (tuples come back as lists). It is kept also when the
        plugin's process is killed the moment after. Raises `PlugwardError` with code `PW-CKPT-001` where it is larger
        than 16 MiB, and `TypeError` where it has no JSON form; what was kept before is kept then.
        """
        self._checkpoints.save(packed(state))

    def __repr__(self) -> str:
        """Name and generation."""
        return f"<Context of {self.plugin}, generation {self.generation}>"


def packed(state: Any) -> bytes:
    """A state as it is kept."""
    if isinstance(state, (bytes, bytearray, memoryview)):
        return _BYTES + bytes(state)
    return _JSON + json.dumps(state, separators=(",", ":")).encode()


def unpacked(kept: bytes) -> Any:
    """The same state again."""
    mark, rest = kept[:1], kept[1:]
    return rest if mark == _BYTES else json.loads(rest)
