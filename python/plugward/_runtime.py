"""The runtime: the native one, and what is easier said in Python."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from plugward import _native

if TYPE_CHECKING:
    from plugward._native import LoadReport, Outcome

Isolation = Literal["inline", "thread", "process"]
FailsOn = Literal["exception", "crash"]

_default: tuple[int, Runtime] | None = None
_default_lock = threading.Lock()


class Runtime(_native.Runtime):
    """One instance of Plugward in a process: plugins, calls, health, logs. Several may live in one process."""

    def __init__(self, **_options: Any) -> None:
        """Take the options that the native runtime was made with."""
        super().__init__()
        self._waiting: Counter[str] = Counter()
        _remember(self)

    async def acall(
        self,
        plugin: str,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        deadline_ms: float | None = None,
        progress: Callable[..., Any] | None = None,
    ) -> Outcome:
        """Call a tool without holding a thread while it waits; cancelling the awaiting task cancels the call.

        Coroutine tools run on the running loop, plain functions on a thread of the runtime.
        """
        from plugward import _async

        return await _async.acall(self, self._waiting, plugin, tool, args, deadline_ms, progress)

    def add_host(
        self,
        name: str,
        tools: Mapping[str, Callable[..., Any]],
        *,
        isolation: Isolation | None = None,
        deadline_ms: int | None = None,
        fails_on: FailsOn = "exception",
        description: str = "",
        version: str = "",
        schemas: Mapping[str, Mapping[str, Any]] | None = None,
        concurrency: int | None = None,
        error_field: str | None = None,
    ) -> LoadReport:
        """Make a plugin of callables that the host already holds.

        `schemas` is `{tool: {"input_schema": ..., "output_schema": ..., "description": ..., "deadline_ms": ...}}`.
        Without an `isolation` calls run on the caller's thread, or on the runtime's where there is a deadline.
        """
        manifest = {
            "name": name,
            "kind": "host",
            "isolation": isolation,
            "fails_on": fails_on,
            "description": description,
            "version": version or None,
            "error_field": error_field,
            "limits": {"deadline_ms": deadline_ms, "concurrency": concurrency},
        }
        return self._add(("host", dict(tools), schemas), _without_none(manifest))

    def add_plugin(
        self,
        plugin: object,
        name: str | None = None,
        manifest: Mapping[str, Any] | None = None,
    ) -> LoadReport:
        """Load a plugin that is an object or a class in memory. A class is made anew at every restart."""
        known = {
            "name": name or _own_text(plugin, "name") or _class_name(plugin),
            "kind": "host",
            "description": _own_text(plugin, "description"),
            "version": _own_text(plugin, "version"),
        }
        given = {key: value for key, value in (manifest or {}).items() if key not in ("kind", "entrypoint")}
        if name:
            given.pop("name", None)
        return self._add(("object", plugin), _without_none({**known, **given}))

    def load_entry_points(self, group: str = "plugward.plugins") -> list[LoadReport]:
        """Load every plugin that an installed package offers. One that cannot be loaded is listed FAILED."""
        from plugward import _entry_points

        return _entry_points.load(self, group)

    def __exit__(self, *_exc: object) -> None:
        """Close the runtime."""
        self.close()

    def __enter__(self) -> Runtime:
        """Use the runtime in a `with` block."""
        return self


_alive: weakref.WeakSet[Runtime] = weakref.WeakSet()
_watches_exit = False
LAST_WORDS = 0.3
"""Seconds that a log sink has for what was written just before the interpreter ends."""


def _remember(runtime: Runtime) -> None:
    """Register late, so that what is registered at exit runs before `logging` ends its handlers."""
    global _watches_exit
    _alive.add(runtime)
    if not _watches_exit:
        _watches_exit = True
        atexit.register(_at_exit)


def _at_exit() -> None:
    for runtime in list(_alive):
        if runtime.summary()["log"]["queued"]:
            runtime.flush_logs(LAST_WORDS)
    _native.interpreter_ends()


def default_runtime() -> Runtime:
    """The process's own runtime, made when it is first asked for; a forked child gets a fresh one."""
    global _default
    pid = os.getpid()
    known = _default
    if known is not None and known[0] == pid:
        return known[1]
    with _default_lock:
        if _default is None or _default[0] != pid:
            _default = (pid, Runtime())
        return _default[1]


def _after_fork() -> None:
    """The lock may have been held by a thread that stayed in the parent."""
    global _default_lock
    _default_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _without_none(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in data.items()
        if value is not None
    }


def _own_text(plugin: object, attribute: str) -> str | None:
    """A text that the plugin gives itself; a property that raises or is not read yet gives none."""
    try:
        found = getattr(plugin, attribute, None)
    except BaseException:  # noqa: BLE001 (a property is the plugin's code)
        return None
    return str(found) if isinstance(found, str) and found else None


def _class_name(plugin: object) -> str:
    kind = plugin if isinstance(plugin, type) else type(plugin)
    name: str = type.__dict__["__name__"].__get__(kind)
    return name
