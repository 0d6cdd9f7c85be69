"""A whole video, from the file to the tracks, and what it costs that the plugin lives in another process."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import subject
from bench.harness import Effort, Goal, Result, Role, Row, percentile, ratio_goal

if TYPE_CHECKING:
    import plugward

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugins" / "videotracker"
CLIP = PLUGIN / "examples" / "clip.mp4"
PYTHON = Path(os.environ.get("PLUGWARD_BENCH_TORCH") or ROOT / ".tools" / "torch-python" / "bin" / "python")
WORKER = ROOT / "target" / "release" / "plugward-worker"
HOW = (
    "the clip that ships, scaled up to 1920 x 1080: decode, letterbox, detect, suppress, track, tracks as JSON. Ours "
    "is the tool `video_player_tracking` in its worker process; the peer is Python: supervision's frames (OpenCV), "
    "OpenCV's resize, torch, supervision's NMS and ByteTrack. Both run the same TorchScript file with torch 2.11.0 on "
    "the same cores. The small model is the shipped one ({small}); the large one has a trunk beside it that makes it "
    "about as dear as YOLOv8n at 640 x 384. Nanoseconds a frame; `model alone` is torch's own forward of it. "
    "Isolation: a call of a Python worker that takes the same frame and looks at one byte, beside `player_tracking` "
    "of that frame"
)
LARGE = (640, 384)
NEEDED = "{} is missing: {}"


class Peer:
    """The Python program, asked line by line."""

    def __init__(self, model: Path, clip: Path, settings: dict[str, Any]) -> None:
        """Start it; its first answer says which versions it runs."""
        self._program = subprocess.Popen(
            [PYTHON, "-W", "ignore", "-m", "bench.peers.video_python", "turns", model, clip, json.dumps(settings)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_WAIT_POLICY": "passive"},
        )
        self.versions = self._answer()

    def ask(self, what: str) -> Any:
        """The answer to one line."""
        assert self._program.stdin is not None
        self._program.stdin.write(f"{what}\n")
        self._program.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._program.stdout is not None
        line = self._program.stdout.readline()
        if not line:
            raise RuntimeError(f"the Python pipeline ended with {self._program.wait(timeout=30)}")
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.close()
        self._program.stdout.close()
        self._program.wait(timeout=30)


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("video pipeline, CPU", HOW.format(small="512 x 288"))
    row.skipped += missing()
    row.skipped.append("THE GPU ROWS WERE NOT MEASURED: no GPU was lent to this machine")
    if len(row.skipped) > 1:
        return row
    with tempfile.TemporaryDirectory() as folder:
        clip, frames = make_clip(Path(folder))
        model, sha256 = large_model(Path(folder))
        for name, changed in (("small", None), ("large", {"path": str(model), "sha256": sha256})):
            measure(row, name, changed, clip, frames, max(3, effort.rounds // 5), Path(folder))
    return row


def missing() -> list[str]:
    """What has to be built first, each with how."""
    parts = [
        (PLUGIN / "libvideotracker_torch.so", "make videotracker"),
        (WORKER, "make videotracker"),
        (PYTHON, "make torch-python (5 GB), or PLUGWARD_BENCH_TORCH"),
    ]
    found = [NEEDED.format(part, how) for part, how in parts if not part.exists()]
    return [*found, *([] if subject.installed() else [subject.MISSING])]


def program() -> str:
    """ffmpeg: the system's, or the one that came with libtorch."""
    carried = sorted((ROOT / ".torch" / "imageio_ffmpeg" / "binaries").glob("ffmpeg*"))
    return os.environ.get("PLUGWARD_FFMPEG") or shutil.which("ffmpeg") or str(carried[0])


def make_clip(folder: Path) -> tuple[Path, int]:
    """The clip that ships in 1080p, and how many frames it has."""
    path = folder / "clip.mp4"
    scale = ["-vf", "scale=1920:1080", "-c:v", "libx264", "-crf", "23", "-pix_fmt", "yuv420p"]
    subprocess.run([program(), "-v", "error", "-i", str(CLIP), *scale, str(path)], check=True)
    return path, len(json.loads((PLUGIN / "examples" / "clip.json").read_text())["frames"])


def large_model(folder: Path) -> tuple[Path, str]:
    """The dearer model, written by the peer's torch."""
    path = folder / "large.pt"
    command: list[str | Path] = [
        PYTHON,
        "-W",
        "ignore",
        "-m",
        "bench.peers.video_python",
        "model",
        path,
        *map(str, LARGE),
    ]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return path, json.loads(said)["sha256"]


