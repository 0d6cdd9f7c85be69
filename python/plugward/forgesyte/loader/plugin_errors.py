"""What can go wrong while a plugin is loaded, one exception per step."""

from __future__ import annotations

__all__ = ["PluginImportError", "PluginInitError", "PluginLoadError", "PluginValidationError"]


class PluginLoadError(Exception):
    """A plugin could not be loaded; the subclasses say at which step."""


class PluginImportError(PluginLoadError):
    """Its module could not be imported, or has no plugin class."""


class PluginInitError(PluginLoadError):
    """Its constructor raised."""


class PluginValidationError(PluginLoadError):
    """Its `validate()` raised or said no, or its tools are not usable."""
