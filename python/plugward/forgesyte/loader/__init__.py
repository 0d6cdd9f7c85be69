"""Finding out whether plugins can be loaded, loading them, and keeping account of them."""

from __future__ import annotations

from .dependency_checker import DependencyChecker, DependencyCheckResult, check_dependencies, get_dependency_checker
from .plugin_errors import PluginImportError, PluginInitError, PluginLoadError, PluginValidationError
from .plugin_loader import PluginLoader, get_plugin_loader
from .plugin_registry import PluginMetadata, PluginRegistry, get_registry
from .startup_audit import run_startup_audit

__all__ = [
    "DependencyCheckResult",
    "DependencyChecker",
    "PluginImportError",
    "PluginInitError",
    "PluginLoadError",
    "PluginLoader",
    "PluginMetadata",
    "PluginRegistry",
    "PluginValidationError",
    "check_dependencies",
    "get_dependency_checker",
    "get_plugin_loader",
    "get_registry",
    "run_startup_audit",
]
