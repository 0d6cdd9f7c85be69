"""The built plugin, its worker and libtorch, or a loud skip."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import plugward
from tests.videotracker.support import EXAMPLES, PLUGIN, ROOT, Load, ffmpeg


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Loads the plugin under the name `video`, with its manifest changed as asked, in a folder of its own.

    `faults=True` takes the copy that can be made to fail as a GPU would; a value of None removes a key.
    """
    worker = Path(os.environ.get("PLUGWARD_WORKER") or ROOT / "target" / "release" / "plugward-worker")
    parts = [PLUGIN / "libvideotracker.so", ROOT / ".torch" / "torch" / "version.py", worker]
    parts += [PLUGIN / "models" / name for name in ("detector.pt", "pitch.pt")]
    missing = [str(part) for part in parts if not part.exists()]
    if missing:
        pytest.skip(f"not built (make videotracker): {', '.join(missing)}")
    monkeypatch.setenv("PLUGWARD_WORKER", str(worker))
    monkeypatch.setenv("PLUGWARD_LIBTORCH", os.environ.get("PLUGWARD_LIBTORCH") or str(ROOT / ".torch" / "torch"))
    program = ffmpeg()
    if program:
        monkeypatch.setenv("PLUGWARD_FFMPEG", program)
    made: list[plugward.Runtime] = []

    def load(
        *, faults: bool = False, manifest: str = "cpu", without: Sequence[str] = (), **changes: Any
    ) -> plugward.Runtime:
        folder = tmp_path / f"plugin{len(made)}"
        folder.mkdir()
        described = json.loads((PLUGIN / manifest / "manifest.json").read_text())
        library = PLUGIN / ("tests/faults" if faults else "") / "libvideotracker.so"
        described |= {"name": "video", "entrypoint": str(library)}
        for model in described["models"].values():
            model["path"] = str((PLUGIN / manifest / model["path"]).resolve())
        described["models"] = {k: v for k, v in described["models"].items() if k not in without}
        for key, value in changes.items():
            if isinstance(value, dict) and isinstance(described.get(key), dict):
                described[key] |= value
            else:
                described[key] = value
        (folder / "manifest.json").write_text(json.dumps(described))
        made.append(plugward.Runtime())
        made[-1].load(folder)
        return made[-1]

    yield load
    for rt in made:
        rt.close()


@pytest.fixture
def clip() -> Path:
    """The clip that ships."""
    return EXAMPLES / "clip.mp4"


@pytest.fixture
def frame() -> Path:
    """One frame of it."""
    return EXAMPLES / "frame.png"
