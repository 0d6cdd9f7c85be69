"""Follows the players of a short clip, and shows what the same plugin says on a machine without a GPU.

python -m examples.videotracker.demo

Writes the clip with the tracks drawn in to plugins/videotracker/out/tracked.mp4. The exit status is 0 only if
everything was as promised.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import plugward
from examples.fastapi_host.report import Report

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugins" / "videotracker"
CLIP = PLUGIN / "examples" / "clip.mp4"
OUT = PLUGIN / "out" / "tracked.mp4"
SHOWN = 8  # tracks in the table


def prepare() -> None:
    """Say where the worker and libtorch lie, unless the user has."""
    os.environ.setdefault("PLUGWARD_WORKER", str(ROOT / "target" / "release" / "plugward-worker"))
    os.environ.setdefault("PLUGWARD_LIBTORCH", str(ROOT / ".torch" / "torch"))
    if shutil.which("ffmpeg") is None:
        carried = sorted((ROOT / ".torch" / "imageio_ffmpeg" / "binaries").glob("ffmpeg*"))
        if carried:
            os.environ.setdefault("PLUGWARD_FFMPEG", str(carried[0]))


class Bar:
    """A progress bar: a line that is drawn again on a terminal, every tenth elsewhere."""

    def __init__(self) -> None:
        """Nothing drawn yet."""
        self.live = sys.stdout.isatty()
        self.tenth = -1

    def __call__(self, current: int, total: int) -> None:
        """Draw it."""
        part = current / max(total, 1)
        if not self.live and int(part * 10) == self.tenth:
            return
        self.tenth = int(part * 10)
        done = int(part * 40)
        line = f"   [{'#' * done}{'.' * (40 - done)}] {current}/{total} frames"
        print(line, end="\r" if self.live and current < total else "\n", flush=True)


def tracks_table(report: Report, frames: list[dict[str, Any]], rate: float) -> None:
    """One row a track: how long it was seen and how far it went."""
    seen: dict[tuple[int, str], list[tuple[int, list[float]]]] = defaultdict(list)
    for frame in frames:
        for one in frame["tracked_objects"]:
            seen[one["track_id"], one["class"]].append((frame["frame_index"], one["center"]))
    longest = sorted(seen.items(), key=lambda item: -len(item[1]))
    report.line(f"{len(seen)} tracks, the {min(SHOWN, len(seen))} longest:")
    report.line(
        f"{'track':>6}  {'class':<10}{'frames':>7}{'from':>8}{'to':>8}  {'first seen at':<16}{'last seen at':<16}"
    )
    for (number, name), places in longest[:SHOWN]:
        (first, start), (last, end) = places[0], places[-1]
        ends = f"{first / rate:>7.1f}s{last / rate:>7.1f}s"
        at = f"{start[0]:>6.0f}, {start[1]:<8.0f}{end[0]:>6.0f}, {end[1]:<8.0f}"
        report.line(f"{number:>6}  {name:<10}{len(places):>7}{ends}  {at}")


def show_gpu(report: Report, rt: plugward.Runtime) -> None:
    """The manifest that asks for a GPU: ready, or unavailable with the cause."""
    report.title("videotracker: requires_gpu")
    rt.load(PLUGIN / "gpu")
    health = rt.plugin_health("videotracker") or {}
    report.line(f"state {health.get('state')}: {health.get('reason') or 'a GPU is here'}")
    answer = plugward.ToolRunner(rt).run_tool("videotracker", "video_player_tracking", {"video_path": str(CLIP)})
    if health.get("state") == "UNAVAILABLE":
        report.line(f"{answer.get('code')}  cause: {answer.get('cause')}")
        report.line(f"remedy: {answer.get('remedy')}")
        told = all(answer.get(key) for key in ("code", "error", "cause", "remedy"))
        report.promise("a call is refused with code, cause and remedy", not answer["ok"] and told, answer)
    else:
        report.promise("it tracks on the GPU", bool(answer["ok"]), answer)


def show_clip(report: Report, rt: plugward.Runtime) -> None:
    """The same plugin on the processor."""
    report.title(f"videotracker_cpu: {CLIP.relative_to(ROOT)}")
    loaded = rt.load(PLUGIN / "cpu")
    report.promise("it is ready", (rt.plugin_health("videotracker_cpu") or {}).get("state") == "INITIALIZED", loaded)
    args = {"video_path": str(CLIP), "annotated": True, "output_path": str(OUT)}
    answer = plugward.ToolRunner(rt).run_tool("videotracker_cpu", "video_player_tracking", args, progress=Bar())
    report.promise("the clip was tracked to its end", bool(answer["ok"]) and answer["result"]["complete"], answer)
    if not answer["ok"]:
        return
    result = answer["result"]
    report.line(f"{result['total_frames']} frames, {result['frames_per_second']} frames/s with drawing and encoding")
    tracks_table(report, result["frames"], result["fps"])
    report.promise(f"{OUT.relative_to(ROOT)} was written", OUT.is_file() and OUT.stat().st_size > 0, result)
    maps = Path("/proc/self/maps").read_text()
    report.promise("no libtorch in this process", "torch" not in maps.replace(str(ROOT), ""), "libtorch is mapped")


def main() -> int:
    """Run both parts; 0 when every promise was kept."""
    prepare()
    OUT.parent.mkdir(exist_ok=True)
    report = Report()
    with plugward.Runtime() as rt:
        show_gpu(report, rt)
        show_clip(report, rt)
    return report.verdict()


if __name__ == "__main__":
    sys.exit(main())
