"""The plugin's own output on the clip scores what the model card says, and its tracks keep their identities."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import plugward
from plugins.videotracker.train import heads, score
from plugins.videotracker.train.play import BALL, CLASSES, PLAYER
from plugins.videotracker.train.world import POINTS, SIZE, Truth
from tests.videotracker import scoring
from tests.videotracker.support import PLUGIN, Load, ffmpeg

pytestmark = pytest.mark.timeout(600)

STILL = 40  # of which frame of the clip frame.png is the picture


def ask(rt: plugward.Runtime, tool: str, **args: Any) -> dict[str, Any]:
    """The result of a call that must go well."""
    answer = plugward.ToolRunner(rt).run_tool("video", tool, args)
    assert answer["ok"], answer
    result: dict[str, Any] = answer["result"]
    return result


def card(model: str) -> dict[str, Any]:
    """What the model's card says of every fifth frame of the clip."""
    figures: dict[str, Any] = json.loads((PLUGIN / "models" / f"{model}.json").read_text())["score"]["clip"]
    return figures


def found(detections: list[dict[str, Any]]) -> heads.Found:
    """Detections as the scorer takes them."""
    return heads.Found(
        np.array([one["xyxy"] for one in detections]).reshape(-1, 4),
        np.array([one["confidence"] for one in detections]),
        np.array([one["class_id"] for one in detections], dtype=np.int64),
    )


def test_detections_are_as_good_as_the_card_says(load: Load, clip: Path) -> None:
    program = ffmpeg()
    if program is None:
        pytest.skip("no ffmpeg")
    rt, threshold = load(), heads.SCORE
    tallies = [score.Tally() for _ in CLASSES]
    balls = ask(rt, "video_ball_detection", video_path=str(clip))["frames"]
    every = zip(scoring.pictures(program, clip, SIZE), scoring.truths(), balls, strict=True)
    for picture, truth, ball in every:
        people = ask(rt, "player_detection", image_bytes=np.ascontiguousarray(picture))["detections"]
        assert all(one["confidence"] >= threshold for one in people + ball["detections"])
        score.tally(tallies, found(people + ball["detections"]), truth, threshold)
    for name, tally in zip(CLASSES, tallies, strict=True):
        ours, theirs = tally.summary(threshold), card("detector")[name]
        assert ours["objects"] > 100
        # The card's few frames come straight from the world, without the encoder's harm.
        slack = 0.02 if name == CLASSES[PLAYER] else 0.05
        assert ours["precision"] > theirs["precision"] - slack, (name, ours)
        assert ours["recall"] > theirs["recall"] - slack, (name, ours)


def test_the_manifest_may_want_other_thresholds(load: Load, frame: Path) -> None:
    usual = ask(load(), "player_detection", image_path=str(frame))["detections"]
    for wanted in (0.2, 0.8):
        rt = load(config={"confidence": wanted, "keypoint_confidence": wanted})
        here = ask(rt, "player_detection", image_path=str(frame))["detections"]
        assert all(one["confidence"] >= wanted for one in here)
        assert len(here) >= len(usual) if wanted < heads.SCORE else len(here) < len(usual)
        points = ask(rt, "pitch_detection", image_path=str(frame))["keypoints"]
        assert all(one["confidence"] >= wanted for one in points)


def test_points_and_homographies_are_as_good_as_the_card_says(load: Load, clip: Path) -> None:
    rt, theirs = load(), card("pitch")
    errors, metres, given = [], [], 0
    frames = ask(rt, "video_pitch_detection", video_path=str(clip))["frames"]
    for frame, truth in zip(frames, scoring.truths(), strict=True):
        for point in frame["keypoints"]:
            assert point["confidence"] >= heads.POINT_SCORE
            assert np.allclose(point["pitch_xy"], POINTS[point["index"]], atol=1e-3)
            given += 1
            error = float(np.linalg.norm(np.array(point["xy"]) - truth.keypoints[point["index"]]))
            errors += [error] if truth.inside[point["index"]] and error < 6 else []
        if frame["homography"]:
            to_pixels = np.linalg.inv(np.array(frame["homography"]["matrix"]))
            metres.append(score.ground_error(to_pixels, truth))
    wanted = sum(int(truth.inside.sum()) for truth in scoring.truths())
    figures = {
        "precision": len(errors) / given,
        "recall": len(errors) / wanted,
        "mean_error_px": float(np.mean(errors)),
        "frames_with_homography": len(metres) / len(frames),
        "median_error_m": float(np.median(metres)),
        "p90_error_m": float(np.percentile(metres, 90)),
    }
    for name in ("precision", "recall", "frames_with_homography"):
        assert figures[name] > theirs[name] - 0.02, (name, figures)
    for name, slack in (("mean_error_px", 0.1), ("median_error_m", 0.05), ("p90_error_m", 0.1)):
        assert figures[name] < theirs[name] + slack, (name, figures)


