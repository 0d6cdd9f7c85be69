"""`run_with_memory_guard`: a tool that takes too much is stopped while it takes it."""

import itertools
import sys
import threading
import time
from collections.abc import Iterator
from unittest.mock import MagicMock, patch

import pytest

from plugward.forgesyte.sandbox import memory_guard
from plugward.forgesyte.sandbox.memory_guard import (
    DEFAULT_MEMORY_LIMIT_BYTES,
    check_memory_limit,
    format_memory_bytes,
    get_memory_usage_bytes,
    run_with_memory_guard,
)

MB = 1024**2
METER = f"{memory_guard.__name__}.get_memory_usage_bytes"


def hoards(megabytes: int = 2000) -> int:
    """Takes memory bit by bit; the bound only keeps a broken guard from taking the machine."""
    held = []
    for n in range(megabytes):
        held.append(bytes([n % 251 + 1]) * MB)
        time.sleep(0.005)
    return len(held)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_hoarder_is_stopped_while_it_hoards() -> None:
    outcome = run_with_memory_guard(hoards, memory_limit_bytes=100 * MB)
    assert (outcome.ok, outcome.memory_exceeded, outcome.error_type) == (False, True, "MemoryLimitExceeded")
    assert outcome.peak_memory_bytes < get_memory_usage_bytes() + 1500 * MB, "it was stopped only at its end"
    assert "100.00 MB" in (outcome.error or "")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_the_host_holds_is_not_the_tools() -> None:
    ballast = b"x" * (150 * MB)
    assert get_memory_usage_bytes() > 100 * MB
    assert run_with_memory_guard(lambda: "fine", memory_limit_bytes=100 * MB).ok
    assert len(ballast) == 150 * MB


def test_no_call_fits_into_less_than_an_interpreter() -> None:
    tool = MagicMock()
    assert run_with_memory_guard(tool, memory_limit_bytes=1).error_type == "MemoryLimitExceeded"


def test_a_replaced_meter_says_what_counts() -> None:
    with patch(METER, return_value=2 * DEFAULT_MEMORY_LIMIT_BYTES):
        outcome = run_with_memory_guard(lambda: "x")
        assert check_memory_limit() == (False, 2 * DEFAULT_MEMORY_LIMIT_BYTES)
    assert (outcome.ok, outcome.memory_exceeded) == (False, True)
    assert outcome.peak_memory_bytes == 2 * DEFAULT_MEMORY_LIMIT_BYTES
    with patch(METER, side_effect=[100 * MB, 2000 * MB]):
        assert run_with_memory_guard(lambda: "x").memory_exceeded
    with patch(METER, side_effect=[100 * MB, 200 * MB]):
        outcome = run_with_memory_guard(lambda: "x", memory_limit_bytes=500 * MB)
    assert (outcome.ok, outcome.result, outcome.peak_memory_bytes) == (True, "x", 200 * MB)
    with patch(METER, side_effect=OSError("no /proc")):
        assert run_with_memory_guard(lambda: "x").ok


def test_a_meter_that_rises_while_the_tool_runs_stops_it() -> None:
    readings: Iterator[int] = itertools.chain([10 * MB] * 3, itertools.repeat(90 * MB))
    begun = time.monotonic()
    with patch(METER, side_effect=lambda: next(readings)):
        outcome = run_with_memory_guard(lambda: [time.sleep(0.001) for _ in range(100_000)], memory_limit_bytes=50 * MB)
    assert outcome.memory_exceeded
    assert time.monotonic() - begun < 60, "the tool ran to its end"


def test_results_and_errors_come_through() -> None:
    good = run_with_memory_guard(lambda a: a, a=5)
    assert (good.ok, good.result, good.memory_limit_bytes) == (True, 5, DEFAULT_MEMORY_LIMIT_BYTES)
    assert good.peak_memory_bytes > 0
    bad = run_with_memory_guard(MagicMock(side_effect=KeyError("k")))
    assert (bad.error, bad.error_type, bad.memory_exceeded) == ("'k'", "KeyError", False)
    full = run_with_memory_guard(MagicMock(side_effect=MemoryError("no room")))
    assert (full.error, full.error_type, full.memory_exceeded) == ("no room", "MemoryError", True)


def test_the_tool_runs_on_the_callers_thread() -> None:
    assert run_with_memory_guard(threading.get_ident).result == threading.get_ident()


def test_no_interruption_reaches_the_host() -> None:
    """The meter crosses the limit just when the tool ends: afterwards the host's own code runs undisturbed."""
    for _ in range(100):
        readings = itertools.chain([1], itertools.repeat(100 * MB))
        with patch(METER, side_effect=lambda readings=readings: next(readings)):
            run_with_memory_guard(lambda: time.sleep(0.005), memory_limit_bytes=50 * MB)
        for _ in range(1000):
            pass


@pytest.mark.parametrize(
    ("number", "text"),
    [(3 * 2**29, "1.50 GB"), (2 * MB, "2.00 MB"), (3072, "3.00 KB"), (12, "12 B"), (0, "0 B"), (1023, "1023 B")],
)
def test_format(number: int, text: str) -> None:
    assert format_memory_bytes(number) == text
