"""Registries as hosts write them today: a lock around a dict, and a copy of every entry for every reader."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def entries(count: int) -> dict[str, dict[str, Any]]:
    """Some plugins in their first state."""
    return {f"p{number}": {"name": f"p{number}", "state": "INITIALIZED", "errors": 0} for number in range(count)}


class LockedRegistry:
    """One lock for everybody."""

    def __init__(self, count: int) -> None:
        """Begin with `count` plugins."""
        self._entries = entries(count)
        self._lock = threading.Lock()

    def snapshot(self) -> list[dict[str, Any]]:
        """A copy of every entry."""
        with self._lock:
            return [copy.copy(entry) for entry in self._entries.values()]

    def flip(self, turn: int) -> None:
        """Take one plugin to RUNNING and back."""
        entry = self._entries[f"p{turn % len(self._entries)}"]
        for state in ("RUNNING", "INITIALIZED"):
            with self._lock:
                entry["state"] = state


class ReadWriteRegistry(LockedRegistry):
    """Readers share, a writer waits for them; a waiting writer holds new readers back."""

    def __init__(self, count: int) -> None:
        """Begin with `count` plugins."""
        super().__init__(count)
        self._changed = threading.Condition()
        self._readers = 0
        self._waiting = 0
        self._writing = False

    def snapshot(self) -> list[dict[str, Any]]:
        """A copy of every entry."""
        with self._reading():
            return [copy.copy(entry) for entry in self._entries.values()]

    def flip(self, turn: int) -> None:
        """Take one plugin to RUNNING and back."""
        entry = self._entries[f"p{turn % len(self._entries)}"]
        for state in ("RUNNING", "INITIALIZED"):
            with self._exclusive():
                entry["state"] = state

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._writing and not self._waiting)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: not self._writing and not self._readers)
            self._waiting -= 1
            self._writing = True
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
