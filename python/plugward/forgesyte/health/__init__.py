"""Health of the plugins: the models and, with FastAPI installed, the router."""

from __future__ import annotations

from .health_model import PluginHealthResponse, PluginListResponse

__all__ = ["PluginHealthResponse", "PluginListResponse"]
