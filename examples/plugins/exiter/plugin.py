"""A plugin written as if it were a script: it ends the process that it runs in, or tries to."""

from __future__ import annotations

import sys
from typing import Any


class Plugin:
    """One tool that calls `sys.exit`."""

    name = "exiter"

    def __init__(self) -> None:
        """Keep the table of tools."""
        self.tools: dict[str, dict[str, Any]] = {
            "leave": {
                "handler": self.leave,
                "description": "end the process",
                "input_schema": {"type": "object", "properties": {"status": {"type": "integer"}}},
                "output_schema": {"type": "object"},
            }
        }

    def leave(self, status: int = 3) -> dict[str, Any]:
        """Never give an answer."""
        sys.exit(status)
