"""Pictures in every form, and what each tool draws: devices, classes, models and streams of single frames."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.videotracker.support import PLUGIN, Load, ask, call, health

pytestmark = pytest.mark.timeout(300)

TOOLS = ["player_detection", "player_tracking", "ball_detection", "pitch_detection", "radar"]


def pixels(path: Path) -> Any:
    """A picture as rows x columns x 3."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def encoded(picture: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    picture.save(file, kind, **how)
    return file.getvalue()


def ids(result: dict[str, Any]) -> set[int]:
    """The numbers of the objects of a frame."""
    return {one["track_id"] for one in result["tracked_objects"]}


@pytest.mark.parametrize("tool", TOOLS)
def test_every_image_tool_draws(load: Load, frame: Path, tool: str) -> None:
    rt = load()
    ask(rt, tool, image_path=str(frame), stream="s")
    result = ask(rt, tool, image_path=str(frame), annotated=True, stream="s")
    assert result["annotated_format"] == "png"
    drawn = Image.open(io.BytesIO(base64.b64decode(result["annotated_frame"])))
    drawn.load()
    assert drawn.mode == "RGB"
    if tool == "radar":
        assert drawn.width > drawn.height > 50, "the pitch from above"
    else:
        assert drawn.size == (result["width"], result["height"])
        if tool != "ball_detection":
            assert (np.asarray(drawn) != pixels(frame)).any()
    assert "annotated_frame" not in ask(rt, tool, image_path=str(frame), annotated=False, stream="s")


def test_pictures_of_every_kind_and_size(load: Load, frame: Path) -> None:
    rt = load()
    expected = ask(rt, "player_detection", image_path=str(frame))
    with Image.open(frame) as picture:
        rgb = picture.convert("RGB")
    opaque = rgb.copy()
    opaque.putalpha(255)
    assert ask(rt, "player_detection", image_bytes=encoded(opaque)) == expected
    deep = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    for other in (rgb.convert("L"), rgb.convert("LA"), deep, rgb.convert("P"), rgb.convert("1")):
        result = ask(rt, "player_detection", image_bytes=encoded(other))
        assert (result["width"], result["height"]) == rgb.size, other.mode
    for width, height in ((1, 1), (1, 400), (400, 1)):
        for tool in TOOLS:
            result = ask(rt, tool, image_bytes=np.zeros((height, width, 3), dtype=np.uint8))
            assert (result["width"], result["height"]) == (width, height)
    for shape in ((0, 4, 3), (4, 4), (4, 4, 4), (2, 4, 4, 3)):
        answer = call(rt, "player_detection", image_bytes=np.zeros(shape, dtype=np.uint8))
        assert not answer["ok"] and answer["error_type"] == "InvalidInput", (shape, answer)
    assert health(rt)["state"] == "INITIALIZED"


def test_a_picture_that_lies_is_set_upright(load: Load, frame: Path) -> None:
    rt = load()
    with Image.open(frame) as picture:
        rgb = picture.convert("RGB")
    plain = ask(rt, "player_detection", image_bytes=encoded(rgb, "JPEG", quality=95))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right is needed
    lying = encoded(rgb.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)
    upright = ask(rt, "player_detection", image_bytes=lying)
    assert (upright["width"], upright["height"]) == rgb.size
    assert abs(upright["count"] - plain["count"]) <= 2


def test_views_into_arrays(load: Load, frame: Path) -> None:
    rt = load()
    image = pixels(frame)
    for view in (image[::-1], image[:, ::-1], image[..., ::-1], image[::2, ::2], np.asfortranarray(image)):
        assert not view.flags.c_contiguous
        expected = ask(rt, "player_detection", image_bytes=np.ascontiguousarray(view))
        assert ask(rt, "player_detection", image_bytes=view) == expected
    frozen = image.copy()
    frozen.flags.writeable = False
    assert ask(rt, "player_detection", image_bytes=frozen) == ask(rt, "player_detection", image_bytes=image)


@pytest.mark.parametrize(
    ("device", "code"),
    [
        ("cpu", None),
        ("CPU", None),
        (None, None),
        ("gpu", "PW-VIDEO-004"),
        ("cuda", "PW-VIDEO-004"),
        ("cuda:7", "PW-VIDEO-004"),
        ("tpu", "input"),
    ],
)
def test_the_device_of_a_call(load: Load, frame: Path, device: str | None, code: str | None) -> None:
    rt = load()
    answer = call(rt, "player_detection", image_path=str(frame), device=device)
    if code is None:
        assert answer["ok"] and answer["result"]["device"] == "cpu", answer
    elif code == "input":
        assert answer["error_type"] == "InvalidInput" and "'tpu'" in answer["error"].replace('"', "'"), answer
    else:
        assert answer["code"] == code and "config.device of this manifest is cpu" in answer["error"], answer
        assert "gpu/manifest.json" in answer["error"]
    assert ask(rt, "player_detection", image_path=str(frame))["device"] == "cpu"


