"""Running a plugin object that does not say which tools it has: by its `run_tool` alone, its states marked here."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from .sandbox._calls import call, error_text, traceback_text

if TYPE_CHECKING:
    from .loader.plugin_registry import PluginRegistry


class Answer(Protocol):
    """What the seams need to know of a call: a runtime's outcome, or one made here."""

    @property
    def ok(self) -> bool: ...
    @property
    def result(self) -> Any: ...
    @property
    def error(self) -> str | None: ...
    @property
    def error_type(self) -> str | None: ...
    @property
    def code(self) -> str | None: ...
    @property
    def exception(self) -> BaseException | None: ...
    @property
    def traceback(self) -> str | None: ...
    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class ByHand:
    """An answer of a call that no runtime made."""

    ok: bool
    result: Any = None
    error: str | None = None
    error_type: str | None = None
    code: str | None = None
    exception: BaseException | None = None
    traceback: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """`{ok, result}` or `{ok, error, error_type}`."""
        if self.ok:
            return {"ok": True, "result": self.result}
        return {"ok": False, "error": self.error, "error_type": self.error_type}


def by_hand(
    registry: PluginRegistry, name: str, tool: str, args: dict[str, Any], progress: Callable[..., Any] | None
) -> ByHand:
    """`plugin.run_tool(tool, args)` on this thread; a raise of whatever kind fails the plugin."""
    if progress is not None:
        args["progress_callback"] = progress
    run_tool = registry.get(name).run_tool
    registry.mark_running(name)
    begun = perf_counter()
    try:
        result = call(run_tool, (tool, args), {})
    except BaseException as error:  # noqa: BLE001 - to contain everything is the point
        registry.mark_failed(name, f"{type(error).__name__}: {error_text(error)}")
        return ByHand(
            False,
            error=error_text(error),
            error_type=type(error).__name__,
            exception=error,
            traceback=traceback_text(error),
        )
    registry.record_success(name, (perf_counter() - begun) * 1e3)
    return ByHand(True, result)


def entry(plugin: Any, args: Any) -> Callable[[], Any]:
    """The call that `plugin` means by `args`: `run(args)`, or `run(**args)` where they are its parameters."""
    run = getattr(plugin, "run", None)
    if not callable(run):
        return functools.partial(_run_named, plugin, args)
    if isinstance(args, Mapping) and args and set(args) <= _parameters(run):
        return functools.partial(run, **args)
    return functools.partial(run, args)


def _parameters(function: Callable[..., Any]) -> set[str]:
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return set()


def _run_named(plugin: Any, args: Any) -> Any:
    given = dict(args or {})
    tools = list(getattr(plugin, "tools", None) or {})
    tool = given.pop("tool", None) or (tools[0] if len(tools) == 1 else None)
    if tool is None:
        raise ValueError(f'say which tool in args["tool"]: {", ".join(map(str, tools)) or "the plugin has none"}')
    return plugin.run_tool(tool, given)
