"""How good tracks are, by the package motmetrics."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import motmetrics
import numpy as np
from numpy.typing import NDArray

from plugins.videotracker.proof.peer import Boxes

LEAST_IOU = 0.5


@dataclass(frozen=True)
class Counts:
    """What is counted, in one sequence or in several."""

    objects: int = 0
    reported: int = 0
    missed: int = 0
    false_positives: int = 0
    switches: int = 0
    identified: int = 0

    @property
    def mota(self) -> float:
        """Multiple object tracking accuracy."""
        return 1 - (self.missed + self.false_positives + self.switches) / max(self.objects, 1)

    @property
    def idf1(self) -> float:
        """The F1 score of identities."""
        return 2 * self.identified / max(self.objects + self.reported, 1)

    def __add__(self, other: Counts) -> Counts:
        """Several sequences together."""
        mine, theirs = asdict(self), asdict(other)
        return Counts(**{name: mine[name] + theirs[name] for name in mine})


def distances(truth: Boxes, tracks: Boxes) -> NDArray[np.float64]:
    """1 - IoU of every object and track; NaN where they cannot belong together."""
    one, other = truth.xyxy[:, None, :], tracks.xyxy[None, :, :]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = np.prod(np.clip(sides, 0, None), axis=-1)
    areas = [np.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (one, other)]
    iou = shared / (areas[0] + areas[1] - shared)
    apart = (iou < LEAST_IOU) | (truth.classes[:, None] != tracks.classes[None, :])
    return np.where(apart, np.nan, 1 - iou)


def judge(truth: Sequence[Boxes], tracks: Sequence[Boxes]) -> Counts:
    """Count one sequence."""
    seen = motmetrics.MOTAccumulator(auto_id=True)
    for objects, found in zip(truth, tracks, strict=True):
        seen.update(objects.ids, found.ids, distances(objects, found))
    names = ["num_objects", "num_predictions", "num_misses", "num_false_positives", "num_switches", "idtp"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = motmetrics.metrics.create().compute(seen, metrics=names, return_dataframe=False)
    return Counts(*(int(found[name]) for name in names))
