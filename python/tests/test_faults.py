# ruff: noqa: N818 (these exceptions are named for what they do)
"""Catch everything: whatever leaves a plugin, inline and on another thread, is an outcome."""

import asyncio
import builtins
import sys
import time
from typing import Any

import pytest

import plugward
from plugward import Runtime

pytestmark = pytest.mark.parametrize("isolation", ["inline", "thread"])


# Python 3.11 and later.
GROUPS = [builtins.ExceptionGroup("x", [ValueError("y")])] if hasattr(builtins, "ExceptionGroup") else []


def call(runtime: Runtime, isolation: Any, function: Any, **options: Any) -> plugward.Outcome:
    report = runtime.add_host("p", {"t": function}, isolation=isolation, deadline_ms=120_000, **options)
    assert report.ok, report
    return runtime.call("p", "t")


def raiser(error: Any) -> Any:
    def tool() -> None:
        raise error

    return tool


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyboardInterrupt("x"),
        GeneratorExit("x"),
        asyncio.CancelledError("x"),
        BaseException("x"),
        StopIteration("x"),
        StopAsyncIteration("x"),
        *GROUPS,
        AssertionError("x"),
    ],
)
def test_any_exception(runtime: Runtime, isolation: Any, state: Any, error: BaseException) -> None:
    outcome = call(runtime, isolation, raiser(error))
    assert outcome.code == "PW-CALL-001"
    assert outcome.error == str(error)
    assert outcome.error_type == type(error).__name__
    assert outcome.exception is error
    assert outcome.effect == "stopped"
    assert "in tool" in str(outcome.traceback)
    assert state("p") == "FAILED"
    assert runtime.call("p", "t").code == "PW-CALL-006"


@pytest.mark.parametrize(("status", "said"), [(None, "0"), (3, "3"), ("bye", "bye"), (object(), "1")])
def test_sys_exit(runtime: Runtime, isolation: Any, status: Any, said: str) -> None:
    outcome = call(runtime, isolation, lambda: sys.exit(status))
    assert outcome.code == "PW-CALL-011"
    assert outcome.error_type == "PluginExited"
    assert said in str(outcome.error)


def test_an_error_of_the_input_is_no_fault(runtime: Runtime, isolation: Any, state: Any) -> None:
    outcome = call(runtime, isolation, raiser(plugward.InvalidInput("frame 3 is empty")))
    assert (outcome.code, outcome.error) == ("PW-CALL-003", "frame 3 is empty")
    assert state("p") == "INITIALIZED"


def test_fails_on_crash_keeps_the_plugin(runtime: Runtime, isolation: Any, state: Any) -> None:
    outcome = call(runtime, isolation, raiser(ValueError("x")), fails_on="crash")
    assert outcome.error_type == "ValueError"
    assert state("p") == "INITIALIZED"


class StrRaises(Exception):
    def __str__(self) -> str:
        raise SystemExit("from __str__")

    __repr__ = __str__


class StrHangs(Exception):
    def __str__(self) -> str:
        while True:
            pass

    __repr__ = __str__


class StrHangsStubbornly(Exception):
    def __str__(self) -> str:
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            try:
                time.sleep(0.01)
            except BaseException:
                continue
        return "late"

    __repr__ = __str__


class StrIsNoText(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]


class LiesAboutItsClass(Exception):
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise SystemExit("from __class__")


class ArgsRaise(Exception):
    @property
    def args(self) -> Any:  # type: ignore[override]
        raise SystemExit("from args")


class Meta(type):
    @property
    def __name__(cls) -> str:
        raise SystemExit("from __name__")

    def __instancecheck__(cls, instance: object) -> bool:
        raise SystemExit("from __instancecheck__")


class NameRaises(Exception, metaclass=Meta):
    pass


