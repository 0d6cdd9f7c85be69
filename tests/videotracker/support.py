"""Where the plugin's parts lie."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import plugward

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugins" / "videotracker"
EXAMPLES = PLUGIN / "examples"

Load = Callable[..., plugward.Runtime]


def ffmpeg() -> str | None:
    """The program on PATH, else the one that a package carries."""
    carried = sorted((ROOT / ".torch" / "imageio_ffmpeg" / "binaries").glob("ffmpeg*"))
    return shutil.which("ffmpeg") or (str(carried[0]) if carried else None)
