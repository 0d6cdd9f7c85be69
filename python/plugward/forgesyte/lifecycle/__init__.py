"""The states of plugins, and who moves them."""

from __future__ import annotations

from .lifecycle_manager import PluginLifecycleManager
from .lifecycle_state import PluginLifecycleState

__all__ = ["PluginLifecycleManager", "PluginLifecycleState"]
