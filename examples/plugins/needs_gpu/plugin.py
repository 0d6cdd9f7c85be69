"""A plugin that needs a GPU. Where there is none it is UNAVAILABLE and none of this code runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DRIVER = Path("/proc/driver/nvidia/gpus")


class Plugin:
    """One tool that names the GPUs of this machine."""

    name = "needs_gpu"

    def __init__(self) -> None:
        """Keep the table of tools."""
        self.tools: dict[str, dict[str, Any]] = {
            "list_gpus": {
                "handler": self.list_gpus,
                "description": "the models of the GPUs that the driver knows",
                "input_schema": {"type": "object", "additionalProperties": False},
                "output_schema": {"type": "object", "required": ["gpus"]},
            }
        }

    def list_gpus(self) -> dict[str, list[str]]:
        """Read the models from the driver's own table."""
        found = []
        for card in sorted(DRIVER.glob("*/information")):
            lines = card.read_text().splitlines()
            found += [line.partition(":")[2].strip() for line in lines if line.startswith("Model")]
        return {"gpus": found}
