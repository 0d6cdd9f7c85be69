"""Health of the plugins: the models and, with FastAPI installed, the router."""

from __future__ import annotations

import importlib
from types import ModuleType

from .health_model import PluginHealthResponse, PluginListResponse

__all__ = ["PluginHealthResponse", "PluginListResponse"]


def __getattr__(name: str) -> ModuleType:
    if name == "health_router":  # needs FastAPI, the models do not
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
