"""Plugward as the rows use it, and a clear word where it is not installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plugward

MISSING = "PLUGWARD IS NOT INSTALLED: its side of this row was not measured (make setup)"


def installed() -> bool:
    """Whether the wheel is there."""
    try:
        metadata.version("plugward")
    except metadata.PackageNotFoundError:
        return False
    return True


def host(tools: dict[str, Callable[..., Any]], isolation: str, deadline_ms: int) -> plugward.Runtime:
    """A runtime with one host plugin `bench`. An exception does not end it, so that raising can be timed."""
    import plugward

    runtime = plugward.Runtime()
    runtime.add_host("bench", tools, isolation=isolation, deadline_ms=deadline_ms, fails_on="crash")
    return runtime
