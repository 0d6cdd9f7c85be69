"""The nine tools, with real models, real libtorch and real worker processes."""

from __future__ import annotations

import base64
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugward
from tests.videotracker.support import EXAMPLES, Load

pytestmark = pytest.mark.timeout(300)


def ask(rt: plugward.Runtime, tool: str, **args: Any) -> dict[str, Any]:
    """The result of a call that must go well."""
    answer = plugward.ToolRunner(rt).run_tool("video", tool, args)
    assert answer["ok"], answer
    result: dict[str, Any] = answer["result"]
    json.dumps(result, allow_nan=False)
    return result


def overlap(a: list[float], b: list[float]) -> float:
    """Intersection over union."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = sum((r[2] - r[0]) * (r[3] - r[1]) for r in (a, b))
    return width * height / (area - width * height)


def truth() -> dict[str, Any]:
    """What the clip really shows."""
    shown: dict[str, Any] = json.loads((EXAMPLES / "clip.json").read_text())
    return shown


def test_image_tools(load: Load, frame: Path) -> None:
    rt = load()
    found = ask(rt, "player_detection", image_path=str(frame))
    assert found["count"] == len(found["detections"]) >= 10
    for one in found["detections"]:
        assert set(one) == {"xyxy", "confidence", "class_id", "class_name"}
        assert one["class_name"] in {"player", "referee", "goalkeeper"}
        left, top, right, bottom = one["xyxy"]
        assert 0 <= left < right <= found["width"]
        assert 0 <= top < bottom <= found["height"]
    balls = ask(rt, "ball_detection", image_path=str(frame))
    assert {one["class_name"] for one in balls["detections"]} <= {"ball"}
    tracked = ask(rt, "player_tracking", image_path=str(frame))
    assert set(tracked["tracked_objects"][0]) == {"track_id", "class_id", "class", "xyxy", "center", "confidence"}
    pitch = ask(rt, "pitch_detection", image_path=str(frame))
    assert pitch["pitch"] == {"length_m": 105.0, "width_m": 68.0}
    assert "homography" in pitch
    radar = ask(rt, "radar", image_path=str(frame), annotated=True)
    assert isinstance(radar["radar_points"], list)
    assert base64.b64decode(radar["annotated_frame"]).startswith(b"\x89PNG")


def test_one_image_in_every_form_gives_one_answer(load: Load, frame: Path) -> None:
    rt = load()
    data = frame.read_bytes()
    expected = ask(rt, "player_detection", image_path=str(frame))
    assert ask(rt, "player_detection", image_bytes=base64.b64encode(data).decode()) == expected
    assert ask(rt, "player_detection", image_bytes=data) == expected
    grey = np.full((288, 512, 3), 90, dtype=np.uint8)
    assert ask(rt, "player_detection", image_bytes=grey)["count"] == 0
    assert ask(rt, "player_detection", image_bytes=grey[:64, :64].copy())["width"] == 64


def test_the_boxes_are_where_the_players_are(load: Load, clip: Path) -> None:
    rt = load()
    result = ask(rt, "video_player_tracking", video_path=str(clip))
    shown = truth()
    assert result["total_frames"] == len(shown["frames"]) == len(result["frames"])
    assert result["complete"]
    assert result["warnings"] == []
    assert result["fps"] == shown["rate"]
    hits = total = 0
    for frame, real in zip(result["frames"], shown["frames"], strict=True):
        boxes = [one["xyxy"] for one in frame["tracked_objects"]]
        for _, name, *box, visible in real["objects"]:
            if shown["classes"][int(name)] != "ball" and visible > 0.8:
                total += 1
                hits += any(overlap(box, other) > 0.4 for other in boxes)
    assert hits / total > 0.8, f"{hits} of {total}"
    ids = {one["track_id"] for frame in result["frames"] for one in frame["tracked_objects"]}
    assert len(ids) < 80, "objects keep their numbers"
    assert [frame["frame_index"] for frame in result["frames"]] == list(range(result["total_frames"]))


def test_video_tools_progress_and_annotation(load: Load, clip: Path, tmp_path: Path) -> None:
    rt = load(permissions={"write": [str(tmp_path)]})
    told: list[tuple[int, int]] = []
    args = {"video_path": str(clip), "annotated": True, "output_path": str(tmp_path / "out.mp4")}
    runner = plugward.ToolRunner(rt)
    answer = runner.run_tool("video", "video_ball_detection", args, progress=lambda n, of: told.append((n, of)))
    assert answer["ok"], answer
    total = answer["result"]["total_frames"]
    # Progress is told when it can be, not for every frame; it only ever grows, up to the end.
    assert told
    assert told == sorted(told)
    assert told[-1][0] <= total
    assert told[-1][1] == total
    again = ask(rt, "video_ball_detection", video_path=answer["result"]["annotated_video"])
    assert again["total_frames"] == total
    radar = ask(rt, "video_radar", video_path=str(clip))
    pitch = ask(rt, "video_pitch_detection", video_path=str(clip))
    assert radar["total_frames"] == pitch["total_frames"] == total
    for frame in radar["frames"]:
        assert all(math.isfinite(n) for point in frame["radar_points"] for n in point["xy"])


def test_the_models_of_both_families_agree(load: Load, frame: Path) -> None:
    import hashlib

    centre = EXAMPLES.parent / "models" / "detector_centre.pt"
    if not centre.is_file():
        pytest.skip(f"{centre} is not there")
    pin = hashlib.sha256(centre.read_bytes()).hexdigest()
    one = ask(load(), "player_detection", image_path=str(frame))["detections"]
    model = {"detector": {"path": str(centre), "sha256": pin, "format": "torchscript"}}
    other = ask(load(models=model), "player_detection", image_path=str(frame))["detections"]
    sure = [d for d in one if d["confidence"] > 0.6]
    assert sure
    found = [any(overlap(box["xyxy"], o["xyxy"]) > 0.6 for o in other) for box in sure]
    # Of two people who touch, the two layouts may keep different boxes.
    assert sum(found) >= 0.9 * len(found), (found, sure)


def test_no_libtorch_in_the_host(load: Load, frame: Path) -> None:
    rt = load()
    ask(rt, "player_detection", image_path=str(frame))
    mapped = {line.split()[-1].rsplit("/", 1)[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
    assert not {name for name in mapped if "torch" in name or "libc10" in name}
    pid = (rt.plugin_health("video") or {})["pid"]
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert "libtorch_cpu.so" in maps and "libvideotracker_torch.so" in maps, "the proof looks at the right thing"
    assert "libtorch_cuda.so" not in maps


def test_the_manifests_pin_the_models_that_ship() -> None:
    script = EXAMPLES.parent / "manifests.py"
    if not (EXAMPLES.parent / "models" / "pitch.pt").is_file():
        pytest.skip("no models here")
    checked = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
