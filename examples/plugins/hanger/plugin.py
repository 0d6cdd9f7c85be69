"""A plugin that never answers: once by computing for ever, once by waiting for ever."""

from __future__ import annotations

import time
from typing import Any

NO_INPUT = {"type": "object", "additionalProperties": False}


class Plugin:
    """Two tools that never return."""

    name = "hanger"

    def __init__(self) -> None:
        """Keep the table of tools."""
        self.tools: dict[str, dict[str, Any]] = {
            "spin": {"handler": self.spin, "description": "compute for ever", "input_schema": NO_INPUT},
            "sleep": {"handler": self.sleep, "description": "wait for ever", "input_schema": NO_INPUT},
        }

    def spin(self) -> dict[str, Any]:
        """Compute for ever, in the interpreter."""
        turns = 0
        while True:
            turns += 1

    def sleep(self) -> dict[str, Any]:
        """Wait for ever, in one system call after the other."""
        while True:
            time.sleep(3600)
