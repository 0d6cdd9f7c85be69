"""Finds moving regions between frames and the dominant colours of a picture.

The background is the per-pixel median of all frames (of two frames: the other one). What differs from it by more than
the camera's noise is joined into regions on a grid of small cells, so that a few lost pixels do not split an object.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from plugward import InvalidInput

HERE = Path(__file__).parent
CELL = 4  # pixels; the grid on which neighbours are joined
NOISE_FACTOR = 8.0  # times the mean difference, below which a pixel counts as unchanged
LEAST_CHANGE = 24.0  # of 255, in one channel: the noise of a dark, still scene
LARGEST_PICTURE = 40_000_000  # pixels
LARGEST_FILE = 64 << 20  # bytes

Pixels: TypeAlias = npt.NDArray[np.uint8]  # height x width x 3, RGB
Mask: TypeAlias = npt.NDArray[np.bool_]  # height x width
Box: TypeAlias = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom are not part of it


class Colour(TypedDict):
    """A colour and the share of the pixels that have it."""

    hex: str
    share: float


class Region(TypedDict):
    """What moved: its box `[left, top, right, bottom]`, its changed pixels and its main colour."""

    box: list[int]
    pixels: int
    colour: str


PICTURE_SCHEMA: dict[str, Any] = {
    "description": "a file (relative to this folder, or absolute), or the bytes of one in base64; PNG or JPEG",
    "type": "object",
    "properties": {"path": {"type": "string"}, "base64": {"type": "string"}},
    "additionalProperties": False,
    "minProperties": 1,
    "maxProperties": 1,
}
MOTION_INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "frames": {"type": "array", "items": PICTURE_SCHEMA, "minItems": 2, "maxItems": 64},
        "min_pixels": {"type": "integer", "minimum": 1, "default": 24},
    },
    "required": ["frames"],
    "additionalProperties": False,
}
MOTION_OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "frames": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"index": {"type": "integer"}, "regions": {"type": "array"}},
                "required": ["index", "regions"],
            },
        },
    },
    "required": ["width", "height", "frames"],
}
COLOURS_INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {"image": PICTURE_SCHEMA, "count": {"type": "integer", "minimum": 1, "maximum": 16, "default": 4}},
    "required": ["image"],
    "additionalProperties": False,
}
COLOURS_OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {"colours": {"type": "array", "items": {"type": "object", "required": ["hex", "share"]}}},
    "required": ["colours"],
}


class Plugin:
    """The two tools `detect_motion` and `dominant_colours`."""

    name = "motion"

    def __init__(self) -> None:
        """Keep the table of tools; nothing is loaded yet."""
        self.tools: dict[str, dict[str, Any]] = {
            "detect_motion": {
                "handler": self.detect_motion,
                "description": "boxes and colours of what moves, for every frame",
                "input_schema": MOTION_INPUT,
                "output_schema": MOTION_OUTPUT,
            },
            "dominant_colours": {
                "handler": self.dominant_colours,
                "description": "the main colours of one picture, most frequent first",
                "input_schema": COLOURS_INPUT,
                "output_schema": COLOURS_OUTPUT,
            },
        }

    def validate(self) -> None:
        """Decode one frame: a Pillow without its PNG codec is found at load, not by the first user."""
        read_picture({"path": "frames/frame_0.png"})

    def detect_motion(self, frames: list[dict[str, str]], min_pixels: int = 24) -> dict[str, Any]:
        """Find the moving regions of every frame."""
        pictures = [read_picture(frame) for frame in frames]
        height, width = pictures[0].shape[:2]
        if any(picture.shape[:2] != (height, width) for picture in pictures):
            raise InvalidInput(f"every frame must have the size of the first one, {width}x{height}")
        found = [
            {"index": index, "regions": regions(picture, changed(pictures, index), min_pixels)}
            for index, picture in enumerate(pictures)
        ]
        return {"width": width, "height": height, "frames": found}

    def dominant_colours(self, image: dict[str, str], count: int = 4) -> dict[str, Any]:
        """Find the main colours of a picture."""
        return {"colours": colours(read_picture(image).reshape(-1, 3), count)}


def read_picture(source: dict[str, str]) -> Pixels:
    """Decode a picture. What cannot be read is the caller's mistake, not a fault of this plugin."""
    try:
        data = read_file(source["path"]) if "path" in source else base64.b64decode(source["base64"], validate=True)
        picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        if picture.width * picture.height > LARGEST_PICTURE:
            raise ValueError(f"it has more than {LARGEST_PICTURE} pixels")
        return np.asarray(picture.convert("RGB"))
    except UnidentifiedImageError:
        raise InvalidInput("cannot read the picture: it is neither PNG nor JPEG") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidInput(f"cannot read the picture: {error}") from error


