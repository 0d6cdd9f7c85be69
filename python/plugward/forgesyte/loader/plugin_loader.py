"""Loads plugins: whatever goes wrong, the plugin is listed with its reason and the start-up goes on."""

from __future__ import annotations

import functools
import logging
from typing import Any

import plugward
from plugward._loading import _StepError as StepError

from ..sandbox._calls import say
from . import plugin_registry
from ._adapter import has_deadlines
from ._sources import PluginSource, manifest_beside
from .plugin_errors import PluginImportError, PluginInitError, PluginLoadError, PluginValidationError

__all__ = ["PluginLoader", "get_plugin_loader"]

logger = logging.getLogger(__name__)

STEPS: dict[str | None, type[PluginLoadError]] = {
    plugward.Code.LOAD_IMPORT: PluginImportError,
    plugward.Code.LOAD_ENTRYPOINT: PluginImportError,
    plugward.Code.LOAD_CONSTRUCT: PluginInitError,
    plugward.Code.LOAD_VALIDATE: PluginValidationError,
    plugward.Code.LOAD_PROBE: PluginValidationError,
    plugward.Code.LOAD_TOOLS: PluginValidationError,
}


def get_registry() -> plugin_registry.PluginRegistry:
    """The registry of this moment; looked up here so that it can be replaced at either module."""
    return plugin_registry.get_registry()


class PluginLoader:
    """Loads into the registry. Dependencies are checked first, so that nothing is imported in vain."""

    def load_plugin(self, plugin_name: str, plugin_path: str, description: str = "", version: str = "") -> bool:
        """Whether the plugin takes calls now. Never raises: what went wrong is in the registry and in the log.

        `plugin_path` is `module:Class`, `module.Class`, a module with one plugin class, a file, or a folder. A
        `manifest.json` beside it adds what the plugin needs. Loading a name again begins its next generation.
        """
        try:
            self.load(plugin_name, plugin_path, description, version)
        except PluginLoadError as error:
            detail = f"\n{error.__cause__}" if error.__cause__ else ""
            say(logger, logging.ERROR, "Plugin '%s' was not loaded: %s%s", plugin_name, error, detail)
            return False
        say(logger, logging.INFO, "Plugin '%s' loaded from %s", plugin_name, plugin_path)
        return True

    def load(self, plugin_name: str, plugin_path: str, description: str = "", version: str = "") -> None:
        """`load_plugin` for callers that want the reason.

        Raises:
            PluginLoadError: or the subclass that names the step.
        """
        registry = get_registry()
        given = {"name": plugin_name, "description": description, "version": version}
        manifest = {key: value for key, value in given.items() if value}
        try:
            manifest = {**manifest_beside(plugin_path), **manifest}
            source = ("factory", PluginSource(plugin_path))
            report = registry.load(source, manifest)
            if report.ok and "isolation" not in manifest and has_deadlines(registry.get(plugin_name)):
                report = registry.load(source, {**manifest, "isolation": "thread"})
        except plugward.PlugwardError as error:
            report = registry.load(("factory", functools.partial(_cannot, error)), manifest)
        _own_words(registry, manifest)
        if not report.ok:
            raise STEPS.get(report.code, PluginLoadError)(report.error) from _traceback(report)


def _cannot(error: plugward.PlugwardError) -> Any:
    raise StepError(error.code, str(error)) from error


def _own_words(registry: plugin_registry.PluginRegistry, manifest: dict[str, Any]) -> None:
    """What the plugin says of itself, where neither the host nor a manifest does."""
    plugin = registry.get_plugin_instance(manifest["name"])
    said = {key: getattr(plugin, key, None) for key in ("description", "version") if not manifest.get(key)}
    registry.describe(manifest["name"], **{key: text for key, text in said.items() if isinstance(text, str)})


def _traceback(report: plugward.LoadReport) -> Any:
    return PluginLoadError(report.traceback) if report.traceback else None


_loader = PluginLoader()


def get_plugin_loader() -> PluginLoader:
    """The loader of this process."""
    return _loader
