"""Plugward as the rows use it, and a clear word where it is not installed."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import plugward

PLUGIN = Path(__file__).resolve().parent / "plugins" / "process" / "process.py"
MISSING = "PLUGWARD IS NOT INSTALLED: its side of this row was not measured (make setup)"


def installed() -> bool:
    """Whether the wheel is there."""
    try:
        metadata.version("plugward")
    except metadata.PackageNotFoundError:
        return False
    return True


def new_runtime() -> plugward.Runtime:
    """A runtime whose log lines are made and handed over, but not printed over the results."""
    import plugward

    logger = logging.getLogger("plugward")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return plugward.Runtime()


def host(
    tools: dict[str, Callable[..., Any]], isolation: Literal["inline", "thread"], deadline_ms: int
) -> plugward.Runtime:
    """A runtime with one host plugin `bench`. An exception does not end it, so that raising can be timed."""
    runtime = new_runtime()
    runtime.add_host("bench", tools, isolation=isolation, deadline_ms=deadline_ms, fails_on="crash")
    return runtime


def process(**more: Any) -> plugward.Runtime:
    """A runtime with one Python plugin `bench` in a worker process; `more` goes into its manifest."""
    runtime = new_runtime()
    with tempfile.TemporaryDirectory() as folder:
        manifest = {
            "name": "bench",
            "kind": "python",
            "entrypoint": f"{PLUGIN}:Plugin",
            "isolation": "process",
            "restart": {"policy": "never"},
            **more,
        }
        path = Path(folder, "plugin.json")
        path.write_text(json.dumps(manifest))
        (report,) = runtime.load(path)
        assert report.ok, report.error
    return runtime
