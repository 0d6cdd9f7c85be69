"""What the sandbox, the timeout and the memory guard share: calling a tool, and naming what it raised."""

from __future__ import annotations

import asyncio
import functools
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from plugward._async import no_running_loop

MAX_TEXT = 1 << 20


def call(tool_fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call a tool on this thread; what it returns to be awaited is awaited on this thread too."""
    result = tool_fn(*args, **kwargs)
    return complete(result) if hasattr(type(result), "__await__") else result


def complete(awaitable: Awaitable[Any]) -> Any:
    """Run an awaitable to its end in a loop of its own, on this thread, whether or not a loop is running here.

    A helper thread was rejected: callbacks and thread-bound objects (a SQLite session) must stay on the caller's.
    """
    with no_running_loop():
        loop = asyncio.new_event_loop()
        task = loop.create_task(_await(awaitable))
        try:
            return loop.run_until_complete(task)
        finally:
            _finish(loop, task)


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _finish(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
    try:
        if task.done() and not task.cancelled():
            task.exception()  # seen: else the loop logs it once more when the task is collected
        loop.run_until_complete(_wind_down(loop))
    finally:
        loop.close()


async def _wind_down(loop: asyncio.AbstractEventLoop) -> None:
    leftovers = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    for leftover in leftovers:
        leftover.cancel()
    await asyncio.gather(*leftovers, return_exceptions=True)
    await loop.shutdown_asyncgens()


def error_text(error: BaseException) -> str:
    """`str(error)`, also where its `__str__` raises or gives a megabyte."""
    try:
        text = str.__str__(str(error))
    except BaseException as second:  # noqa: BLE001 - a plugin's own __str__ may raise anything
        return f"<{type(error).__name__}: its __str__ raised {type(second).__name__}>"
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}... ({len(text)} characters)"


def traceback_text(error: BaseException) -> str:
    """The traceback, as the interpreter would print it."""
    try:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except BaseException as second:  # noqa: BLE001 - as above: formatting calls the plugin's own code
        return f"<no traceback of {type(error).__name__}: formatting it raised {type(second).__name__}>"


def tool_name(tool_fn: object) -> str:
    """A name for a log line, also for callables that have none."""
    while isinstance(tool_fn, functools.partial):
        tool_fn = tool_fn.func
    name = getattr(tool_fn, "__name__", None)
    return name if isinstance(name, str) else type(tool_fn).__name__


def say(logger: logging.Logger, level: int, message: str, *args: object) -> None:
    """Log a line; a log handler that raises fails nobody."""
    try:
        logger.log(level, message, *args)
    except Exception:  # noqa: BLE001 - any handler of the host's may raise anything
        return
