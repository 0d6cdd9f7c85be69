"""What the health endpoints answer with."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel

from ..lifecycle.lifecycle_state import PluginLifecycleState

__all__ = ["PluginHealthResponse", "PluginListResponse"]


class PluginHealthResponse(BaseModel):
    """One plugin: its state, why it is in it, and how its calls fare. Times are in milliseconds where not said."""

    name: str
    state: PluginLifecycleState
    description: str | None = None
    reason: str | None = None
    version: str | None = None
    uptime_seconds: float | None = None
    last_used: datetime | None = None
    success_count: int = 0
    error_count: int = 0
    last_execution_time_ms: float | None = None
    avg_execution_time_ms: float | None = None
    """Mean of the last ten executions."""


class PluginListResponse(BaseModel):
    """All plugins, and how many of them may be called."""

    plugins: list[PluginHealthResponse]
    total: int
    available: int
    failed: int
    unavailable: int

    @classmethod
    def of(cls, plugins: Iterable[PluginHealthResponse]) -> PluginListResponse:
        """The list with its counts."""
        listed = list(plugins)
        states = [plugin.state for plugin in listed]
        failed = states.count(PluginLifecycleState.FAILED)
        unavailable = states.count(PluginLifecycleState.UNAVAILABLE)
        return cls(
            plugins=listed,
            total=len(listed),
            available=len(listed) - failed - unavailable,
            failed=failed,
            unavailable=unavailable,
        )
