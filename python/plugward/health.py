"""The health of a plugin as a pydantic model."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from plugward.lifecycle import PluginLifecycleState

__all__ = ["PluginHealthResponse", "RuntimeSummary"]


class PluginHealthResponse(BaseModel):
    """What a plugin is and how it fares."""

    model_config = ConfigDict(extra="ignore", use_enum_values=False)

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
    generation: int = 0
    restarts: int = 0
    kind: str | None = None
    isolation: str | None = None
    pid: int | None = None
    in_flight: int = 0
    waiting: int = 0
    spares: int = 0
    abandoned_threads: int = 0
    late_results: int = 0
    quarantined: bool = False
    quarantine_reason: str | None = None
    last_error: dict[str, Any] | None = None
    findings: list[dict[str, Any]] = Field(default_factory=list)
    assumptions: list[dict[str, Any]] = Field(default_factory=list)
    tools: list[str] = Field(default_factory=list)


class RuntimeSummary(BaseModel):
    """Counts by state, and whether the runtime is ready."""

    model_config = ConfigDict(extra="ignore")

    ready: bool
    reason: str | None = None
    total: int = 0
    available: int = 0
    failed: int = 0
    unavailable: int = 0
    loading: int = 0
