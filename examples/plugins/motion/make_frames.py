"""Draws the frames that ship with this example: a red disc and a blue box move over a noisy, textured floor.

python examples/plugins/motion/make_frames.py [FOLDER]

The noise is seeded and PNG is lossless, so the same pixels come out every time. `TRUTH` says where the objects are.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

WIDTH, HEIGHT, FRAMES = 160, 120, 5
RED, BLUE = (214, 40, 40), (38, 70, 200)
Box = tuple[int, int, int, int]

TRUTH: list[dict[str, Box]] = [
    {"red": (10 + 30 * n, 20, 10 + 30 * n + 21, 41), "blue": (110 - 22 * n, 70, 110 - 22 * n + 24, 90)}
    for n in range(FRAMES)
]


def floor() -> npt.NDArray[np.float64]:
    """A still background: soft tiles, brighter towards the right."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    tiles = ((x // 20 + y // 20) % 2) * 12.0
    return np.stack([120 + tiles + x / 8, 128 + tiles + x / 8, 110 + tiles + x / 10], axis=2)


def frame(number: int) -> Image.Image:
    """One frame: the floor, the two objects, and the noise of a camera (standard deviation 2 of 255)."""
    picture = Image.fromarray(floor().astype(np.uint8), "RGB")
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = TRUTH[number]["red"]
    draw.ellipse((left, top, right - 1, bottom - 1), fill=RED)
    left, top, right, bottom = TRUTH[number]["blue"]
    draw.rectangle((left, top, right - 1, bottom - 1), fill=BLUE)
    noise = np.random.default_rng(number).normal(0.0, 2.0, (HEIGHT, WIDTH, 3))
    noisy = np.clip(np.asarray(picture, dtype=np.float64) + noise, 0, 255)
    return Image.fromarray(noisy.round().astype(np.uint8), "RGB")


def main(folder: Path) -> None:
    """Write the frames as PNG, and the first two also as JPEG."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(FRAMES):
        frame(number).save(folder / f"frame_{number}.png", optimize=True)
    for number in range(2):
        frame(number).save(folder / f"frame_{number}.jpg", quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "frames")
