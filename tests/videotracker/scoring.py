"""The clip's truth, and how tracks are scored against it."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plugins.videotracker.train import heads
from plugins.videotracker.train.score import MIN_VISIBLE
from plugins.videotracker.train.world import POINTS, Truth
from tests.videotracker.support import EXAMPLES

Floats = NDArray[np.floating]
HIT = 0.5  # the overlap from which on a box and an object can belong together


def truths() -> list[Truth]:
    """What each frame of the clip really shows."""
    shown: dict[str, Any] = json.loads((EXAMPLES / "clip.json").read_text())
    return [_truth(frame, np.array(shown["size"])) for frame in shown["frames"]]


def _truth(frame: dict[str, Any], size: Floats) -> Truth:
    rows = np.array(frame["objects"])
    homography = np.array(frame["homography"]).reshape(3, 3)
    with np.errstate(all="ignore"):
        keypoints = np.asarray(heads.through(homography, POINTS), np.float64)
    ahead = np.concatenate([POINTS, np.ones((len(POINTS), 1))], 1) @ homography[2] > 0
    return Truth(
        identities=rows[:, 0].astype(np.int64),
        classes=rows[:, 1].astype(np.int64),
        boxes=rows[:, 2:6],
        visible=rows[:, 6],
        homography=homography,
        keypoints=keypoints,
        inside=ahead & np.all((keypoints >= 0) & (keypoints < size), axis=1),
    )


def pictures(program: str, clip: Path, size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """The frames of the clip as ffmpeg decodes them."""
    command = [program, "-v", "error", "-i", str(clip), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True, timeout=120).stdout
    yield from np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0], 3)


@dataclass(frozen=True)
class Tracked:
    """CLEAR MOT counts and identities, over all frames; objects that are hidden are not judged."""

    objects: int
    reported: int
    hits: int
    switches: int
    identified: int

    @property
    def precision(self) -> float:
        """Which part of the reported boxes lies on an object."""
        return self.hits / self.reported

    @property
    def recall(self) -> float:
        """Which part of the objects is reported."""
        return self.hits / self.objects

    @property
    def idf1(self) -> float:
        """The F1 score of identities: of the best mapping of numbers to objects or a little less."""
        return 2 * self.identified / (self.objects + self.reported)


def follow(frames: Sequence[Sequence[dict[str, Any]]], shown: Sequence[Truth], kinds: set[int]) -> Tracked:
    """Score the tracked objects of every frame against the objects of these classes."""
    last: dict[int, int] = {}
    together: Counter[tuple[int, int]] = Counter()
    objects = reported = hits = switches = 0
    for tracks, truth in zip(frames, shown, strict=True):
        mine = np.isin(truth.classes, list(kinds))
        boxes = np.array([track["xyxy"] for track in tracks]).reshape(-1, 4)
        overlap = np.where(mine & (truth.visible >= MIN_VISIBLE), heads.iou(boxes, truth.boxes), 0.0)
        hidden = np.where(mine & (truth.visible < MIN_VISIBLE), heads.iou(boxes, truth.boxes), 0.0)
        pairs = _pairs(overlap, [track["track_id"] for track in tracks], truth.identities, last)
        objects += int((mine & (truth.visible >= MIN_VISIBLE)).sum())
        found = {row for row, _ in pairs}
        reported += sum(row in found or float(hidden[row].max(initial=0.0)) < HIT for row in range(len(tracks)))
        hits += len(pairs)
        for row, column in pairs:
            identity, number = int(truth.identities[column]), int(tracks[row]["track_id"])
            switches += last.get(identity, number) != number
            last[identity] = number
            together[identity, number] += 1
    return Tracked(objects, reported, hits, switches, _identified(together))


def _pairs(overlap: Floats, numbers: Sequence[int], identities: Any, last: dict[int, int]) -> list[tuple[int, int]]:
    """Who was together stays together where that is possible; then the largest overlaps first."""
    chosen: list[tuple[int, int]] = []
    kept = [last.get(int(identity)) for identity in identities]
    candidates = [(int(row), int(column)) for row, column in np.argwhere(overlap >= HIT)]
    order = sorted((numbers[row] != kept[column], -overlap[row, column], row, column) for row, column in candidates)
    for _, _, row, column in order:
        if all(row != r and column != c for r, c in chosen):
            chosen.append((row, column))
    return chosen


def _identified(together: Counter[tuple[int, int]]) -> int:
    """Boxes on the right object, mapping the most frequent pairs first: never more than the best mapping."""
    total = 0
    taken: set[tuple[str, int]] = set()
    for (identity, number), frames in together.most_common():
        if ("object", identity) not in taken and ("track", number) not in taken:
            taken |= {("object", identity), ("track", number)}
            total += frames
    return total
