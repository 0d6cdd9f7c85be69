"""The words of the model card. Every figure comes from the manifests."""

from __future__ import annotations

from typing import Any

from . import pitch
from .album import FILM, HELD_OUT, TRAINING
from .detector import MIN_VISIBLE

_HEAD = """\
<!-- written by `python -m plugins.videotracker.train.card`; do not edit -->
# Models of the VideoTracker

Three small demo models, trained from nothing on a synthetic football world ([train](../train/README.md) says how to
make them again, or your own). They exist so that the plugin runs and is tested for real; **they know nothing of real
football pictures.** Licence: MIT OR Apache-2.0, weights included; no outside data, weights or code went in.

| file | family | parameters | bytes | sha256 |
|---|---|--:|--:|---|
"""

_CONTRACT = """
## What goes in, what comes out

TorchScript (fp32) of torch {torch}. In: float32 `[n, 3, H, W]`, RGB from 0 to 1; any n, any H and W that 4 divides;
trained for {width} x {height}, where a player is 12 to 50 pixels tall. The extra file `plugward.json` of the archive
holds family, classes, stride, thresholds, score, and for the pitch the names and metres of its points.

* `detector.pt`, family `yolov8`: `[n, 4 + {classes}, H/4 * W/4]`; centre x, centre y, width, height in input pixels,
  then a score from 0 to 1 for each class ({names}). Cells beside an object's centre name the same box with a
  smaller score: suppress non-maxima per class at IoU {iou}. Read with scores of at least {threshold}.
* `detector_centre.pt`, family `centre`: the same weights as `[n, {classes} + 4, H/4, W/4]`: heat of each class from 0
  to 1, then width, height (input pixels), dx, dy (cells). A detection is a cell whose heat is the highest of its 3 x 3
  cells; its centre is `((column + dx) * 4, (row + dy) * 4)`. Needs no suppression, so it keeps boxes that overlap.
* `pitch.pt`, family `keypoints`: `[n, {points}, H/4, W/4]`, for each point the chance that it is here. A point is the
  highest cell of its map if that is at least {point_threshold}; the centre of a cell is
  `((column + 0.5) * 4, (row + 0.5) * 4)`, and a parabola through the logarithms of three neighbours on each axis finds
  the place below the cell. Pitch metres: origin at the far left corner as the camera sees it, x to the right, y towards
  the camera, {length} x {breadth}.
"""

_TRUNK = """
## How they are built and trained

* Detector: convolutions with ReLU, batch normalisation folded in; down to stride 16 and back to 4 with additions on the
  way, then one 1 x 1 head for class heat and one for boxes. Focal loss of CornerNet for heat, absolute error for
  log size and offset.
* Pitch: the same idea down to stride 32, depthwise 5 x 5 dilated convolutions there for a view of the whole picture;
  quality focal loss on Gaussians of 1.2 cells.
* Data: stills rendered by `train/world.py` (a pinhole camera beside a pitch of {length} x {breadth} m; people of
  capsules in two kit colours, goalkeepers, a referee in black, the ball twice its real size, shadows, goals, boards,
  a stand, banners that hide, in training two more balls; then blur, exposure, noise, 8 x 8 cosine blocks).
  Album {training} for training, album {held_out} for the score; scene {film} is the clip. No still is in two albums.
  Random crops, flips, brightness.
"""

_LIMITS = """
## Limits

Synthetic, a demo: on real footage expect nothing. Side-on cameras above the near touchline only, left and right told
apart by that. The ball is drawn twice as large as it is, the referee is always in black (that is how the model knows
him). People of one class that overlap by more than the IoU above become one in the `yolov8` layout. Objects that show
less than {visible:.0%} are not looked for. The pitch model needs four points in view, no three of them
on one line, and takes no lens distortion.
"""


def _trainings(manifests: list[dict[str, Any]]) -> str:
    lines = ["", "| training of | seed | stills | steps | minutes | threads |", "|---|--:|--:|--:|--:|--:|"]
    for name in ("detector", "pitch"):
        how = next(m for m in manifests if m["file"] == f"{name}.pt")["training"]
        figures = " | ".join(str(how[key]) for key in ("seed", "stills", "steps", "minutes", "threads"))
        lines.append(f"| {name} | {figures} |")
    lines.append("\nMinutes on two shared cores, rendering included. The detector's was run twice: the same weights.\n")
    return "\n".join(lines)


def _detections(manifest: dict[str, Any], frames: str) -> str:
    lines = [
        f"\n`{manifest['file']}`, {frames}:\n",
        "| class | objects | precision | recall | AP50 | recall, isolated | recall, touching | mean IoU |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in manifest["score"][frames.replace(" ", "_")].items():
        keys = ("objects", "precision", "recall", "ap50", "recall_isolated", "recall_touching", "mean_iou")
        lines.append(f"| {name} | " + " | ".join(str(row[key]) for key in keys) + " |")
    return "\n".join(lines) + "\n"


def _pitch(manifest: dict[str, Any]) -> str:
    lines = ["\n`pitch.pt`:\n", "| figure | held out | clip |", "|---|--:|--:|"]
    held_out, clip = manifest["score"]["held_out"], manifest["score"]["clip"]
    lines += [f"| {key.replace('_', ' ')} | {held_out[key]} | {clip[key]} |" for key in held_out]
    return "\n".join(lines) + "\n"


def card(manifests: list[dict[str, Any]]) -> str:
    """The card as Markdown."""
    found, field = manifests[0], manifests[-1]
    facts = {
        "torch": found["training"]["torch"].partition("+")[0],
        "width": found["input"][2],
        "height": found["input"][1],
        "classes": len(found["classes"]),
        "names": ", ".join(found["classes"]),
        "iou": found["iou"],
        "threshold": found["threshold"],
        "points": len(field["keypoints"]),
        "point_threshold": field["threshold"],
        "length": int(pitch.LENGTH),
        "breadth": int(pitch.WIDTH),
        "training": TRAINING,
        "held_out": HELD_OUT,
        "film": FILM,
        "visible": MIN_VISIBLE,
    }
    table = "".join(
        f"| `{m['file']}` | {m['family']} | {m['parameters']:,} | {m['bytes']:,} | `{m['sha256']}` |\n"
        for m in manifests
    )
    scores = "\n## Scores\n\nOn frames never trained on. A hit overlaps by IoU 0.5 or more; touching: boxes meet.\n"
    scores += "".join(_detections(m, frames) for m in manifests[:-1] for frames in ("held out", "clip"))
    middle = _CONTRACT + _TRUNK
    text = _HEAD + table + middle.format(**facts) + _trainings(manifests) + scores + _pitch(field)
    return text + _LIMITS.format(**facts)
