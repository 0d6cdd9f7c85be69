"""Frames of the synthetic world with everything that is true about them. The same seed gives the same frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from . import figures, pitch
from .camera import Camera, Shot, random_shot
from .ground import Surroundings
from .play import Play, random_play
from .spoil import Spoil

SIZE = (512, 288)  # width, height
POINTS = np.array(list(pitch.KEYPOINTS.values()))


@dataclass(frozen=True)
class Truth:
    """What is true about a frame. Boxes are left, top, right, bottom in pixels, cut at the picture's edge.

    `visible` says how much of a figure is seen: the share that is inside the picture and behind nobody.
    `keypoints` are pixels, also of points outside the picture; `inside` tells those that are in it.
    """

    identities: NDArray[np.int64]
    classes: NDArray[np.int64]
    boxes: NDArray[np.float64]
    visible: NDArray[np.float64]
    homography: NDArray[np.float64]
    keypoints: NDArray[np.float64]
    inside: NDArray[np.bool_]


@dataclass(frozen=True)
class Scene:
    """A stadium, a camera and a play: everything but the moment."""

    surroundings: Surroundings
    shot: Shot
    play: Play
    light: NDArray[np.float64]
    spoil: Spoil
    banner: tuple[int, int, int, int] | None

    @classmethod
    def random(cls, rng: np.random.Generator, seconds: float = 0.0, spare_balls: int = 0) -> Scene:
        """Any scene, good for `seconds`."""
        shot = random_shot(rng)
        play = random_play(rng, shot.target, seconds, spare_balls)
        angle = rng.uniform(0, 2 * np.pi)
        light = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(0.2, 1.8)
        banner = None
        if rng.random() < 0.3:
            left, top = int(rng.integers(4, SIZE[0] - 150)), int(rng.choice([8, SIZE[1] - 40]))
            banner = (left, top, left + int(rng.integers(60, 140)), top + int(rng.integers(14, 28)))
        return cls(Surroundings(rng), shot, play, light, Spoil.random(rng), banner)

    def frame(self, seconds: float, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Truth]:
        """The picture of a moment [height, width, 3] RGB; `rng` makes the noise."""
        camera = self.shot.at(seconds, SIZE)
        image = self.surroundings.paint(camera)
        figures.shade(image, self.play, seconds, camera, self.light)
        owners = np.full(image.shape[:2], -1, np.int16)
        found = figures.figures(self.play, seconds, camera)
        pixels = {figure.identity: figures.draw(image, owners, figure) for figure in found}
        if self.banner is not None:
            left, top, right, bottom = self.banner
            image[top:bottom, left:right] = 0.15
            image[top + 4 : bottom - 4, left + 6 : right - 6 : 5] = 0.95
            owners[top:bottom, left:right] = -1
        objects = [figure for figure in found if figure.identity >= 0 and pixels[figure.identity] > 0]
        objects.sort(key=lambda figure: figure.identity)
        return self.spoil.apply(image, rng), _truth(objects, pixels, owners, camera)


def _truth(objects: list[figures.Figure], pixels: dict[int, int], owners: NDArray[np.int16], camera: Camera) -> Truth:
    edge = np.array([camera.width, camera.height, camera.width, camera.height], float)
    whole = np.array([figure.box for figure in objects]).reshape(-1, 4)
    boxes = np.clip(whole, 0, edge)
    identities = np.array([figure.identity for figure in objects], np.int64)
    seen = np.array([(owners == identity).sum() / pixels[identity] for identity in identities])
    inside = np.prod(boxes[:, 2:] - boxes[:, :2], 1) / np.prod(whole[:, 2:] - whole[:, :2], 1)
    keypoints = camera.project(np.concatenate([POINTS, np.zeros((len(POINTS), 1))], 1))
    return Truth(
        identities=identities,
        classes=np.array([figure.kind for figure in objects], np.int64),
        boxes=boxes,
        visible=seen * inside,
        homography=camera.homography,
        keypoints=keypoints,
        inside=np.all((keypoints >= 0) & (keypoints < edge[:2]), axis=1),
    )


def still(seed: int, number: int, spare_balls: int = 0) -> tuple[NDArray[np.uint8], Truth]:
    """Frame `number` of an endless album: each of another scene."""
    rng = np.random.default_rng([seed, number])
    scene = Scene.random(rng, spare_balls=spare_balls)
    return scene.frame(0.0, rng)


def film(seed: int, seconds: float, rate: float) -> Iterator[tuple[NDArray[np.uint8], Truth]]:
    """The frames of one scene in order, taken with a good camera (the encoder will do its own harm)."""
    rng = np.random.default_rng([seed])
    scene = Scene.random(rng, seconds)
    scene = replace(scene, spoil=Spoil(blur=0.45, gain=1.05, tint=np.ones(3), noise=0.004, blocks=0.0), banner=None)
    for number in range(round(seconds * rate)):
        yield scene.frame(number / rate, rng)
