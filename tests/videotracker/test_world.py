"""The synthetic world is what its truth says, and scores count what they say."""

import numpy as np
import pytest

from plugins.videotracker.train import heads, pitch, score, world
from plugins.videotracker.train.camera import aim, random_shot
from plugins.videotracker.train.ground import lines
from plugins.videotracker.train.heads import Found
from plugins.videotracker.train.play import BALL, CLASSES, PLAYER


def test_a_still_is_the_same_every_time_and_others_differ() -> None:
    (first, truth), (again, same), (other, _) = world.still(5, 0), world.still(5, 0), world.still(5, 1)
    assert np.array_equal(first, again)
    assert np.array_equal(truth.boxes, same.boxes)
    assert not np.array_equal(first, other)


def test_boxes_lie_in_the_picture_and_hold_what_differs_from_the_ground() -> None:
    rng = np.random.default_rng(1)
    scene = world.Scene.random(rng)
    _, truth = scene.frame(0.0, rng)
    empty = scene.surroundings.paint(scene.shot.at(0.0, world.SIZE))
    image = empty.copy()
    owners = np.full(image.shape[:2], -1, np.int16)
    for figure in world.figures.figures(scene.play, 0.0, scene.shot.at(0.0, world.SIZE)):
        world.figures.draw(image, owners, figure)
    assert (truth.boxes >= 0).all()
    assert (truth.boxes <= np.tile(world.SIZE, 2)).all()
    for identity, box in zip(truth.identities, truth.boxes, strict=True):
        rows, columns = np.nonzero(owners == identity)
        if len(rows):
            assert columns.min() + 1 >= box[0]
            assert columns.max() <= box[2]
            assert rows.min() + 1 >= box[1]
            assert rows.max() <= box[3]


def test_truth_has_the_classes_of_the_models() -> None:
    truths = [world.still(6, number)[1] for number in range(4)]
    kinds = np.concatenate([truth.classes for truth in truths])
    assert set(kinds) <= set(range(len(CLASSES)))
    assert (kinds == PLAYER).sum() > 20
    assert all((truth.classes == BALL).sum() <= 1 for truth in truths)


def test_the_camera_looks_at_its_target_and_right_is_right() -> None:
    camera = aim(np.array([52.0, 95.0, 20.0]), np.array([60.0, 30.0]), 40.0, 0.0, world.SIZE)
    middle, right, near, above = camera.project(
        np.array([[60.0, 30.0, 0.0], [61.0, 30.0, 0.0], [60.0, 33.0, 0.0], [60.0, 30.0, 2.0]])
    )
    assert np.allclose(middle, np.array(world.SIZE) / 2)
    assert right[0] > middle[0]
    assert near[1] > middle[1] > above[1]
    assert camera.scale(np.array([[60.0, 30.0]]))[0] == pytest.approx(world.SIZE[0] / 40.0)


def test_rays_and_projection_undo_each_other() -> None:
    camera = random_shot(np.random.default_rng(3)).at(1.0, world.SIZE)
    ray = camera.rays()[200, 300]
    ground = camera.position - camera.position[2] / ray[2] * ray
    assert np.allclose(camera.project(ground[None])[0], [300.5, 200.5])


@pytest.mark.parametrize(
    ("x", "y", "white"),
    [(0, 30, True), (52.5, 10, True), (16.5, 20, True), (43.35, 34, True), (11, 34, True), (30, 30, False)],
)
def test_white_is_where_the_laws_put_it(x: float, y: float, white: bool) -> None:
    down, across = np.mgrid[-5:6, -5:6].astype(np.float32) * 0.05
    assert (lines(x + across, y + down)[5, 5] > 0.9) == white


def test_mirroring_twice_changes_nothing_and_keeps_metres() -> None:
    partners = pitch.mirrored()
    points = np.array(list(pitch.KEYPOINTS.values()))
    assert [partners[partner] for partner in partners] == list(range(len(points)))
    assert np.allclose(points[partners], [[pitch.LENGTH, 0.0]] + points * [[-1.0, 1.0]])


def test_a_homography_survives_wrong_points() -> None:
    truth = world.still(5, 2)[1]
    pixels = truth.keypoints.copy()
    pixels[::5] += 60
    matrix, counted = heads.homography(world.POINTS, pixels)
    assert matrix is not None
    assert not counted[::5].any()
    assert score.ground_error(matrix, truth) < 0.01


def test_a_summit_is_found_below_the_cell() -> None:
    rows, columns = np.mgrid[:20, :30] + 0.5
    heat = np.exp(-0.5 * ((columns - 12.3) ** 2 + (rows - 7.8) ** 2) / 1.2**2)[None]
    pixels, scores = heads.keypoints(heat)
    assert np.allclose(pixels, [[12.3 * heads.STRIDE, 7.8 * heads.STRIDE]], atol=0.05)
    assert scores[0] == heat.max()


def test_both_detector_layouts_read_the_same_object() -> None:
    output = np.zeros((7, 10, 12))
    output[0, 4, 6], output[3:, 4, 6] = 0.9, (16.0, 32.0, 0.25, 0.5)
    rows, columns = np.mgrid[:10, :12]
    x, y = (columns + output[5]) * 4, (rows + output[6]) * 4
    flat = np.concatenate([[x, y], output[3:5], output[:3]]).reshape(7, -1)
    one, other = heads.centre(output), heads.yolov8(flat)
    assert np.allclose(one.boxes, [[17.0, 2.0, 33.0, 34.0]])
    assert np.allclose(one.boxes, other.boxes)
    assert one.classes.tolist() == other.classes.tolist() == [0]


def test_average_precision_by_hand() -> None:
    hits = np.array([True, False, True])
    assert score.average_precision(np.array([0.9, 0.8, 0.7]), hits, wanted=4) == pytest.approx(
        0.25 + 0.25 * 2 / 3, abs=1e-4
    )


def test_an_object_is_found_once_and_a_hidden_one_is_not_judged() -> None:
    boxes = np.array([[0.0, 0, 10, 20], [50, 0, 60, 20]])
    truth = world.Truth(
        np.arange(2), np.zeros(2, int), boxes, np.array([1.0, 0.1]), np.eye(3), np.zeros((0, 2)), np.zeros(0, bool)
    )
    found = Found(np.concatenate([boxes, boxes]), np.array([0.9, 0.8, 0.7, 0.6]), np.zeros(4, int))
    tallies = [score.Tally()]
    score.tally(tallies, found, truth, threshold=0.5)
    assert tallies[0].wanted == 1
    assert tallies[0].hits == [True, False]
