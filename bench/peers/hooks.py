"""pluggy with one plugin and one hook that gives the first result."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

import pluggy


def manager(call: Callable[[int], int], *, guarded: bool = False) -> pluggy.PluginManager:
    """A manager whose hook `echo` calls `call`; guarded, a wrapper turns what happens into a dict and counts it."""
    spec = pluggy.HookspecMarker("bench")
    implementation = pluggy.HookimplMarker("bench")

    class Spec:
        """What the host asks for."""

        @spec(firstresult=True)
        def echo(self, x: int) -> int:
            """Give an answer."""
            raise NotImplementedError

    class Plugin:
        """What the plugin gives."""

        @implementation
        def echo(self, x: int) -> int:
            """Give the answer of `call`."""
            return call(x)

    class Guard:
        """The least of what Plugward does, done by hand: catch, time, count, answer."""

        calls = 0
        errors = 0

        @implementation(wrapper=True)
        def echo(self) -> Generator[None, Any, dict[str, Any]]:
            """Turn the result or the error into an answer."""
            begun = time.perf_counter()
            self.calls += 1
            try:
                result = yield
            except Exception as error:  # noqa: BLE001 (a guard is there for all of them)
                self.errors += 1
                answer = {"ok": False, "error": str(error), "error_type": type(error).__name__}
            else:
                answer = {"ok": True, "result": result}
            answer["elapsed_ms"] = (time.perf_counter() - begun) * 1e3
            return answer

    made = pluggy.PluginManager("bench")
    made.add_hookspecs(Spec)
    made.register(Plugin())
    if guarded:
        made.register(Guard())
    return made
