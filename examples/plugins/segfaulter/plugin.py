"""A plugin with a bug below Python: it reads an address that is nobody's."""

from __future__ import annotations

import ctypes
import os
from typing import Any

NO_INPUT = {"type": "object", "additionalProperties": False}


class Plugin:
    """One tool that works, one that ends its process."""

    name = "segfaulter"

    def __init__(self) -> None:
        """Keep the table of tools."""
        self.tools: dict[str, dict[str, Any]] = {
            "pid": {"handler": self.pid, "description": "the process it runs in", "input_schema": NO_INPUT},
            "crash": {"handler": self.crash, "description": "die of SIGSEGV", "input_schema": NO_INPUT},
        }

    def pid(self) -> dict[str, int]:
        """Give the number of the process."""
        return {"pid": os.getpid()}

    def crash(self) -> dict[str, str]:
        """Read address 8; the process does not survive that."""
        return {"read": ctypes.string_at(8, 16).hex()}
