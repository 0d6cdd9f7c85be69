"""Scores: precision, recall and average precision of detections, errors of pitch points and of the homography."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from . import heads, pitch
from .heads import Found
from .world import POINTS, SIZE, Truth

Floats = NDArray[np.floating]
MIN_VISIBLE = 0.4
_HIT = 0.5  # the overlap that counts as found


@dataclass
class Tally:
    """Everything about one class, over all frames."""

    scores: list[float] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)
    wanted: int = 0
    isolated: list[bool] = field(default_factory=list)
    touching: list[bool] = field(default_factory=list)

    def summary(self, threshold: float) -> dict[str, float]:
        """The figures of the card; precision and recall for detections of at least `threshold`."""
        scores, hits = np.array(self.scores), np.array(self.hits, bool)
        strong = scores >= threshold
        found = int((hits & strong).sum())
        return {
            "objects": self.wanted,
            "precision": _share(found, int(strong.sum())),
            "recall": _share(found, self.wanted),
            "ap50": average_precision(scores, hits, self.wanted),
            "recall_isolated": _share(sum(self.isolated), len(self.isolated)),
            "recall_touching": _share(sum(self.touching), len(self.touching)),
            "mean_iou": round(float(np.mean(self.overlaps)), 4) if self.overlaps else 0.0,
        }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 1.0


def average_precision(scores: Floats, hits: NDArray[np.bool_], wanted: int) -> float:
    """The area under the precision-recall curve, every point of it (as in PASCAL VOC since 2010)."""
    order = np.argsort(-scores, kind="stable")
    good = np.cumsum(hits[order])
    precision = good / np.arange(1, len(good) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    recall = np.concatenate([[0.0], good / max(wanted, 1)])
    return round(float(np.sum(np.diff(recall) * envelope)), 4)


def tally(tallies: list[Tally], found: Found, truth: Truth, threshold: float) -> None:
    """Match one frame: strong detections choose first; each object is found once; hidden ones are not judged."""
    touches = (heads.iou(truth.boxes, truth.boxes) > 0).sum(1) > 1
    for kind, counts in enumerate(tallies):
        mine = np.flatnonzero(truth.classes == kind)
        wanted = truth.visible[mine] >= MIN_VISIBLE
        chosen = np.flatnonzero(found.classes == kind)
        chosen = chosen[np.argsort(-found.scores[chosen], kind="stable")]
        overlap = heads.iou(found.boxes[chosen], truth.boxes[mine])
        taken = np.zeros(len(mine), bool)
        seen = np.zeros(len(mine), bool)
        for row, number in enumerate(chosen):
            free = np.where(taken | ~wanted, 0.0, overlap[row])
            best = int(free.argmax()) if len(free) else -1
            hit = best >= 0 and bool(free[best] >= _HIT)
            if not hit and len(mine) and overlap[row][~wanted].max(initial=0.0) >= _HIT:
                continue
            counts.scores.append(float(found.scores[number]))
            counts.hits.append(hit)
            if hit:
                taken[best] = True
                seen[best] = found.scores[number] >= threshold
                counts.overlaps.append(float(free[best]))
        counts.wanted += int(wanted.sum())
        counts.isolated += seen[wanted & ~touches[mine]].tolist()
        counts.touching += seen[wanted & touches[mine]].tolist()


@dataclass
class PitchTally:
    """Everything about the points of the pitch, over all frames."""

    errors: list[float] = field(default_factory=list)
    wanted: int = 0
    given: int = 0
    wrong: int = 0
    frames: int = 0
    enough: int = 0
    metres: list[float] = field(default_factory=list)

    def add(self, pixels: Floats, scores: Floats, truth: Truth) -> None:
        """One frame: a point is right within 6 pixels."""
        strong = scores >= heads.POINT_SCORE
        error = np.linalg.norm(pixels - truth.keypoints, axis=1)
        right = strong & truth.inside & (error < 6)
        self.frames += 1
        self.wanted += int(truth.inside.sum())
        self.given += int(strong.sum())
        self.wrong += int((strong & ~right).sum())
        self.errors += error[right].tolist()
        self.enough += int(right.sum() >= 4)
        matrix, _ = heads.homography(POINTS[strong], pixels[strong])
        if matrix is not None:
            self.metres.append(ground_error(matrix, truth))

    def summary(self) -> dict[str, float]:
        """The figures of the card."""
        metres = np.array(self.metres or [np.inf])
        return {
            "frames": self.frames,
            "points": self.wanted,
            "precision": _share(self.given - self.wrong, self.given),
            "recall": _share(len(self.errors), self.wanted),
            "mean_error_px": round(float(np.mean(self.errors or [np.inf])), 3),
            "frames_with_4_good_points": _share(self.enough, self.frames),
            "frames_with_homography": _share(len(self.metres), self.frames),
            "median_error_m": round(float(np.median(metres)), 3),
            "p90_error_m": round(float(np.percentile(metres, 90)), 3),
            "homographies_within_1_m": _share(int((metres < 1).sum()), self.frames),
        }


def ground_error(matrix: Floats, truth: Truth) -> float:
    """How many metres off a point on the pitch is put, in the mean over a grid of the picture."""
    columns, rows = np.meshgrid(np.linspace(16, SIZE[0] - 16, 16), np.linspace(16, SIZE[1] - 16, 10))
    pixels = np.stack([columns.ravel(), rows.ravel()], 1)
    places = heads.through(np.linalg.inv(truth.homography), pixels)
    on_pitch = ((places >= 0) & (places <= [pitch.LENGTH, pitch.WIDTH])).all(1)
    with np.errstate(all="ignore"):
        guess = heads.through(np.linalg.inv(matrix), pixels[on_pitch])
    off = np.linalg.norm(guess - places[on_pitch], axis=1)
    return float(np.mean(np.minimum(off, 100.0)))
