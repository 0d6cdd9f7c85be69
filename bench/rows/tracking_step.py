"""A step of the tracker with fifty objects in the picture."""

from __future__ import annotations

import json
import subprocess
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from bench.harness import Effort, Role, Row, interleave, ratio_goal

SCENE = "crowd of 50"
HOW = (
    "one frame of a generated video in which 50 people walk about, 47 detections a frame; both trackers are given the "
    "same detections with the same settings, go round the same frames, and begin anew with the first. Ours: the step "
    "as the plugin takes it, in Rust, timed by the example `tracking`, compensation of the camera's motion included; "
    "supervision: `ByteTrack.update_with_detections`, its `Detections` made beforehand"
)


class Theirs:
    """supervision's ByteTrack, frame by frame."""

    name = "supervision ByteTrack"
    role: Role = "peer"

    def __init__(self, video: Any, settings: Any, peer: Any) -> None:
        """Go round the frames of `video`."""
        self._make: Callable[[], Any] = lambda: peer.their_tracker(settings, video.frame_rate)
        self._frames = video.detections
        self._next = 0
        self._tracker = self._make()

    def batch(self, number: int) -> float:
        """Seconds for `number` steps."""
        return sum(self.singles(number)) / 1e9

    def singles(self, number: int) -> list[float]:
        """Nanoseconds of each of `number` steps."""
        return [self._step() for _ in range(number)]

    def _step(self) -> float:
        if self._next == len(self._frames):
            self._next, self._tracker = 0, self._make()
        frame, update = self._frames[self._next], self._tracker.update_with_detections
        self._next += 1
        begun = time.perf_counter_ns()
        update(frame)
        return time.perf_counter_ns() - begun


class Ours:
    """Our tracker, in a program of its own that takes its turns when asked."""

    name = "Plugward tracker"
    role: Role = "plugward"

    def __init__(self, video: Any, settings: Any, peer: Any) -> None:
        """Start the program and hand it the frames of `video`."""
        self._program = subprocess.Popen(
            [*peer.EXAMPLE, "--", "turns", json.dumps(settings)],
            cwd=peer.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._send("".join(f"{line}\n" for line in video.lines) + "\n")

    def batch(self, number: int) -> float:
        """Seconds for `number` steps."""
        return float(self._ask(f"batch {number}"))

    def singles(self, number: int) -> list[float]:
        """Nanoseconds of each of `number` steps."""
        return [float(took) for took in self._ask(f"singles {number}")]

    def close(self) -> None:
        """End the program."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.close()
        self._program.stdout.close()
        self._program.wait(timeout=30)

    def _ask(self, what: str) -> Any:
        self._send(f"{what}\n")
        assert self._program.stdout is not None
        answer = self._program.stdout.readline()
        if not answer:
            raise RuntimeError(f"the example `tracking` ended with {self._program.wait(timeout=30)}")
        return json.loads(answer)

    def _send(self, text: str) -> None:
        assert self._program.stdin is not None
        self._program.stdin.write(text)
        self._program.stdin.flush()


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("tracking step (50 objects/frame)", HOW)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from plugins.videotracker.proof import compare, peer
    except ImportError as error:
        row.skipped.append(f"SUPERVISION WAS NOT MEASURED: {error}; scripts/python.sh requirements/video.txt")
        return row
    settings = compare.SETTINGS["supervision's defaults"]
    video = next(one for one in peer.generate(0) if one.name == SCENE)
    row.extra["detections per frame"] = sum(map(len, video.detections)) / len(video.detections)
    row.extra["supervision"] = version("supervision")
    ours = Ours(video, settings, peer)
    try:
        row.results = interleave([Theirs(video, settings, peer), ours], effort)
    finally:
        ours.close()
    row.goals = [
        ratio_goal("at least 20x faster than supervision", row.find(Ours.name), row.find(Theirs.name), 20),
    ]
    return row
