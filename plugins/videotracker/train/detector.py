"""Trains the detector: `python -m plugins.videotracker.train.detector`. About six minutes on two cores."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .album import TRAINING, Still, album
from .fit import Batch, as_input, fit, repeatable
from .network import STRIDE, Detector
from .play import CLASSES
from .weights import FOLDER, train_and_keep

WEIGHTS = FOLDER / "detector.pth"
CROP = (256, 160)  # width, height
MIN_VISIBLE = 0.4  # less visible objects are neither to be found nor wrong when found

Floats = NDArray[np.float32]


class Targets:
    """What the heads shall say about one crop: heat, where heat counts, boxes, and where boxes count."""

    def __init__(self, size: tuple[int, int]) -> None:
        """Nothing in it yet."""
        columns, rows = size[0] // STRIDE, size[1] // STRIDE
        self.heat = np.zeros((len(CLASSES), rows, columns), np.float32)
        self.heat_counts = np.ones_like(self.heat)
        self.box = np.zeros((4, rows, columns), np.float32)
        self.box_counts = np.zeros((1, rows, columns), np.float32)
        self._rows, self._columns = np.ogrid[:rows, :columns]

    def ignore(self, kind: int, box: NDArray[np.float64]) -> None:
        """Heat inside this box is not judged."""
        left, top = np.maximum(np.floor(box[:2] / STRIDE), 0).astype(int)
        right, bottom = np.maximum(np.ceil(box[2:] / STRIDE), 0).astype(int)
        self.heat_counts[kind, top:bottom, left:right] = 0

    def add(self, kind: int, box: NDArray[np.float64]) -> None:
        """An object: a peak of heat at its centre, and its box for the cells around."""
        width, height = (box[2:] - box[:2]) / STRIDE
        x, y = (box[:2] + box[2:]) / 2 / STRIDE
        column, row = int(x), int(y)
        if not (0 <= column < self.heat.shape[2] and 0 <= row < self.heat.shape[1]):
            return
        across, down = max(0.5, 0.13 * width), max(0.5, 0.1 * height)
        blob = np.exp(-0.5 * (((self._columns - column) / across) ** 2 + ((self._rows - row) / down) ** 2))
        blob = blob.astype(np.float32)
        np.maximum(self.heat[kind], blob, out=self.heat[kind])
        self.heat_counts[kind, row, column] = 1
        near = (
            (np.abs(self._columns - column) <= 1) & (np.abs(self._rows - row) <= 1) & (blob > self.box_counts[0] ** 2)
        )
        self.box_counts[0][near] = np.sqrt(blob[near])
        values = np.broadcast_arrays(np.log(width), np.log(height), x - self._columns, y - self._rows)
        self.box[:, near] = np.stack([np.broadcast_to(v, near.shape)[near] for v in values])


def crop(still: Still, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Targets]:
    """A random part of a still, now and then flipped, brighter or in other colours."""
    image, truth = still
    left = int(rng.integers(0, image.shape[1] - CROP[0] + 1))
    top = int(rng.integers(0, image.shape[0] - CROP[1] + 1))
    part = image[top : top + CROP[1], left : left + CROP[0]]
    whole = truth.boxes - np.array([left, top, left, top])
    if rng.random() < 0.5:
        part = part[:, ::-1]
        whole = np.stack([CROP[0] - whole[:, 2], whole[:, 1], CROP[0] - whole[:, 0], whole[:, 3]], 1)
    boxes = np.clip(whole, 0, np.array([*CROP, *CROP]))
    share = np.prod(boxes[:, 2:] - boxes[:, :2], 1) / np.prod(whole[:, 2:] - whole[:, :2], 1)
    visible = truth.visible * share
    targets = Targets(CROP)
    inside = np.flatnonzero(share > 0)
    for number in inside[visible[inside] < MIN_VISIBLE]:
        targets.ignore(int(truth.classes[number]), boxes[number])
    for number in inside[visible[inside] >= MIN_VISIBLE]:
        targets.add(int(truth.classes[number]), boxes[number])
    lookup = np.clip(np.arange(256) * rng.uniform(0.85, 1.15) + rng.uniform(-12, 12), 0, 255).astype(np.uint8)
    return lookup[part], targets


def batch(stills: list[Still], step: int, size: int) -> Batch:
    """The crops and targets of a step."""
    rng = np.random.default_rng([TRAINING, 1, step])
    crops = [crop(stills[int(rng.integers(len(stills)))], rng) for _ in range(size)]
    images = as_input(torch.from_numpy(np.stack([image for image, _ in crops])))
    names = ("heat", "heat_counts", "box", "box_counts")
    return (images, *(torch.from_numpy(np.stack([getattr(t, name) for _, t in crops])) for name in names))


def loss(network: nn.Module, batch: Batch) -> Tensor:
    """The focal loss of CornerNet (arXiv 1808.01244, equation 1) for the heat, and an absolute error for the box."""
    images, heat, heat_counts, box, box_counts = batch
    logits, boxes = network(images)
    chance = torch.sigmoid(logits).clamp(1e-5, 1 - 1e-5)
    peak = (heat == 1).float()
    hit = peak * (1 - chance) ** 2 * chance.log()
    miss = (1 - peak) * heat_counts * (1 - heat) ** 4 * chance**2 * (1 - chance).log()
    focal = -(hit + miss).sum() / peak.sum().clamp(min=1)
    error = ((boxes - box).abs() * box_counts).sum() / box_counts.sum().clamp(min=1)
    return focal + error


def train(stills: list[Still], steps: int, size: int = 12, rate: float = 4e-3) -> Detector:
    """A trained detector."""
    repeatable(TRAINING)
    network = Detector(len(CLASSES))
    trained = fit(network, lambda step: batch(stills, step, size), loss, steps, rate)
    assert isinstance(trained, Detector)  # noqa: S101 - for the type checker
    return trained


def main() -> None:
    """Render, train, keep the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2600)
    parser.add_argument("--stills", type=int, default=2000)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train_and_keep(
        options.weights,
        TRAINING,
        options.stills,
        options.steps,
        lambda: train(album(TRAINING, options.stills, spare_balls=2), options.steps),
    )


if __name__ == "__main__":
    main()
