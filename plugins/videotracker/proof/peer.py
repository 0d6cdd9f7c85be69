"""The two trackers: supervision's ByteTrack in this process, ours in the example `tracking`."""

from __future__ import annotations

import json
import subprocess
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import supervision
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ("cargo", "run", "--quiet", "--release", "--locked", "-p", "plugward-videotracker", "--example", "tracking")
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Boxes:
    """Boxes of one frame with the numbers and classes of what they are of."""

    ids: NDArray[np.int64]
    classes: NDArray[np.int64]
    xyxy: NDArray[np.float64]


@dataclass(frozen=True)
class Video:
    """A generated sequence."""

    name: str
    frame_rate: float
    truth: Sequence[Boxes]
    detections: Sequence[supervision.Detections]
    lines: Sequence[str]


def run_example(*arguments: str, text: str = "") -> str:
    """What the example prints for these arguments and this input."""
    ended = subprocess.run(
        [*EXAMPLE, "--", *arguments], cwd=ROOT, input=text, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        raise RuntimeError(f"the example `tracking` ended with {ended.returncode}:\n{ended.stderr[-2000:]}")
    return ended.stdout


def generate(number: int) -> list[Video]:
    """All sequences of a set, made by the example."""
    lines = run_example("generate", str(number)).splitlines()
    frames = [(json.loads(line), line) for line in lines]
    return [video(name, list(group)) for name, group in groupby(frames, key=lambda frame: frame[0]["sequence"])]


def video(name: str, frames: list[tuple[dict[str, Any], str]]) -> Video:
    """The frames of one sequence."""
    return Video(
        name,
        frames[0][0]["frame_rate"],
        [boxes(frame["truth"], "id") for frame, _ in frames],
        [detections(frame["detections"]) for frame, _ in frames],
        [line for _, line in frames],
    )


def boxes(found: Iterable[Mapping[str, Any]], number: str) -> Boxes:
    """Boxes as the example writes them."""
    found = list(found)
    return Boxes(
        np.array([one[number] for one in found], dtype=np.int64),
        np.array([one["class_id"] for one in found], dtype=np.int64),
        np.array([one["xyxy"] for one in found], dtype=np.float64).reshape(-1, 4),
    )


def detections(found: Sequence[Mapping[str, Any]]) -> supervision.Detections:
    """Detections as supervision takes them."""
    return supervision.Detections(
        xyxy=np.array([one["xyxy"] for one in found], dtype=np.float32).reshape(-1, 4),
        confidence=np.array([one["confidence"] for one in found], dtype=np.float32),
        class_id=np.array([one["class_id"] for one in found], dtype=int),
    )


def their_tracker(settings: Settings, frame_rate: float) -> Any:
    """A new ByteTrack of supervision, which says that it will be gone in a later version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return supervision.ByteTrack(
            track_activation_threshold=settings["track_threshold"],
            lost_track_buffer=int(settings["lost_buffer"]),
            minimum_matching_threshold=settings["match_threshold"],
            minimum_consecutive_frames=int(settings["min_frames"]),
            frame_rate=frame_rate,
        )


def their_tracks(one: Video, settings: Settings) -> list[Boxes]:
    """What supervision reports, frame by frame."""
    tracker = their_tracker(settings, one.frame_rate)
    found = [tracker.update_with_detections(seen) for seen in one.detections]
    return [reported(tracks) for tracks in found]


def reported(tracks: supervision.Detections) -> Boxes:
    """What supervision reports in one frame."""
    if len(tracks) == 0:
        return boxes([], "track_id")
    return Boxes(
        np.asarray(tracks.tracker_id, dtype=np.int64),
        np.asarray(tracks.class_id, dtype=np.int64),
        np.asarray(tracks.xyxy, dtype=np.float64),
    )


def our_tracks(videos: Sequence[Video], settings: Settings) -> dict[str, tuple[list[Boxes], dict[str, int]]]:
    """What our tracker reports for each sequence, frame by frame, and the counts of the example's judge."""
    text = "".join(f"{line}\n" for one in videos for line in one.lines)
    tracks: dict[str, list[Boxes]] = {one.name: [] for one in videos}
    judged: dict[str, dict[str, int]] = {}
    for line in run_example("track", json.dumps(settings), text=text).splitlines():
        answer = json.loads(line)
        if "tracks" in answer:
            tracks[answer["sequence"]].append(boxes(answer["tracks"], "track_id"))
        else:
            judged[answer["sequence"]] = answer["counts"]
    return {name: (tracks[name], judged[name]) for name in tracks}