def test_the_words_of_the_manifest_choose_the_classes(load: Load, frame: Path) -> None:
    everybody = ask(load(), "player_detection", image_path=str(frame))["detections"]
    referees = ask(load(config={"players": ["REFEREE"]}), "player_detection", image_path=str(frame))["detections"]
    assert {one["class_name"] for one in referees} <= {"referee"}
    assert len(referees) < len(everybody)
    rt = load(config={"balls": ["player"]})
    assert {one["class_name"] for one in ask(rt, "ball_detection", image_path=str(frame))["detections"]} == {"player"}


def test_players_and_ball_may_have_models_of_their_own(load: Load, frame: Path) -> None:
    path = PLUGIN / "models" / "detector_centre.pt"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    pin = {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "format": "torchscript"}
    base = load()
    players, ball = (ask(base, tool, image_path=str(frame)) for tool in ("player_detection", "ball_detection"))
    rt = load(models={"player": pin})
    assert ask(rt, "ball_detection", image_path=str(frame)) == ball
    other = ask(rt, "player_detection", image_path=str(frame))
    assert other != players and other["count"] >= 10, "another model, so other numbers"
    rt = load(models={"ball": pin})
    assert ask(rt, "player_detection", image_path=str(frame)) == players
    both = load(models={"player": pin, "ball": pin}, without=["detector"])
    assert ask(both, "player_detection", image_path=str(frame)) == other


# --- streams of single frames -----------------------------------------------------------------------------------------


def test_clients_that_name_no_stream_are_told_apart(load: Load, frame: Path) -> None:
    rt = load()
    image = pixels(frame)
    mirrored = image[:, ::-1]
    first = [ask(rt, "player_tracking", image_bytes=view) for view in (image, mirrored)]
    assert ids(first[0])
    assert ids(first[1])
    assert not ids(first[0]) & ids(first[1])
    for number in range(1, 4):
        for before, view in zip(first, (image, mirrored), strict=True):
            now = ask(rt, "player_tracking", image_bytes=view)
            assert ids(now) == ids(before)
            assert now["frame_index"] == number
            assert now["stream"] is None
            assert any("stream" in text for text in now["warnings"])
    anew = ask(rt, "player_tracking", image_bytes=image, reset=True)
    assert anew["frame_index"] == 0
    assert not ids(anew) & (ids(first[0]) | ids(first[1]))
    assert ids(ask(rt, "player_tracking", image_bytes=mirrored)) == ids(first[1]), "one client's reset is its own"


def test_a_stream_can_begin_anew(load: Load, frame: Path, clip: Path) -> None:
    rt = load()
    one = {"image_path": str(frame), "stream": "camera 1"}
    first = ask(rt, "player_tracking", **one)
    assert first["stream"] == "camera 1"
    assert first["warnings"] == []
    other = ask(rt, "player_tracking", image_path=str(frame), stream="camera 2")
    again = ask(rt, "player_tracking", **one)
    assert ids(again) == ids(first)
    assert again["frame_index"] == 1
    anew = ask(rt, "player_tracking", **one, reset=True)
    assert anew["frame_index"] == 0
    assert not ids(anew) & ids(first)
    kept = ask(rt, "player_tracking", image_path=str(frame), stream="camera 2")
    assert ids(kept) == ids(other), "another stream goes on"
    radar = ask(rt, "radar", **one)
    assert {p["track_id"] for p in radar["radar_points"]} <= ids(anew)
    ask(rt, "video_player_tracking", video_path=str(clip), stream="camera 1", reset=True)
    assert not ids(ask(rt, "player_tracking", **one)) & ids(anew)
    for wrong in ({"stream": 5}, {"stream": "x" * 257}, {"reset": "yes"}):
        answer = call(rt, "player_tracking", image_path=str(frame), **wrong)
        assert answer["error_type"] == "InvalidInput", answer


@pytest.mark.parametrize("folder", ["cpu", "gpu"])
def test_every_result_has_a_shape(folder: str) -> None:
    tools = json.loads((PLUGIN / folder / "manifest.json").read_text())["tools"]
    assert len(tools) == 9
    for tool in tools:
        shape = tool["output_schema"]
        assert shape["required"], tool["id"]
        assert {"frames", "frames_path"} <= set(shape["properties"]) or "width" in shape["properties"]