def ground(truth: Truth, kinds: set[int], visible: float) -> NDArray[np.floating]:
    """Where on the pitch the people of these classes stand, in metres: the lower middle of their boxes."""
    chosen = np.isin(truth.classes, list(kinds)) & (truth.visible >= visible)
    boxes = truth.boxes[chosen]
    feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], 1)
    return np.asarray(heads.through(np.linalg.inv(truth.homography), feet))


def near(points: list[dict[str, Any]], truth: Truth) -> tuple[list[float], list[float]]:
    """How far in metres the next radar point is from everyone in full view, and the next one of all from each point."""
    people = set(range(len(CLASSES))) - {BALL}
    here = np.array([point["xy"] for point in points]).reshape(-1, 2)
    apart = np.linalg.norm(ground(truth, people, 0.9)[:, None] - here[None], axis=2)
    others = np.linalg.norm(here[:, None] - ground(truth, people, 0.0)[None], axis=2)
    return apart.min(1, initial=99.0).tolist(), others.min(1, initial=99.0).tolist()


def test_the_radar_shows_people_where_they_stand(load: Load, clip: Path, frame: Path) -> None:
    rt, shown = load(), scoring.truths()
    still, _ = near(ask(rt, "radar", image_path=str(frame))["radar_points"], shown[STILL])
    assert len(still) > 8
    assert float(np.median(still)) < 1.0, still
    missed, wrong = [], []
    for one, truth in zip(ask(rt, "video_radar", video_path=str(clip))["frames"], shown, strict=True):
        off, invented = near(one["radar_points"], truth)
        missed += off
        wrong += invented
    assert float(np.median(missed)) < 0.8
    assert float(np.mean(np.array(missed) < 2.0)) > 0.9
    assert float(np.mean(np.array(wrong) < 2.0)) > 0.9


def test_the_ball_is_found_where_it_is(load: Load, clip: Path) -> None:
    frames = ask(load(), "video_ball_detection", video_path=str(clip))["frames"]
    seen = hits = given = right = 0
    for frame, truth in zip(frames, scoring.truths(), strict=True):
        balls = truth.boxes[truth.classes == BALL]
        clear = truth.boxes[(truth.classes == BALL) & (truth.visible >= 0.9)]
        boxes = found(frame["detections"]).boxes
        seen += len(clear)
        hits += int((heads.iou(clear, boxes).max(1, initial=0.0) >= 0.5).sum())
        given += len(boxes)
        right += int((heads.iou(boxes, balls).max(1, initial=0.0) >= 0.3).sum())
    assert seen > 50
    assert hits / seen > 0.85, f"{hits} of {seen}"
    assert right / given > 0.85, f"{right} of {given}"


def test_tracks_keep_their_identities(load: Load, clip: Path) -> None:
    frames = ask(load(), "video_player_tracking", video_path=str(clip))["frames"]
    people = set(range(len(CLASSES))) - {BALL}
    counts = scoring.follow([frame["tracked_objects"] for frame in frames], scoring.truths(), people)
    # 22 people of 25 pixels who cover one another: 0.995, 0.932, 0.839 and 45 when this was written.
    assert counts.precision > 0.985, counts
    assert counts.recall > 0.92, counts
    assert counts.idf1 > 0.81, counts
    assert counts.switches <= 52, counts
    numbers = {one["track_id"] for frame in frames for one in frame["tracked_objects"]}
    assert len(numbers) < 45, "23 people; those who come back after a long time are new"


@pytest.mark.parametrize("tool", ["radar", "video_radar"])
def test_both_radars_draw_the_pitch_from_above(load: Load, clip: Path, frame: Path, tmp_path: Path, tool: str) -> None:
    rt = load(permissions={"write": [str(tmp_path)]})
    if tool == "radar":
        told = ask(rt, tool, image_path=str(frame), annotated=True)
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(told["annotated_frame"]))).convert("RGB"))
    else:
        program = ffmpeg()
        if program is None:
            pytest.skip("no ffmpeg")
        told = ask(rt, tool, video_path=str(clip), annotated=True, output_path=str(tmp_path / "radar.mp4"))
        picture = list(scoring.pictures(program, Path(told["annotated_video"]), (556, 370)))[STILL]
    # 105 x 68 metres of 5 pixels with 15 around: grass at its edge, and about as much of it everywhere.
    assert picture.shape[:2] in {(370, 555), (370, 556)}
    grass = np.abs(picture.astype(int) - [38, 110, 50]).max(2) < 30
    assert grass[:10].mean() > 0.95
    assert grass.mean() > 0.8
    assert grass.mean() < 0.99, "lines and people are on it"
