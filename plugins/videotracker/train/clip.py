"""Makes the clip that ships with the example, what is true about it, and two stills.

`python -m plugins.videotracker.train.clip` needs numpy, Pillow and the executable `ffmpeg` with libx264. The truth is
the same on every machine; the encoded bytes depend on the version of the encoder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .album import FILM
from .play import CLASSES
from .world import SIZE, Truth, film

FOLDER = Path("plugins/videotracker/examples")
SECONDS, RATE = 7.0, 25
STILLS = {40: "frame.png", 120: "frame.jpg"}


def encode(frames: Iterable[NDArray[np.uint8]], path: Path) -> None:
    """Write the frames as H.264, the kind that every player knows."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise FileNotFoundError("ffmpeg was not found; install it (Debian: apt-get install ffmpeg)")
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{SIZE[0]}x{SIZE[1]}", "-r", str(RATE), "-i", "-"]
    coded = ["-c:v", "libx264", "-preset", "slow", "-crf", "20", "-pix_fmt", "yuv420p", "-threads", "1"]
    plain = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart"]
    command = [ffmpeg, "-y", "-loglevel", "error", *raw, *coded, *plain, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        if process.stdin is None:
            raise RuntimeError("no pipe to ffmpeg")
        for frame in frames:
            process.stdin.write(frame.tobytes())
        process.stdin.close()
    if process.returncode != 0:
        raise RuntimeError(f"ffmpeg ended with {process.returncode}")


def rows(truth: Truth) -> list[list[float]]:
    """The objects of a frame: identity, class, left, top, right, bottom, visible share."""
    return [
        [int(identity), int(kind), *(round(float(edge), 1) for edge in box), round(float(visible), 2)]
        for identity, kind, box, visible in zip(
            truth.identities, truth.classes, truth.boxes, truth.visible, strict=True
        )
    ]


def describe(truths: list[Truth], clip: bytes) -> str:
    """The JSON beside the clip, a frame a line."""
    head = {
        "sha256": hashlib.sha256(clip).hexdigest(),
        "rate": RATE,
        "size": list(SIZE),
        "classes": list(CLASSES),
        "object": ["identity", "class", "left", "top", "right", "bottom", "visible"],
        "homography": "metres of the pitch (x, y, 1) to pixels, row by row",
    }
    frames = [
        json.dumps({"objects": rows(truth), "homography": [float(f"{h:.7g}") for h in truth.homography.ravel()]})
        for truth in truths
    ]
    return json.dumps(head)[:-1] + ', "frames": [\n' + ",\n".join(frames) + "\n]}\n"


def main() -> None:
    """Write clip, truth and stills."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--seed", type=int, default=FILM)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    frames = list(film(options.seed, SECONDS, RATE))
    path = options.folder / "clip.mp4"
    encode((image for image, _ in frames), path)
    (options.folder / "clip.json").write_text(describe([truth for _, truth in frames], path.read_bytes()))
    for number, name in STILLS.items():
        picture = Image.fromarray(frames[number][0])
        picture.save(options.folder / name, quality=92, optimize=True)


if __name__ == "__main__":
    main()
