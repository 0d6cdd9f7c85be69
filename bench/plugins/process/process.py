"""What the rows on worker processes call, in Plugward and in every peer."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import time
from typing import Any

PIECE = 16 << 20


def echo(data: str) -> str:
    """Give the argument back."""
    return data


def touch(frame: Any) -> int:
    """Look at one byte of a frame."""
    return int(frame[0, 0, 0])


def die(how: str) -> None:
    """End this process as a crash would."""
    if how == "SIGSEGV":
        ctypes.string_at(0)
    elif how == "SIGABRT":
        os.abort()
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    """Come back long after any deadline."""
    time.sleep(60)


def spin() -> None:
    """Never come back, and never let go of the interpreter for long."""
    while True:
        pass


def bomb(shared: bool) -> None:
    """Allocate without end, and say when how much was reached."""
    kept: list[Any] = []
    while True:
        piece: Any = mmap.mmap(-1, PIECE) if shared else bytearray(PIECE)
        for at in range(0, PIECE, 4096):
            piece[at] = 1
        kept.append(piece)
        print(len(kept) * PIECE, time.monotonic_ns(), flush=True)


class Plugin:
    """The same functions as tools."""

    name = "bench"

    def __init__(self) -> None:
        """List them."""
        self.tools = {one.__name__: one for one in (echo, touch, die, hang, spin, bomb)}
