"""The host's ways to run a tool, over the registry's runtime. Nothing FAILED or UNAVAILABLE is ever executed."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

from plugward._describe import plain
from plugward._errors import Code

from ._by_hand import Answer, ByHand, by_hand
from .loader import plugin_registry
from .sandbox._calls import say
from .sandbox.sandbox_runner import run_plugin_sandboxed

__all__ = ["ToolRunner", "run_plugin_tool", "tool_runner"]

logger = logging.getLogger(__name__)

Progress = Callable[..., Any]

CALLERS_MISTAKES = frozenset(
    {Code.REGISTRY_UNKNOWN_PLUGIN, Code.REGISTRY_UNKNOWN_TOOL, Code.CALL_INVALID_INPUT, Code.CALL_REFUSED_INPUT}
)
DEADLINES = frozenset({Code.CALL_DEADLINE, Code.CALL_QUEUE_TIMEOUT})


def get_registry() -> plugin_registry.PluginRegistry:
    """The registry of this moment; looked up here so that it can be replaced at either module."""
    return plugin_registry.get_registry()


class ToolRunner:
    """Runs tools of the registry's plugins, and of plugin objects that no registry knows."""

    def run_plugin_tool(
        self,
        plugin_id: str,
        tool_name: str,
        args: Mapping[str, Any] | None = None,
        progress_callback: Progress | None = None,
    ) -> Any:
        """Run a tool on this thread and return what it returns.

        Raises:
            ValueError: there is no such plugin or tool, or the arguments are not what the tool takes.
            TimeoutError: a deadline has passed.
            RuntimeError: the plugin is FAILED or UNAVAILABLE and was not executed, or tried to end the process.
            Exception: the plugin's own, as it raised it.
        """
        return _result(_call(plugin_id, tool_name, args, progress_callback))

    async def run_tool(
        self,
        plugin_id: str,
        tool_name: str,
        args: Mapping[str, Any] | None = None,
        *,
        frame_base64: str | None = None,
        device: str | None = None,
        annotated: bool | None = None,
        progress_callback: Progress | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Run a tool on another thread: `{ok, result}` or `{ok, error, error_type, code, remedy, ...}`."""
        named = {"frame": frame_base64, "device": device, "annotated": annotated}
        given = {**(args or {}), **more, **{name: value for name, value in named.items() if value is not None}}
        outcome = await _acall(plugin_id, tool_name, given, progress_callback)
        answer = dict(outcome.to_dict())
        if outcome.ok:
            answer["result"] = jsonable(answer["result"])
        return answer

    def run(self, plugin: Any, args: Any = None) -> dict[str, Any]:
        """Run a plugin object on this thread: its `run(args)`, else its only tool, else the one that `args` names.

        `args["tool"]` names a tool; what is registered under the plugin's name and is not available is not executed.
        """
        name = getattr(plugin, "name", None)
        registry = get_registry()
        if isinstance(name, str) and registry.get_state(name) is not None and not registry.is_available(name):
            refusal = _refusal(registry, name)
            say(logger, logging.ERROR, "Plugin '%s': %s", name, refusal["error"])
            return refusal
        return run_plugin_sandboxed(_entry(plugin), args).to_dict()


def run_plugin_tool(
    plugin_id: str,
    tool_name: str,
    args: Mapping[str, Any] | None = None,
    progress_callback: Progress | None = None,
) -> Any:
    """`ToolRunner.run_plugin_tool`."""
    return ToolRunner().run_plugin_tool(plugin_id, tool_name, args, progress_callback)


async def tool_runner(tool_name: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Run a tool of the plugin that `args["plugin_name"]` names, on another thread; the other arguments are its own.

    Raises:
        Exception: as `ToolRunner.run_plugin_tool` does.
    """
    given = dict(args)
    plugin_id = given.pop("plugin_name", None)
    if not isinstance(plugin_id, str):
        raise ValueError("args must carry the name of the plugin as plugin_name")
    result = jsonable(_result(await _acall(plugin_id, tool_name, given, None)))
    return result if isinstance(result, dict) else {"result": result}


def jsonable(value: Any) -> Any:
    """Plain data of a result: pydantic models are dumped, numpy becomes numbers and lists."""
    if value is None or (isinstance(value, (str, bool, int, float)) and type(value).__module__ == "builtins"):
        return value
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    made = plain(value)
    return made if made is value or isinstance(made, str) else jsonable(made)


def _call(plugin_id: str, tool: str, args: Mapping[str, Any] | None, progress: Progress | None) -> Answer:
    registry = get_registry()
    if registry.adopt(plugin_id):
        return _reported(plugin_id, tool, registry.runtime.call(plugin_id, tool, dict(args or {}), progress=progress))
    return _reported(plugin_id, tool, _by_host(registry, plugin_id, tool, dict(args or {}), progress))


async def _acall(plugin_id: str, tool: str, args: dict[str, Any], progress: Progress | None) -> Answer:
    """A coroutine tool runs on the loop, every other one on a thread; cancelling the awaiting task cancels the call."""
    registry = get_registry()
    if await asyncio.to_thread(registry.adopt, plugin_id):
        return _reported(plugin_id, tool, await registry.runtime.acall(plugin_id, tool, args, progress=progress))
    return _reported(plugin_id, tool, await asyncio.to_thread(_by_host, registry, plugin_id, tool, args, progress))


def _by_host(
    registry: plugin_registry.PluginRegistry, name: str, tool: str, args: dict[str, Any], progress: Progress | None
) -> Answer:
    if registry.is_available(name):
        return by_hand(registry, name, tool, args, progress)
    return ByHand(**_refusal(registry, name))


def _reported(plugin_id: str, tool: str, answer: Answer) -> Answer:
    if not answer.ok:
        _report(f"Plugin '{plugin_id}' tool '{tool}': {answer.error_type}: {answer.error}", answer)
    return answer


def _result(answer: Answer) -> Any:
    if answer.ok:
        return answer.result
    error = _exception(answer)
    raise error from (None if error is answer.exception else answer.exception)


def _report(line: str, outcome: Answer) -> None:
    if outcome.code in CALLERS_MISTAKES:
        say(logger, logging.WARNING, "%s", line)
    else:
        say(logger, logging.ERROR, "%s", f"{line}\n{outcome.traceback or ''}".rstrip())


def _exception(outcome: Answer) -> Exception:
    text = outcome.error or ""
    if outcome.code in DEADLINES:
        return TimeoutError(text)
    if isinstance(outcome.exception, Exception):
        return outcome.exception
    return (ValueError if outcome.code in CALLERS_MISTAKES else RuntimeError)(text)


def _refusal(registry: plugin_registry.PluginRegistry, name: str) -> dict[str, Any]:
    status = registry.get_status(name)
    state, reason = (status.state.value, status.reason) if status else ("UNAVAILABLE", None)
    error = f"plugin '{name}' is {state} and was not executed: {reason or 'no reason is known'}"
    return {"ok": False, "error": error, "error_type": f"Plugin{state.capitalize()}"}


def _entry(plugin: Any) -> Callable[[Any], Any]:
    if callable(getattr(plugin, "run", None)):
        return plugin.run  # type: ignore[no-any-return]
    return functools.partial(_run_named, plugin)


def _run_named(plugin: Any, args: Any) -> Any:
    given = dict(args or {})
    tools = list(getattr(plugin, "tools", None) or {})
    tool = given.pop("tool", None) or (tools[0] if len(tools) == 1 else None)
    if tool is None:
        raise ValueError(f'say which tool in args["tool"]: {", ".join(map(str, tools)) or "the plugin has none"}')
    return plugin.run_tool(tool, given)
