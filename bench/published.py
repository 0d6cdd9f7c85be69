"""Figures that cannot be measured again here, scaled to this machine.

The present code of the first host is not ours to fetch. Its published figures come with the floor that was measured
beside them; here the same floor is measured again, and the figure is scaled by it. Such a result is "published".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.harness import Result


@dataclass(frozen=True)
class Published:
    """A published range and the range of its reference in the same runs, in nanoseconds."""

    name: str
    low_ns: float
    high_ns: float
    reference: str
    reference_low_ns: float
    reference_high_ns: float

    @property
    def ratio(self) -> float:
        """How many times its reference: the geometric mean of both ends of the ranges."""
        return math.sqrt(self.low_ns / self.reference_low_ns * self.high_ns / self.reference_high_ns)

    @property
    def figure(self) -> str:
        """What was published, in words."""
        low, high = self.low_ns / 1e3, self.high_ns / 1e3
        return f"{low:g} µs" if low == high else f"{low:g} to {high:g} µs"

    def scaled(self, reference: Result) -> Result:
        """What the figure would be here."""
        note = (
            f"published, not re-run: {self.figure} at a {self.reference} of "
            f"{self.reference_low_ns / 1e3:g} to {self.reference_high_ns / 1e3:g} µs; scaled by that ratio"
        )
        here = self.ratio * reference.median_ns
        return Result(self.name, "published", here, here, here, None, note)


CALL_PATH = Published("ForgeSyte, whole path", 10_500, 20_000, "bare call", 36, 65)
CALL_SANDBOX = Published("ForgeSyte, sandbox alone", 3_000, 6_000, "bare call", 36, 65)
RAISE_PATH = Published("ForgeSyte, whole path", 48_000, 108_000, "bare try/except", 860, 1_600)
TIMEOUT = Published("ForgeSyte, timeout", 277_000, 630_000, "executor call", 32_000, 47_000)

# Per call of the names that are dropped in: published without range and floor; the floors are of the figures above.
DROP_IN_SANDBOX = Published("ForgeSyte, run_plugin_sandboxed", 6_900, 6_900, "bare call", 36, 65)
DROP_IN_PATH = Published("ForgeSyte, run_plugin_tool", 14_000, 14_000, "bare call", 36, 65)
DROP_IN_TIMEOUT = Published("ForgeSyte, run_with_timeout", 448_000, 448_000, "executor call", 32_000, 47_000)
DROP_IN_LIST = Published("ForgeSyte, list_all of 100", 1_000_000, 1_000_000, "bare call", 36, 65)
