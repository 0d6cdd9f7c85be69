"""A plugin with an ordinary bug: it raises."""

from __future__ import annotations

from typing import Any


class Plugin:
    """One tool that works for positive numbers and raises for the others."""

    name = "raiser"

    def __init__(self) -> None:
        """Keep the table of tools."""
        self.tools: dict[str, dict[str, Any]] = {
            "root": {
                "handler": self.root,
                "description": "the square root of a number",
                "input_schema": {
                    "type": "object",
                    "properties": {"number": {"type": "number"}},
                    "required": ["number"],
                    "additionalProperties": False,
                },
                "output_schema": {"type": "object", "required": ["root"]},
            }
        }

    def root(self, number: float) -> dict[str, float]:
        """Give the square root; the bug is that nobody thought of negative numbers."""
        if number < 0:
            raise ValueError(f"{number} has no real square root")
        return {"root": number**0.5}