def read_file(path: str) -> bytes:
    """Read a regular file; a device would never end."""
    file = HERE / path
    if not file.is_file() or file.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path!r} is no file of at most {LARGEST_FILE} bytes")
    return file.read_bytes()


def changed(pictures: list[Pixels], index: int) -> Mask:
    """Which pixels of one frame differ from the background by more than the noise."""
    if len(pictures) == 2:
        background = pictures[1 - index].astype(np.float32)
    else:
        background = np.median(np.stack(pictures), axis=0).astype(np.float32)
    difference = np.abs(pictures[index].astype(np.float32) - background).max(axis=2)
    quiet = difference[difference <= np.percentile(difference, 90)]
    threshold = max(LEAST_CHANGE, NOISE_FACTOR * float(quiet.mean()))
    return np.asarray(difference > threshold, dtype=np.bool_)


def regions(picture: Pixels, mask: Mask, min_pixels: int) -> list[Region]:
    """Join changed pixels into regions, largest first."""
    found: list[Region] = []
    for left, top, right, bottom in joined_cells(mask):
        inside = mask[top:bottom, left:right]
        pixels = int(inside.sum())
        if pixels < min_pixels:
            continue
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        box = [left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1]
        main = colours(picture[top:bottom, left:right][inside], 1)[0]["hex"]
        found.append({"box": [int(edge) for edge in box], "pixels": pixels, "colour": main})
    return sorted(found, key=lambda region: -region["pixels"])


def joined_cells(mask: Mask) -> list[Box]:
    """The boxes of connected groups of cells in which a quarter of the pixels changed (flood fill, 8 neighbours)."""
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % CELL), (0, -width % CELL)))
    grid = padded.reshape(padded.shape[0] // CELL, CELL, padded.shape[1] // CELL, CELL).mean(axis=(1, 3)) >= 0.25
    waiting = {(int(row), int(column)) for row, column in np.argwhere(grid)}
    boxes: list[Box] = []
    while waiting:
        group, edge = [], [waiting.pop()]
        while edge:
            row, column = edge.pop()
            group.append((row, column))
            near = {(row + y, column + x) for y in (-1, 0, 1) for x in (-1, 0, 1)} & waiting
            waiting -= near
            edge.extend(near)
        rows, columns = [row for row, _ in group], [column for _, column in group]
        # One cell of margin: the rim of an object fills less than a quarter of its cell.
        left, top = max(0, min(columns) - 1) * CELL, max(0, min(rows) - 1) * CELL
        boxes.append((left, top, min(width, (max(columns) + 2) * CELL), min(height, (max(rows) + 2) * CELL)))
    return boxes


def colours(pixels: Pixels, count: int) -> list[Colour]:
    """The most frequent colours of a list of pixels: the fullest of 512 bins, each named by the mean of its pixels."""
    bins = (pixels >> 5).astype(np.int32) @ np.array([64, 8, 1], dtype=np.int32)
    amounts = np.bincount(bins, minlength=512)
    found: list[Colour] = []
    for index in np.argsort(-amounts, kind="stable")[:count]:
        if amounts[index] == 0:
            break
        red, green, blue = pixels[bins == index].mean(axis=0).round().astype(int)
        share = round(float(amounts[index] / len(pixels)), 4)
        found.append({"hex": f"#{red:02x}{green:02x}{blue:02x}", "share": share})
    return found
