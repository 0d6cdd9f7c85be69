"""Plugins that do one thing wrong each, for the tests of hosts and of plugins that live beside them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

HANG_SECONDS = 3600.0


class UnprintableError(Exception):
    """Cannot be turned into text."""

    def __str__(self) -> str:
        """Fail at that too."""
        raise RuntimeError("this message cannot be shown")


def _raises() -> None:
    raise ValueError("an ordinary bug")


def _exits() -> None:
    sys.exit(3)


def _interrupts() -> None:
    raise KeyboardInterrupt


def _unprintable() -> None:
    raise UnprintableError


def _floods() -> None:
    raise ValueError("x" * (8 << 20))


def _recurses() -> None:
    _recurses()


def _spins() -> None:
    until = time.monotonic() + HANG_SECONDS
    while time.monotonic() < until:
        pass


def _sleeps() -> None:
    time.sleep(HANG_SECONDS)


def _ignores_its_end() -> None:
    """Swallow every `Exception`, as loops around a camera do."""
    until = time.monotonic() + HANG_SECONDS
    while time.monotonic() < until:
        try:
            time.sleep(0.01)
        except Exception:  # noqa: BLE001, S112 - the very bug
            continue


def _gives_no_data() -> object:
    return object()


def _plugin(title: str, run: Callable[[], Any]) -> type[Any]:
    def __init__(self: Any) -> None:  # noqa: N807 - a class is made of it
        self.tools = {"run": {"handler": run, "description": title, "input_schema": {"type": "object"}}}

    return type(title, (), {"__init__": __init__, "name": title, "version": "1.0.0", "description": title})


class _FailsToConstruct:
    name = "fails_to_construct"

    def __init__(self) -> None:
        raise RuntimeError("no configuration")


class _ExitsInConstructor:
    name = "exits_in_constructor"

    def __init__(self) -> None:
        sys.exit("no licence")


class _Unfit:
    name = "unfit"

    def __init__(self) -> None:
        self.tools = {"run": {"handler": _raises, "description": "never called"}}

    def validate(self) -> bool:
        return False


PLUGINS: dict[str, type[Any]] = {
    **{
        title: _plugin(title, run)
        for title, run in {
            "raises": _raises,
            "exits": _exits,
            "interrupts": _interrupts,
            "unprintable": _unprintable,
            "floods": _floods,
            "recurses": _recurses,
            "spins": _spins,
            "sleeps": _sleeps,
            "ignores_its_end": _ignores_its_end,
            "gives_no_data": _gives_no_data,
        }.items()
    },
    "fails_to_construct": _FailsToConstruct,
    "exits_in_constructor": _ExitsInConstructor,
    "unfit": _Unfit,
}
"""By what they do wrong."""
