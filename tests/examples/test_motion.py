"""The example plugin `motion` finds what is really on its frames."""

import base64
import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image

import plugward

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "plugins" / "motion"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_motion_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


plugin = load("plugin")
make_frames = load("make_frames")


def stored(number: int, kind: str = "png") -> dict[str, str]:
    return {"path": f"frames/frame_{number}.{kind}"}


def encoded(picture: Image.Image) -> dict[str, str]:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return {"base64": base64.b64encode(data.getvalue()).decode()}


@pytest.fixture
def motion() -> Any:
    made = plugin.Plugin()
    made.validate()
    return made


def test_every_object_is_found_where_it_is(motion: Any) -> None:
    found = motion.detect_motion([stored(n) for n in range(make_frames.FRAMES)])
    for frame, truth in zip(found["frames"], make_frames.TRUTH, strict=True):
        boxes = sorted(tuple(region["box"]) for region in frame["regions"])
        assert boxes == sorted(truth.values())


def test_the_colours_are_the_objects_own(motion: Any) -> None:
    found = motion.detect_motion([stored(n) for n in range(make_frames.FRAMES)])
    for frame in found["frames"]:
        colours = [[int(region["colour"][i : i + 2], 16) for i in (1, 3, 5)] for region in frame["regions"]]
        assert np.allclose(colours, [make_frames.BLUE, make_frames.RED], atol=4)


def test_the_answers_fit_their_schemas(motion: Any) -> None:
    tools = motion.tools
    calls = {
        "detect_motion": {"frames": [stored(0, "jpg"), stored(1, "jpg")]},
        "dominant_colours": {"image": stored(0)},
    }
    assert set(calls) == set(tools)
    for name, args in calls.items():
        jsonschema.validate(args, tools[name]["input_schema"])
        jsonschema.validate(tools[name]["handler"](**args), tools[name]["output_schema"])


def test_a_still_scene_has_no_motion(motion: Any) -> None:
    found = motion.detect_motion([stored(2), stored(2), stored(2)])
    assert [frame["regions"] for frame in found["frames"]] == [[], [], []]


def test_noise_is_no_motion(motion: Any) -> None:
    noise = np.random.default_rng(7)
    pictures = [Image.fromarray(noise.normal(90, 6, (60, 90, 3)).clip(0, 255).astype(np.uint8)) for _ in range(4)]
    found = motion.detect_motion([encoded(picture) for picture in pictures])
    assert all(frame["regions"] == [] for frame in found["frames"])


def test_colours_are_counted(motion: Any) -> None:
    picture = Image.new("RGB", (10, 10), (250, 10, 10))
    picture.paste((10, 10, 250), (0, 0, 10, 3))
    found = motion.dominant_colours(encoded(picture), count=5)
    assert found == {"colours": [{"hex": "#fa0a0a", "share": 0.7}, {"hex": "#0a0afa", "share": 0.3}]}


@pytest.mark.parametrize(
    "image",
    [
        {"path": "frames/none.png"},
        {"path": "/dev/zero"},
        {"path": "frames"},
        {"path": "frames/\0.png"},
        {"base64": "not base64!"},
        {"base64": base64.b64encode(b"no picture").decode()},
        {"base64": base64.b64encode((FOLDER / "frames" / "frame_0.png").read_bytes()[:3000]).decode()},
    ],
    ids=["missing", "device", "folder", "nul", "no-base64", "no-picture", "truncated"],
)
def test_what_cannot_be_read_is_the_callers_mistake(motion: Any, image: dict[str, str]) -> None:
    with pytest.raises(plugward.InvalidInput, match="cannot read the picture"):
        motion.dominant_colours(image)


def test_frames_of_two_sizes_are_refused(motion: Any) -> None:
    with pytest.raises(plugward.InvalidInput, match="160x120"):
        motion.detect_motion([stored(0), encoded(Image.new("RGB", (8, 8)))])


def test_the_frames_are_the_scripts(tmp_path: Path) -> None:
    make_frames.main(tmp_path)
    for number in range(make_frames.FRAMES):
        name = f"frame_{number}.png"
        with Image.open(tmp_path / name) as drawn, Image.open(FOLDER / "frames" / name) as kept:
            assert np.array_equal(np.asarray(drawn), np.asarray(kept)), name
