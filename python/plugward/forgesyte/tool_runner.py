"""The host's ways to run a tool, over the registry's runtime. Nothing FAILED or UNAVAILABLE is ever executed."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Mapping
from typing import Any

from plugward._describe import plain
from plugward._errors import Code

from ._by_hand import Answer, ByHand, by_hand, entry
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
        """Run a plugin object on this thread: its `run`, else its only tool, else the one that `args["tool"]` names.

        Where a plugin of its name is registered, the call is on its account: what is FAILED or UNAVAILABLE is not
        executed, and an error fails the plugin.
        """
        name = getattr(plugin, "name", None)
        registry = get_registry()
        if not isinstance(name, str) or registry.get_state(name) is None:
            return run_plugin_sandboxed(entry(plugin, args)).to_dict()
        if not registry.is_available(name):
            refusal = _refusal(registry, name)
            say(logger, logging.ERROR, "Plugin '%s': %s", name, refusal["error"])
            return refusal
        registry.mark_running(name)
        result = run_plugin_sandboxed(entry(plugin, args))
        if result.ok:
            registry.record_success(name, result.execution_time_ms)
        else:
            registry.mark_failed(name, f"{result.error_type}: {result.error}")
        return result.to_dict()


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
    await asyncio.to_thread(get_registry().adopt, plugin_id)  # its tools are known from here on
    given = _image_as_bytes(plugin_id, tool_name, given)
    result = jsonable(_result(await _acall(plugin_id, tool_name, given, None)))
    return result if isinstance(result, dict) else {"result": result}


def _image_as_bytes(plugin_id: str, tool: str, args: dict[str, Any]) -> dict[str, Any]:
    """A base64 `image` as `image_bytes`, for tools whose schema knows only the latter."""
    schemas = (row["input_schema"] or {} for row in get_registry().runtime.tools(plugin_id) if row["id"] == tool)
    takes = next(schemas, {}).get("properties", {})
    if "image_bytes" not in takes or "image" in takes or not isinstance(args.get("image"), str):
        return args
    try:
        image = base64.b64decode(args["image"], validate=True)
    except ValueError as error:
        raise ValueError(f"image is not base64: {error}") from error
    return {**{key: value for key, value in args.items() if key != "image"}, "image_bytes": image}


def jsonable(value: Any) -> Any:
    """Plain data of a result: pydantic models are dumped, numpy becomes numbers and lists; what is neither stays."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, (set, frozenset, bytes, bytearray, memoryview)):
        return jsonable(plain(value)) if isinstance(value, (set, frozenset)) else plain(value)
    # Asked of the class: a mock has every attribute, and each gives a mock again.
    return jsonable(plain(value)) if any(hasattr(type(value), name) for name in ("model_dump", "tolist")) else value


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
    raised = outcome.exception
    if outcome.code in CALLERS_MISTAKES:
        return raised if isinstance(raised, ValueError) else ValueError(text)
    return raised if isinstance(raised, Exception) else RuntimeError(text)


def _refusal(registry: plugin_registry.PluginRegistry, name: str) -> dict[str, Any]:
    status = registry.get_status(name)
    state, reason = (status.state.value, status.reason) if status else ("UNAVAILABLE", None)
    error = f"plugin '{name}' is {state} and was not executed: {reason or 'no reason is known'}"
    return {"ok": False, "error": error, "error_type": f"Plugin{state.capitalize()}"}
