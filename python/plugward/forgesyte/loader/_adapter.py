"""A plugin object as a runtime takes it: each tool goes through the plugin's own `run_tool`, where it has one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import plugward

HOOKS = ("validate", "on_load", "on_unload", "on_reload")


class Adapted:
    """Shows the runtime `tools` and the hooks of a plugin; the rest of the plugin stays its own business."""

    def __init__(self, plugin: Any) -> None:
        """Read the plugin's tools."""
        self.plugin = plugin
        self.name = getattr(plugin, "name", None)
        self.tools = _table(plugin)
        for hook in HOOKS:
            found = getattr(plugin, hook, None)
            if callable(found):
                setattr(self, hook, found)


def unwrapped(instance: Any) -> Any:
    """The plugin's own object."""
    return instance.plugin if isinstance(instance, Adapted) else instance


def has_tools(plugin: Any) -> bool:
    """Whether the plugin says which tools it has."""
    return bool(_declared(plugin))


def source_of(plugin: Any) -> tuple[str, Callable[[], Callable[[], Adapted]]]:
    """What a runtime loads such an object from; its tools are read again at every restart."""
    return ("factory", lambda: lambda: Adapted(plugin))


def has_deadlines(plugin: Any) -> bool:
    """Whether a tool has a deadline that its caller can count on only where it runs on another thread."""
    return any(isinstance(entry, Mapping) and entry.get("deadline_ms") for entry in _declared(plugin).values())


def _declared(plugin: Any) -> Mapping[str, Any]:
    tools = getattr(plugin, "tools", None)
    if callable(tools) and not isinstance(tools, Mapping):
        tools = tools()
    return tools if isinstance(tools, Mapping) else {}


def _table(plugin: Any) -> dict[str, Any]:
    declared = _declared(plugin)
    if declared:
        return {str(name): _entry(plugin, str(name), entry) for name, entry in declared.items()}
    run = getattr(plugin, "run", None)
    return {"run": run if callable(run) else _nothing_to_run}


def _entry(plugin: Any, name: str, entry: Any) -> dict[str, Any]:
    details = dict(entry) if isinstance(entry, Mapping) else {"handler": entry}
    handler = details.get("handler")
    if isinstance(handler, str) or handler is None:
        handler = getattr(plugin, handler or name, None)
    run_tool = getattr(plugin, "run_tool", None)
    details["handler"] = _through(run_tool, name, handler) if callable(run_tool) else handler
    return details


def _through(run_tool: Callable[..., Any], name: str, handler: Any) -> Callable[..., Any]:
    """`run_tool(name, args)` with the signature of the tool itself, by which its arguments are judged."""

    def call(**args: Any) -> Any:
        try:
            return run_tool(name, args)
        except TypeError as error:
            if _takes(handler, args):
                raise
            raise plugward.InvalidInput(str(error)) from error  # the caller's mistake, not a fault of the plugin

    return functools.wraps(handler)(call) if callable(handler) and hasattr(handler, "__name__") else call


def _takes(handler: Any, args: Mapping[str, Any]) -> bool:
    """Whether the tool can be called with these arguments, as far as its signature tells."""
    try:
        signature = inspect.signature(handler)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(**args)
    except TypeError:
        return False
    return True


def _nothing_to_run(**_: Any) -> Any:
    raise plugward.InvalidInput("the plugin has neither tools nor run()")