class GetattributeRaises(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(f"from {name}")


class ReprHangsInside(Exception):
    """Its own __str__ is inherited, but what it holds has a __repr__ that never ends."""


class NeverEnds:
    def __repr__(self) -> str:
        while True:
            pass


# By name: a test runner that looks at such an object does not survive it.
HOSTILE: dict[str, Any] = {
    "StrRaises": StrRaises,
    "StrHangs": StrHangs,
    "StrHangsStubbornly": StrHangsStubbornly,
    "StrIsNoText": StrIsNoText,
    "LiesAboutItsClass": lambda: LiesAboutItsClass("x"),
    "ArgsRaise": lambda: ArgsRaise("x"),
    "NameRaises": lambda: NameRaises("x"),
    "GetattributeRaises": lambda: GetattributeRaises("x"),
    "ReprHangsInside": lambda: ReprHangsInside(NeverEnds()),
    "ReprHangsInside ": lambda: ReprHangsInside(NeverEnds(), 2),
    "KeyError": lambda: KeyError(NeverEnds()),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_exceptions(runtime: Runtime, isolation: Any, kind: str) -> None:
    def tool() -> None:
        raise HOSTILE[kind]()

    begun = time.monotonic()
    outcome = call(runtime, isolation, tool)
    assert outcome.code == "PW-CALL-001"
    assert outcome.error_type == kind.strip()
    assert isinstance(outcome.error, str)
    assert isinstance(outcome.traceback, (str, type(None)))
    repr(outcome)
    outcome.to_dict()
    assert time.monotonic() - begun < 60
    health = runtime.plugin_health("p")
    assert health is not None
    assert health["state"] == "FAILED"


def test_a_message_of_100_megabytes_is_cut(runtime: Runtime, isolation: Any) -> None:
    text = "x" * 100_000_000
    outcome = call(runtime, isolation, raiser(ValueError(text)))
    assert outcome.error is not None
    assert len(outcome.error) < 100_000
    assert "100000000 characters in all" in outcome.error
    assert outcome.traceback is not None
    assert len(outcome.traceback) < 1_000_000


def test_a_message_that_is_no_unicode(runtime: Runtime, isolation: Any) -> None:
    outcome = call(runtime, isolation, raiser(ValueError("\ud800 half")))
    assert outcome.error is not None
    assert "half" in outcome.error


def test_endless_recursion(runtime: Runtime, isolation: Any) -> None:
    def deeper() -> Any:
        return deeper()

    assert call(runtime, isolation, deeper).error_type == "RecursionError"


def test_too_little_memory(runtime: Runtime, isolation: Any, state: Any) -> None:
    outcome = call(runtime, isolation, lambda: bytearray(1 << 62))
    assert outcome.code == "PW-CALL-014"
    assert isinstance(outcome.exception, MemoryError)
    assert outcome.error
    assert state("p") == "FAILED"


def test_causes_in_a_circle(runtime: Runtime, isolation: Any) -> None:
    def circle() -> None:
        first, second = ValueError("one"), KeyError("two")
        first.__cause__, second.__cause__ = second, first
        first.__context__, second.__context__ = second, first
        raise first

    outcome = call(runtime, isolation, circle)
    assert outcome.error == "one"
    assert "two" in str(outcome.traceback)


def test_a_chain_of_a_thousand_causes(runtime: Runtime, isolation: Any) -> None:
    def chain() -> None:
        error: BaseException = ValueError("first")
        for number in range(1000):
            error.__cause__, error = error.__cause__, error
            following = ValueError(str(number))
            following.__cause__ = error
            error = following
        raise error

    outcome = call(runtime, isolation, chain)
    assert outcome.error == "999"
    assert outcome.traceback is not None


def test_a_panic_of_a_rust_extension(runtime: Runtime, isolation: Any, state: Any) -> None:
    class PanicException(BaseException):  # what PyO3 raises for a panic; every extension has its own class
        pass

    outcome = call(runtime, isolation, raiser(PanicException("index out of bounds")), fails_on="crash")
    assert outcome.code == "PW-CALL-012"
    assert "index out of bounds" in str(outcome.error)
    assert state("p") == "FAILED"


def test_an_exception_of_deadline_that_is_the_plugins_own(runtime: Runtime, isolation: Any, state: Any) -> None:
    outcome = call(runtime, isolation, raiser(plugward.DeadlineExceeded("pretended")))
    assert outcome.code == "PW-CALL-013"
    assert state("p") == "INITIALIZED"


def test_a_result_whose_destructor_raises(runtime: Runtime, isolation: Any) -> None:
    class Trap:
        def __eq__(self, other: object) -> bool:
            raise SystemExit

        def __bool__(self) -> bool:
            raise SystemExit

        def __repr__(self) -> str:
            raise SystemExit

    outcome = call(runtime, isolation, Trap)
    assert outcome.ok
    repr(outcome)


def test_the_traceback_is_in_the_log(runtime: Runtime, isolation: Any) -> None:
    outcome = call(runtime, isolation, raiser(ValueError("look here")))
    assert not outcome.ok
    assert runtime.flush_logs(5)
    assert any("look here" in record["message"] for record in runtime.logs())
