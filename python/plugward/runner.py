"""Runs tools and answers with plain dicts: `{"ok": True, "result": ...}` or `{"ok": False, "error": ...}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from plugward._runtime import Runtime, default_runtime

if TYPE_CHECKING:
    from plugward._native import Outcome

__all__ = ["ToolRunner"]


class ToolRunner:
    """Runs the tools of a runtime's plugins. Nothing that a plugin does leaves it as an exception."""

    def __init__(self, runtime: Runtime | None = None, *, deadline_ms: float | None = None) -> None:
        """Run on `runtime`, or on the process's default one; `deadline_ms` holds where a call names none."""
        self.runtime = runtime if runtime is not None else default_runtime()
        self.deadline_ms = deadline_ms

    def run_tool(
        self,
        plugin_id: str,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        deadline_ms: float | None = None,
        progress: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Run a tool; its arguments are `args`, by name or both."""
        outcome = self.runtime.call(
            plugin_id, tool, _merged(args, kwargs), deadline_ms=deadline_ms or self.deadline_ms, progress=progress
        )
        return outcome.to_dict()

    async def arun_tool(
        self,
        plugin_id: str,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        deadline_ms: float | None = None,
        progress: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Do the same without holding a thread; cancelling the awaiting task cancels the call."""
        outcome = await self.runtime.acall(
            plugin_id, tool, _merged(args, kwargs), deadline_ms=deadline_ms or self.deadline_ms, progress=progress
        )
        return outcome.to_dict()

    def run(
        self, plugin: object, args: Mapping[str, Any] | None = None, tool: str | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Run one tool of a plugin object that no runtime knows: its only one, or the one that is named.

        The object is loaded into a runtime of its own for this one call.
        """
        outcome = _run_alone(plugin, tool, _merged(args, kwargs), self.deadline_ms)
        return outcome.to_dict()


def _merged(args: Mapping[str, Any] | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {**(args or {}), **kwargs}


def _run_alone(plugin: object, tool: str | None, args: Mapping[str, Any], deadline_ms: float | None) -> Outcome:
    with Runtime() as runtime:
        report = runtime.add_plugin(plugin)
        known = [row["id"] for row in runtime.tools(report.name)]
        wanted = tool or ("run" if "run" in known else known[0] if len(known) == 1 else "")
        return runtime.call(report.name, wanted, args, deadline_ms=deadline_ms)
