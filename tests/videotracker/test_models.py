"""The shipped models, their manifests, the card and the clip say the same."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from plugins.videotracker.train import clip, pitch, world
from plugins.videotracker.train.album import FILM
from plugins.videotracker.train.play import CLASSES

FOLDER = Path(__file__).resolve().parents[2] / "plugins" / "videotracker"
MODELS = FOLDER / "models"
NAMES = ("detector", "detector_centre", "pitch")


def manifest(name: str) -> dict[str, Any]:
    return json.loads((MODELS / f"{name}.json").read_text())


def test_every_model_has_a_manifest_and_the_other_way_round() -> None:
    assert {path.stem for path in MODELS.glob("*.pt")} == set(NAMES) == {path.stem for path in MODELS.glob("*.json")}


@pytest.mark.parametrize("name", NAMES)
def test_manifest_and_card_name_the_file_that_is_there(name: str) -> None:
    data = (MODELS / f"{name}.pt").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    assert (manifest(name)["sha256"], manifest(name)["bytes"]) == (digest, len(data))
    assert digest in (MODELS / "README.md").read_text()
    assert len(data) < 300_000


@pytest.mark.parametrize("name", NAMES)
def test_the_archive_holds_the_metadata_of_the_manifest(name: str) -> None:
    with zipfile.ZipFile(MODELS / f"{name}.pt") as archive:
        assert archive.testzip() is None
        inside = json.loads(archive.read("archive/extra/plugward.json"))
    assert inside == {key: manifest(name)[key] for key in inside}
    assert {"family", "task", "classes", "input", "stride", "threshold", "score"} <= inside.keys()


@pytest.mark.parametrize("name", NAMES)
def test_the_archive_tells_nothing_of_the_machine_that_wrote_it(name: str) -> None:
    with zipfile.ZipFile(MODELS / f"{name}.pt") as archive:
        assert not [record for record in archive.namelist() if "debug" in record]
        assert not [record for record in archive.namelist() if b"/plugins/" in archive.read(record)]


@pytest.mark.parametrize("name", ["detector", "detector_centre"])
def test_the_card_shows_the_score_of_the_manifest(name: str) -> None:
    card = (MODELS / "README.md").read_text()
    for label, row in manifest(name)["score"]["held_out"].items():
        assert f"| {label} | {row['objects']} | {row['precision']} | {row['recall']} | {row['ap50']} |" in card


def test_scores_are_those_of_a_model_that_works() -> None:
    player = manifest("detector")["score"]["held_out"]["player"]
    assert player["precision"] > 0.95
    assert player["recall_isolated"] > 0.95
    assert manifest("pitch")["score"]["held_out"]["median_error_m"] < 1.0


def test_the_pitch_model_knows_the_points_of_the_world() -> None:
    about = manifest("pitch")
    assert dict(zip(about["names"], map(tuple, about["keypoints"]), strict=True)) == pitch.KEYPOINTS
    assert manifest("detector")["classes"] == list(CLASSES)


def test_the_truth_belongs_to_the_clip() -> None:
    data = (FOLDER / "examples" / "clip.mp4").read_bytes()
    truth = json.loads((FOLDER / "examples" / "clip.json").read_text())
    assert truth["sha256"] == hashlib.sha256(data).hexdigest()
    assert len(data) < 1_000_000
    assert len(truth["frames"]) == round(clip.SECONDS * clip.RATE)


def test_the_script_still_makes_this_clip() -> None:
    stored = json.loads((FOLDER / "examples" / "clip.json").read_text())["frames"][0]
    image, truth = next(world.film(FILM, clip.SECONDS, clip.RATE))
    assert np.allclose(clip.rows(truth), stored["objects"], atol=0.11)
    assert np.allclose(truth.homography.ravel(), stored["homography"], rtol=1e-4)
    assert image.shape == (world.SIZE[1], world.SIZE[0], 3)


@pytest.mark.parametrize("name", clip.STILLS.values())
def test_the_stills_are_small_and_whole(name: str) -> None:
    path = FOLDER / "examples" / name
    assert path.stat().st_size < 200_000
    with Image.open(path) as picture:
        assert picture.convert("RGB").size == world.SIZE
