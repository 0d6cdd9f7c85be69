"""Where the plugin's parts lie."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import plugward

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugins" / "videotracker"
EXAMPLES = PLUGIN / "examples"

Load = Callable[..., plugward.Runtime]


def ffmpeg() -> str | None:
    """The program on PATH, else the one that a package carries."""
    carried = sorted((ROOT / ".torch" / "imageio_ffmpeg" / "binaries").glob("ffmpeg*"))
    return shutil.which("ffmpeg") or (str(carried[0]) if carried else None)


def call(rt: plugward.Runtime, tool: str, **args: Any) -> dict[str, Any]:
    """The outcome, good or bad."""
    return plugward.ToolRunner(rt).run_tool("video", tool, args)


def ask(rt: plugward.Runtime, tool: str, **args: Any) -> dict[str, Any]:
    """The result of a call that must go well, as JSON would carry it."""
    answer = call(rt, tool, **args)
    assert answer["ok"], answer
    result: dict[str, Any] = answer["result"]
    json.dumps(result, allow_nan=False)
    return result


def health(rt: plugward.Runtime) -> dict[str, Any]:
    """The plugin's."""
    return dict(rt.plugin_health("video") or {})


def recovered(rt: plugward.Runtime) -> None:
    """The supervisor began the next generation."""
    until = time.monotonic() + 60
    while health(rt).get("state") not in {"INITIALIZED", "RUNNING"}:
        assert time.monotonic() < until, health(rt)
        time.sleep(0.05)


def made(path: Path, *args: str) -> Path:
    """A video that ffmpeg makes."""
    program = ffmpeg()
    if program is None:
        pytest.skip("no ffmpeg")
    subprocess.run([program, "-v", "error", "-y", *args, str(path)], check=True, timeout=120)
    return path


def repeated(clip: Path, path: Path, times: int) -> Path:
    """A video that shows the clip again and again."""
    return made(path, "-stream_loop", str(times - 1), "-i", str(clip), "-c", "copy")
