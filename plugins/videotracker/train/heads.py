"""Reads the outputs of the three model families with numpy: what the plugin does in Rust, for scores and pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
STRIDE = 4
SCORE, IOU = 0.45, 0.6  # what the shipped detector is meant to be read with
POINT_SCORE = 0.3
_SINGULAR = 1e-14  # of the determinant: metres and pixels differ in scale, so sound matrices come near 1e-8
_TOLERANCE = 4.0  # pixels that a point may lie off for the homography to count it


@dataclass(frozen=True)
class Found:
    """Detections of one frame: boxes as left, top, right, bottom, with score and class."""

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64]


def iou(a: Floats, b: Floats) -> Floats:
    """Intersection over union of every box of `a` with every one of `b`."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.prod(np.clip(high - low, 0, None), 2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], 1) for boxes in (a, b)]
    return np.asarray(inter / (areas[0][:, None] + areas[1][None] - inter + 1e-9))


def _kept(boxes: Floats, scores: Floats, classes: NDArray[np.int64], limit: float) -> list[int]:
    """Greedy suppression of non-maxima, each class for itself."""
    kept: list[int] = []
    for number in np.argsort(-scores, kind="stable"):
        rivals = [k for k in kept if classes[k] == classes[number]]
        if not rivals or iou(boxes[number : number + 1], boxes[rivals]).max() <= limit:
            kept.append(int(number))
    return kept


def yolov8(output: Floats, score: float = SCORE, limit: float = IOU) -> Found:
    """Family `yolov8`: [4 + classes, anchors] of one frame."""
    best = output[4:].argmax(0)
    scores = output[4:].max(0)
    chosen = np.flatnonzero(scores >= score)
    centre, size = output[:2, chosen].T, output[2:4, chosen].T
    boxes, scores, best = np.concatenate([centre - size / 2, centre + size / 2], 1), scores[chosen], best[chosen]
    kept = _kept(boxes, scores, best, limit)
    return Found(boxes[kept], scores[kept], best[kept])


def centre(output: Floats, score: float = SCORE) -> Found:
    """Family `centre`: [classes + 4, rows, columns] of one frame; a peak is the highest of its 3 x 3 cells."""
    heat, box = output[:-4], output[-4:]
    padded = np.pad(heat, ((0, 0), (1, 1), (1, 1)), constant_values=-1.0)
    rows, columns = heat.shape[1:]
    around = np.stack([padded[:, i : i + rows, j : j + columns] for i in range(3) for j in range(3)])
    kinds, row, column = np.nonzero((heat == around.max(0)) & (heat >= score))
    width, height, dx, dy = box[:, row, column]
    middle = np.stack([column + dx, row + dy], 1) * STRIDE
    half = np.stack([width, height], 1) / 2
    return Found(np.concatenate([middle - half, middle + half], 1), heat[kinds, row, column], kinds)


def keypoints(heat: Floats) -> tuple[Floats, Floats]:
    """Family `keypoints`: [points, rows, columns] of one frame; pixels [points, 2] and scores.

    Below the cell: the logarithm of a Gaussian is a parabola, so three neighbours give its summit exactly.
    """
    count, columns = heat.shape[0], heat.shape[2]
    flat = heat.reshape(count, -1)
    row, column = np.divmod(flat.argmax(1), columns)
    logs = np.log(np.pad(heat, ((0, 0), (1, 1), (1, 1)), mode="edge") + 1e-6)
    every = np.arange(count)

    def summit(low: Floats, middle: Floats, high: Floats) -> Floats:
        bend = 2 * middle - low - high
        return np.clip((high - low) / (2 * np.where(bend > 1e-6, bend, np.inf)), -0.5, 0.5)

    here = logs[every, row + 1, column + 1]
    dx = summit(logs[every, row + 1, column], here, logs[every, row + 1, column + 2])
    dy = summit(logs[every, row, column + 1], here, logs[every, row + 2, column + 1])
    return np.stack([column + 0.5 + dx, row + 0.5 + dy], 1) * STRIDE, flat.max(1)


def _solve(source: Floats, target: Floats) -> Floats:
    """The homography of least squares (direct linear transform, points brought to unit scale first)."""

    def unit(points: Floats) -> Floats:
        middle = points.mean(0)
        scale = np.sqrt(2) / (np.linalg.norm(points - middle, axis=1).mean() + 1e-9)
        return np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]], [0, 0, 1]])

    before, after = unit(source), unit(target)
    ones = np.ones((len(source), 1))
    a = np.concatenate([source, ones], 1) @ before.T
    b = np.concatenate([target, ones], 1) @ after.T
    zero = np.zeros_like(a)
    upper = np.concatenate([zero, -a, b[:, 1:2] * a], 1)
    lower = np.concatenate([a, zero, -b[:, 0:1] * a], 1)
    solution = np.linalg.svd(np.concatenate([upper, lower]))[2][-1].reshape(3, 3)
    return np.asarray(np.linalg.inv(after) @ solution @ before)


def through(matrix: Floats, points: Floats) -> Floats:
    """Points [n, 2] through a homography."""
    moved = np.concatenate([points, np.ones((len(points), 1))], 1) @ matrix.T
    return np.asarray(moved[:, :2] / moved[:, 2:])


def homography(metres: Floats, pixels: Floats, rounds: int = 200) -> tuple[Floats | None, NDArray[np.bool_]]:
    """Metres to pixels from 4 or more pairs, with random sampling (RANSAC) against outliers; and who was counted."""
    best = np.zeros(len(metres), bool)
    rng = np.random.default_rng(0)
    for _ in range(rounds if len(metres) >= 4 else 0):
        sample = rng.choice(len(metres), 4, replace=False)
        guess = _solve(metres[sample], pixels[sample])
        with np.errstate(all="ignore"):
            near = np.linalg.norm(through(guess, metres) - pixels, axis=1) < _TOLERANCE
        if near.sum() > best.sum():
            best = near
    # points on one line fix no plane
    if best.sum() < 4 or np.linalg.matrix_rank(metres[best] - metres[best].mean(0)) < 2:
        return None, best
    matrix = _solve(metres[best], pixels[best])
    return (matrix if abs(np.linalg.det(matrix)) > _SINGULAR * np.linalg.norm(matrix) ** 3 else None), best
