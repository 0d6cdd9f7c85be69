"""Scores the trained networks on frames they never saw, and writes what ships: models, manifests and the model card.

`python -m plugins.videotracker.train.card`, after the two trainings.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from . import detector, heads, keypoints, pitch, score, text, world
from .album import FILM, HELD_OUT, Still, album
from .clip import RATE, SECONDS
from .export import export
from .fit import as_input
from .heads import Found
from .network import (
    STRIDE,
    CentreLayout,
    Detector,
    HeatLayout,
    Pitch,
    Yolov8Layout,
    deployed,
    parameters,
)
from .play import CLASSES
from .weights import Training, load

FOLDER = Path("plugins/videotracker/models")
STILLS = 300
Floats = heads.Floats


@dataclass(frozen=True)
class Model:
    """One file to ship."""

    name: str
    network: nn.Module
    metadata: dict[str, Any]
    training: Training
    score: Callable[[list[Still]], dict[str, Any]]


def run(network: nn.Module, image: Any) -> Floats:
    """The output for one frame."""
    with torch.no_grad():
        return np.asarray(network(as_input(torch.from_numpy(image.copy())[None]))[0].numpy())


def score_detector(network: nn.Module, decode: Callable[[Floats, float], Found], stills: list[Still]) -> dict[str, Any]:
    """Figures by class."""
    tallies = [score.Tally() for _ in CLASSES]
    for image, truth in stills:
        score.tally(tallies, decode(run(network, image), 0.02), truth, heads.SCORE)
    return {name: counts.summary(heads.SCORE) for name, counts in zip(CLASSES, tallies, strict=True)}


def score_pitch(network: nn.Module, stills: list[Still]) -> dict[str, Any]:
    """Figures of the points and of the homography."""
    counts = score.PitchTally()
    for image, truth in stills:
        counts.add(*heads.keypoints(run(network, image)), truth)
    return counts.summary()


def models() -> list[Model]:
    """What ships, from the kept weights."""
    found, found_how = load(detector.WEIGHTS, Detector(len(CLASSES)))
    points, points_how = load(keypoints.WEIGHTS, Pitch(len(pitch.KEYPOINTS)))
    trunk, field = deployed(found), deployed(points)
    common = {"input": [3, world.SIZE[1], world.SIZE[0]], "stride": STRIDE}
    detect = {**common, "task": "detect", "classes": list(CLASSES), "threshold": heads.SCORE, "iou": heads.IOU}
    places = {
        "task": "pitch",
        "classes": [],
        "names": list(pitch.KEYPOINTS),
        "keypoints": [list(point) for point in pitch.KEYPOINTS.values()],
        "pitch": [pitch.LENGTH, pitch.WIDTH],
        "threshold": heads.POINT_SCORE,
    }
    yolo, centre, heat = Yolov8Layout(trunk), CentreLayout(trunk), HeatLayout(field)
    return [
        Model("detector", yolo, {**detect, "family": "yolov8"}, found_how,
              lambda stills: score_detector(yolo, heads.yolov8, stills)),
        Model("detector_centre", centre, {**detect, "family": "centre"}, found_how,
              lambda stills: score_detector(centre, heads.centre, stills)),
        Model("pitch", heat, {**common, **places, "family": "keypoints"}, points_how,
              lambda stills: score_pitch(heat, stills)),
    ]  # fmt: skip


def write(model: Model, held_out: list[Still], clip: list[Still], folder: Path) -> dict[str, Any]:
    """Write the model with its score inside, and its manifest; the manifest."""
    scores = {"held_out": model.score(held_out), "clip": model.score(clip)}
    path = folder / f"{model.name}.pt"
    digest = export(model.network, {**model.metadata, "score": scores}, path)
    manifest = {
        "file": path.name,
        "sha256": digest,
        "bytes": path.stat().st_size,
        "parameters": parameters(model.network),
        "licence": "MIT OR Apache-2.0",
        **model.metadata,
        "training": {**asdict(model.training), "machine": platform.machine()},
        "score": scores,
    }
    (folder / f"{model.name}.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def main() -> None:
    """Score and write everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--stills", type=int, default=STILLS)
    options = parser.parse_args()
    torch.set_num_threads(2)
    options.folder.mkdir(parents=True, exist_ok=True)
    held_out = album(HELD_OUT, options.stills)
    clip = list(world.film(FILM, SECONDS, RATE))[::5]
    manifests = [write(model, held_out, clip, options.folder) for model in models()]
    (options.folder / "README.md").write_text(text.card(manifests))


if __name__ == "__main__":
    main()
