"""The pitch in metres: its lines and its named points.

Origin at the far left corner as the main camera sees it, x to the right, y towards the camera: 105 x 68 metres, with
the measures of the Laws of the Game (IFAB, law 1). A drawing of it with x to the right and y down is the view from
above that a radar shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

LENGTH, WIDTH = 105.0, 68.0
LINE = 0.18  # drawn half as wide again as the laws allow, for pictures this small
_MIDDLE = WIDTH / 2
_BOX_DEPTH, _BOX_HALF = 16.5, 20.16
_AREA_DEPTH, _AREA_HALF = 5.5, 9.16
_SPOT, _RADIUS = 11.0, 9.15
_ARC_HALF = math.sqrt(_RADIUS**2 - (_BOX_DEPTH - _SPOT) ** 2)
GOAL_HALF, GOAL_HEIGHT = 3.66, 2.44

Point = tuple[float, float]


@dataclass(frozen=True)
class Arc:
    """A circle, or the part of it with x beyond `beyond` (to the right of it, or to the left with `leftwards`)."""

    centre: Point
    radius: float
    beyond: float | None = None
    leftwards: bool = False


def _rectangle(left: float, top: float, right: float, bottom: float) -> list[tuple[Point, Point]]:
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return [(corners[i], corners[(i + 1) % 4]) for i in range(4)]


def _box(depth: float, half: float) -> list[tuple[Point, Point]]:
    top, bottom = _MIDDLE - half, _MIDDLE + half
    return _rectangle(0, top, depth, bottom) + _rectangle(LENGTH - depth, top, LENGTH, bottom)


SEGMENTS: list[tuple[Point, Point]] = [
    *_rectangle(0, 0, LENGTH, WIDTH),
    ((LENGTH / 2, 0), (LENGTH / 2, WIDTH)),
    *_box(_BOX_DEPTH, _BOX_HALF),
    *_box(_AREA_DEPTH, _AREA_HALF),
]
ARCS = [
    Arc((LENGTH / 2, _MIDDLE), _RADIUS),
    Arc((_SPOT, _MIDDLE), _RADIUS, beyond=_BOX_DEPTH),
    Arc((LENGTH - _SPOT, _MIDDLE), _RADIUS, beyond=LENGTH - _BOX_DEPTH, leftwards=True),
]
SPOTS: list[Point] = [(LENGTH / 2, _MIDDLE), (_SPOT, _MIDDLE), (LENGTH - _SPOT, _MIDDLE)]


def _left_points() -> dict[str, Point]:
    """The points of the left half; the right half mirrors them."""
    points = {"corner_far": (0.0, 0.0), "corner_near": (0.0, WIDTH)}
    for name, depth, half in (("box", _BOX_DEPTH, _BOX_HALF), ("area", _AREA_DEPTH, _AREA_HALF)):
        for side, y in (("far", _MIDDLE - half), ("near", _MIDDLE + half)):
            points[f"{name}_goal_line_{side}"] = (0.0, y)
            points[f"{name}_front_{side}"] = (depth, y)
    points["arc_far"] = (_BOX_DEPTH, _MIDDLE - _ARC_HALF)
    points["arc_near"] = (_BOX_DEPTH, _MIDDLE + _ARC_HALF)
    points["spot"] = (_SPOT, _MIDDLE)
    points["circle"] = (LENGTH / 2 - _RADIUS, _MIDDLE)
    return points


def _keypoints() -> dict[str, Point]:
    left = {f"left_{name}": point for name, point in _left_points().items()}
    middle = {
        "halfway_far": (LENGTH / 2, 0.0),
        "halfway_circle_far": (LENGTH / 2, _MIDDLE - _RADIUS),
        "centre": (LENGTH / 2, _MIDDLE),
        "halfway_circle_near": (LENGTH / 2, _MIDDLE + _RADIUS),
        "halfway_near": (LENGTH / 2, WIDTH),
    }
    right = {f"right_{name}": (LENGTH - x, y) for name, (x, y) in _left_points().items()}
    return {**left, **middle, **right}


KEYPOINTS: dict[str, Point] = _keypoints()


def mirrored() -> list[int]:
    """For every keypoint the index of the one that takes its place when the picture is flipped left to right."""
    names = list(KEYPOINTS)
    swap = {"left": "right", "right": "left"}
    partners = [
        "_".join([swap[head], tail]) if (head := name.partition("_")[0]) in swap else name
        for name in names
        for tail in [name.partition("_")[2]]
    ]
    return [names.index(partner) for partner in partners]
