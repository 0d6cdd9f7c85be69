"""Trains the pitch model: `python -m plugins.videotracker.train.keypoints`. About five minutes on two cores."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from . import pitch
from .album import TRAINING, Still, album
from .fit import Batch, as_input, fit, repeatable
from .network import STRIDE, Pitch
from .weights import FOLDER, train_and_keep

WEIGHTS = FOLDER / "pitch.pth"
CROP = (448, 256)  # width, height
SPREAD = 1.2  # standard deviation of a point's heat, in cells
FIRST = 100_000  # the pitch model learns from other stills than the detector

_MIRRORED = pitch.mirrored()


def heat(points: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float32]:
    """For every point a Gaussian of heat [points, rows, columns], exact below the cell; nothing for points outside."""
    columns = np.arange(size[0] // STRIDE) + 0.5
    rows = np.arange(size[1] // STRIDE) + 0.5
    across = np.exp(-0.5 * ((columns - points[:, :1] / STRIDE) / SPREAD) ** 2)
    down = np.exp(-0.5 * ((rows - points[:, 1:] / STRIDE) / SPREAD) ** 2)
    inside = np.all((points >= 0) & (points < np.array(size)), axis=1)
    return np.asarray(down[:, :, None] * across[:, None, :] * inside[:, None, None], np.float32)


def crop(still: Still, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A random part of a still, now and then flipped, brighter or darker, and the heat of its points."""
    image, truth = still
    left = int(rng.integers(0, image.shape[1] - CROP[0] + 1))
    top = int(rng.integers(0, image.shape[0] - CROP[1] + 1))
    part = image[top : top + CROP[1], left : left + CROP[0]]
    points = truth.keypoints - np.array([left, top])
    if rng.random() < 0.5:
        part = part[:, ::-1]
        points = (np.array([CROP[0], 0]) - points * np.array([1, -1]))[_MIRRORED]
    lookup = np.clip(np.arange(256) * rng.uniform(0.85, 1.15) + rng.uniform(-12, 12), 0, 255).astype(np.uint8)
    return lookup[part], heat(points, CROP)


def batch(stills: list[Still], step: int, size: int) -> Batch:
    """The crops and heats of a step."""
    rng = np.random.default_rng([TRAINING, 2, step])
    crops = [crop(stills[int(rng.integers(len(stills)))], rng) for _ in range(size)]
    images = as_input(torch.from_numpy(np.stack([image for image, _ in crops])))
    return images, torch.from_numpy(np.stack([target for _, target in crops]))


def loss(network: nn.Module, batch: Batch) -> Tensor:
    """The quality focal loss (Li et al., arXiv 2006.04388, equation 4): cross entropy times the squared error."""
    images, target = batch
    logits = network(images)
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    weight = (torch.sigmoid(logits) - target) ** 2
    return (entropy * weight).sum() / (target > 0.5).sum().clamp(min=1)


def train(stills: list[Still], steps: int, size: int = 8, rate: float = 4e-3) -> Pitch:
    """A trained pitch model."""
    repeatable(TRAINING)
    network = Pitch(len(pitch.KEYPOINTS))
    trained = fit(network, lambda step: batch(stills, step, size), loss, steps, rate)
    assert isinstance(trained, Pitch)  # noqa: S101 - for the type checker
    return trained


def main() -> None:
    """Render, train, keep the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument("--stills", type=int, default=2000)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train_and_keep(
        options.weights,
        TRAINING,
        options.stills,
        options.steps,
        lambda: train(album(TRAINING, options.stills, first=FIRST), options.steps),
    )


if __name__ == "__main__":
    main()
