"""What the figures were measured on. No names, no paths."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "plugward",
    "pluggy",
    "extism",
    "extism-sys",
    "func-timeout",
    "pebble",
    "numpy",
    "pydantic",
    "fastapi",
    "uvicorn",
    "h11",
)


def describe() -> dict[str, str]:
    """Processor, cores, kernel, versions, and how busy the machine was."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load before": load(),
        **{name: version(name) for name in PACKAGES},
    }


def load() -> str:
    """Running processes, averaged over one minute."""
    return f"{os.getloadavg()[0]:.2f}"


def processor() -> str:
    """The processor's own name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def version(package: str) -> str:
    """The installed version."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
