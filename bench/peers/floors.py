"""The floors of calls of other processes, in C: compiled here, because the machine is what they measure."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.harness import Role

SOURCE = Path(__file__).resolve().parents[1] / "native" / "floors.c"


class Floor:
    """A function of the library that is given a number of turns and says how many seconds they took."""

    role: Role = "floor"

    def __init__(self, name: str, batch: Callable[[int], float]) -> None:
        """Time `batch`."""
        self.name = name
        self._batch = batch

    def batch(self, number: int) -> float:
        """Seconds for `number` turns in a row."""
        return self._batch(number)

    def singles(self, number: int) -> list[float]:
        """Nanoseconds of each of `number` turns."""
        return [self._batch(1) * 1e9 for _ in range(number)]


class Floors:
    """The compiled library, and the processes that answer."""

    def __init__(self) -> None:
        """Compile it and start them; they end with this process."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "floors.so")
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", path, SOURCE], check=True)
            self._library = ctypes.CDLL(str(path))
        for name in ("floors_futex", "floors_pipe", "floors_memcpy"):
            getattr(self._library, name).restype = ctypes.c_double
        started = self._library.floors_start()
        if started != 0:
            raise OSError(started, "the floors' processes cannot be started")

    def futex(self) -> Floor:
        """A futex word there and back between two processes."""
        return Floor("futex ping-pong", lambda n: float(self._library.floors_futex(ctypes.c_long(n))))

    def pipe(self) -> Floor:
        """A byte through a pipe there and back between two processes."""
        return Floor("pipe ping-pong", lambda n: float(self._library.floors_pipe(ctypes.c_long(n))))

    def memcpy(self, to: int, source: int, size: int) -> Floor:
        """One copy between two addresses."""
        address, length = ctypes.c_void_p, ctypes.c_size_t
        return Floor(
            "memcpy",
            lambda n: float(self._library.floors_memcpy(address(to), address(source), length(size), ctypes.c_long(n))),
        )
