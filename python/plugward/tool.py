"""How plugins are written: `@plugward.tool` and the base class `plugward.Plugin`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

from plugward.context import Context

F = TypeVar("F", bound=Callable[..., Any])


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    name: str | None = None,
    /,
    *,
    description: str | None = None,
    input_schema: Mapping[str, Any] | None = None,
    output_schema: Mapping[str, Any] | None = None,
    deadline_ms: int | None = None,
) -> Callable[[F], F]: ...
def tool(
    function: Any = None,
    /,
    *,
    description: str | None = None,
    input_schema: Mapping[str, Any] | None = None,
    output_schema: Mapping[str, Any] | None = None,
    deadline_ms: int | None = None,
) -> Any:
    """Mark a method as a tool of its plugin.

    `@tool`, `@tool("other_name")` or `@tool(input_schema=...)`. Without a description the first line of the docstring
    is taken.
    """

    def mark(marked: F) -> F:
        lines = (marked.__doc__ or "").strip().splitlines()
        marked.__plugward_tool__ = {  # type: ignore[attr-defined]
            "id": function if isinstance(function, str) else marked.__name__,
            "description": description or (lines[0].strip() if lines else None),
            "input_schema": input_schema,
            "output_schema": output_schema,
            "deadline_ms": deadline_ms,
        }
        return marked

    return mark(function) if callable(function) else mark


class Plugin:
    """A base for plugins; any class with tools will do. All methods are optional."""

    name: str = ""
    description: str = ""
    version: str = ""
    ctx: Context
    """Set when the plugin is loaded, before `on_load`."""

    def validate(self) -> bool | None:
        """Say whether the plugin is fit: raise or return False if it is not. Called once, when it is loaded."""
        return None

    def on_load(self) -> None:
        """Called before `validate`."""

    def on_reload(self) -> None:
        """Called after `on_load` where this generation takes the place of one that still serves."""

    def on_restore(self, state: Any, events: list[Any]) -> None:
        """Called before `validate` with what the last generation gave to `self.ctx.checkpoint`, where it did.

        `events` are those since then; there are none until the event bus is part of the build.
        """

    def on_unload(self) -> None:
        """Called when the generation has ended; a few seconds at most."""