@contextmanager
def plugin(folder: Path, detector: dict[str, Any] | None) -> Iterator[tuple[plugward.Runtime, dict[str, Any]]]:
    """The runtime with VideoTracker in it, and its manifest."""
    os.environ.setdefault("PLUGWARD_WORKER", str(WORKER))
    os.environ.setdefault("PLUGWARD_LIBTORCH", str(ROOT / ".torch" / "torch"))
    os.environ.setdefault("PLUGWARD_FFMPEG", program())
    manifest = json.loads((PLUGIN / "cpu" / "manifest.json").read_text())
    manifest |= {"name": "video", "entrypoint": str(PLUGIN / "libvideotracker.so")}
    manifest["limits"]["deadline_ms"] = 600_000
    for model in manifest["models"].values():
        model["path"] = str((PLUGIN / "cpu" / model["path"]).resolve())
    if detector:
        manifest["models"]["detector"] |= detector
        manifest["permissions"]["read"] = [detector["path"]]
    path = folder / "manifest.json"
    path.write_text(json.dumps(manifest))
    runtime = subject.new_runtime()
    try:
        (report,) = runtime.load(path)
        assert report.ok, report.error
        yield runtime, manifest
    finally:
        runtime.close()


def measure(
    row: Row, name: str, detector: dict[str, Any] | None, clip: Path, frames: int, turns: int, folder: Path
) -> None:
    """One model: both pipelines and the model alone, turn by turn."""
    with plugin(folder, detector) as (runtime, manifest):
        settings = {"confidence": 0.1, "iou": 0.7, "track_threshold": 0.5, "classes": [0, 2]}
        peer = Peer(Path(manifest["models"]["detector"]["path"]), clip, settings)
        row.extra.update(peer.versions)
        took: dict[str, list[float]] = {}
        try:
            for turn in range(-1, turns):  # the first one warms up
                seen = take_turn(runtime, peer, clip, frames)
                for what, nanoseconds in seen.items() if turn >= 0 else ():
                    took.setdefault(what, []).append(nanoseconds)
        finally:
            peer.close()
        for what, values in took.items():
            row.results.append(result(f"{name}: {what}", values))
        judge(row, name)
        if detector is None:
            isolation(row, runtime, turns * 20)


def take_turn(runtime: plugward.Runtime, peer: Peer, clip: Path, frames: int) -> dict[str, float]:
    """Nanoseconds a frame of everybody."""
    alone = peer.ask(f"forward {frames}")["seconds"]
    theirs = peer.ask("clip")
    began = time.perf_counter()
    answer = runtime.call("video", "video_player_tracking", {"video_path": str(clip)})
    seconds = time.perf_counter() - began
    assert answer.ok, answer
    found = answer.result
    assert found["complete"], found["warnings"]
    assert found["total_frames"] == theirs["frames"] == frames, (found["total_frames"], theirs)
    ours = sum(len(frame["tracked_objects"]) for frame in found["frames"])
    assert abs(ours - theirs["objects"]) <= theirs["objects"] * 0.1, (ours, theirs)
    each = {"model alone": alone, "Python torch + supervision": theirs["seconds"], "Plugward VideoTracker": seconds}
    return {what: took / frames * 1e9 for what, took in each.items()}


def result(name: str, took: list[float]) -> Result:
    """A result; the name says whose."""
    role: Role = "plugward" if "Plugward" in name else "floor" if "alone" in name else "peer"
    return Result(name, role, statistics.median(took), percentile(took, 25), percentile(took, 75))


def judge(row: Row, name: str) -> None:
    """The goals for one model."""
    alone, theirs, ours = (
        row.find(f"{name}: {what}") for what in ("model alone", "Python torch + supervision", "Plugward VideoTracker")
    )
    assert alone
    assert ours
    row.goals.append(ratio_goal(f"{name} model: at least 1.2x the frames per second", ours, theirs, 1.2))
    over = ours.median_ns / alone.median_ns - 1
    row.goals.append(Goal(f"{name} model: within 10 % of the model's own forward", f"{over:+.1%}", over <= 0.1))


def isolation(row: Row, runtime: plugward.Runtime, turns: int) -> None:
    """What a frame costs on its way to another process, beside what is done with it there."""
    frame = np.random.default_rng(1).integers(0, 255, (1080, 1920, 3), dtype=np.uint8)
    other = subject.process()
    lease = other.lease("bench", frame.shape)
    lease.array[...] = frame
    took: dict[str, list[float]] = {"copied": [], "in place": [], "whole": []}
    for _ in range(turns):
        for what, target, plugin, tool, args in (
            ("copied", other, "bench", "touch", {"frame": frame}),
            ("in place", other, "bench", "touch", {"frame": lease.array}),
            ("whole", runtime, "video", "player_tracking", {"image_bytes": frame}),
        ):
            began = time.perf_counter_ns()
            outcome = target.call(plugin, tool, args)
            took[what].append(float(time.perf_counter_ns() - began))
            assert outcome.ok, outcome
    other.close()
    whole = statistics.median(took["whole"])
    row.results.append(result("Plugward player_tracking of a 1080p array", took["whole"]))
    for what in ("in place", "copied"):
        row.results.append(result(f"Plugward isolation of a 1080p frame, {what}", took[what]))
        share = statistics.median(took[what]) / whole
        row.goals.append(
            Goal(f"isolation of a 1080p frame, {what}: at most 3 % of its time", f"{share:.1%}", share <= 0.03)
        )
