"""The health endpoints. Each answers 200 or 404, whatever the registry or a plugin does."""

from __future__ import annotations

import logging
import math

from fastapi import APIRouter, HTTPException

from ..lifecycle.lifecycle_state import PluginLifecycleState
from ..loader import plugin_registry
from ..sandbox._calls import error_text, say
from .health_model import PluginHealthResponse, PluginListResponse

__all__ = ["get_plugin_health", "list_plugins", "list_plugins_flat", "router"]

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/plugins", tags=["plugins"])


def get_registry() -> plugin_registry.PluginRegistry:
    """The registry of this moment; looked up here so that it can be replaced at either module."""
    return plugin_registry.get_registry()


@router.get("")
async def list_plugins_flat() -> list[PluginHealthResponse]:
    """Every plugin, FAILED and UNAVAILABLE ones too, sorted by name."""
    try:
        return [_presentable(status) for status in get_registry().list_all()]
    except Exception as error:  # noqa: BLE001 - health never answers 500
        say(logger, logging.ERROR, "Plugin health: the registry raised %s: %s", type(error).__name__, error_text(error))
        return []


@router.get("/")
async def list_plugins() -> PluginListResponse:
    """The same list with its counts."""
    return PluginListResponse.of(await list_plugins_flat())


@router.get("/{name}/health", responses={404: {"description": "no plugin of that name"}})
async def get_plugin_health(name: str) -> PluginHealthResponse:
    """One plugin's health; 404 where there is none of that name."""
    try:
        status = get_registry().get_status(name)
    except Exception as error:  # noqa: BLE001 - health never answers 500
        return _unreadable(name, error)
    if status is None:
        raise HTTPException(404, f"Plugin '{name}' not found")
    return _presentable(status, name)


def _presentable(status: object, name: str | None = None) -> PluginHealthResponse:
    """`status` as JSON can show it: a registry that was replaced may give anything."""
    try:
        health = PluginHealthResponse.model_validate(status, from_attributes=True)
        times = ("uptime_seconds", "last_execution_time_ms", "avg_execution_time_ms")
        odd = [field for field in times if not math.isfinite(getattr(health, field) or 0.0)]
        return health.model_copy(update=dict.fromkeys(odd)) if odd else health
    except Exception as error:  # noqa: BLE001 - as above
        return _unreadable(name or str(getattr(status, "name", "unknown")), error)


def _unreadable(name: str, error: Exception) -> PluginHealthResponse:
    reason = f"its health could not be read: {type(error).__name__}: {error_text(error)}"
    say(logger, logging.ERROR, "Plugin '%s': %s", name, reason)
    return PluginHealthResponse(name=name, state=PluginLifecycleState.UNAVAILABLE, reason=reason)
