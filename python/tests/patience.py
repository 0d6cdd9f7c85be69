"""Waiting for what will happen, however slow the machine is."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60.0
"""Seconds after which what has not happened never will."""


def until(what: str, done: Callable[[], Any]) -> Any:
    """The first answer of `done` that is true."""
    end = time.monotonic() + PATIENCE
    while not (found := done()):
        if time.monotonic() > end:
            pytest.fail(f"never: {what}")
        time.sleep(0.01)
    return found


async def until_async(what: str, done: Callable[[], Any]) -> Any:
    """The same, while the loop goes on."""
    end = time.monotonic() + PATIENCE
    while not (found := done()):
        if time.monotonic() > end:
            pytest.fail(f"never: {what}")
        await asyncio.sleep(0.01)
    return found


def is_running(pid: int) -> bool:
    """Whether the process is there, and not only its exit status."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "State:\tZ" not in status
