"""A television camera beside the pitch: it pans, tilts and zooms. A pinhole, so homographies are exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import pitch


@dataclass(frozen=True)
class Camera:
    """Where it stands and looks, and the matrix that takes metres (x, y, z up, 1) to pixels."""

    position: NDArray[np.float64]
    matrix: NDArray[np.float64]
    width: int
    height: int

    @property
    def homography(self) -> NDArray[np.float64]:
        """The ground: metres (x, y, 1) to pixels."""
        return self.matrix[:, [0, 1, 3]]

    def project(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Pixels [n, 2] of points in metres [n, 3]; the centre of the first pixel is (0.5, 0.5)."""
        homogeneous = np.concatenate([points, np.ones((len(points), 1))], 1) @ self.matrix.T
        return homogeneous[:, :2] / homogeneous[:, 2:]

    def scale(self, ground: NDArray[np.floating]) -> NDArray[np.float64]:
        """Pixels per metre across the view, at points [n, 2] of the ground."""
        depth = np.concatenate([ground, np.zeros((len(ground), 1)), np.ones((len(ground), 1))], 1) @ self.matrix[2]
        # the first row is focal * right + width / 2 * forward, the third is forward
        across = self.matrix[0, :3] - self.width / 2 * self.matrix[2, :3]
        return np.linalg.norm(across) / depth

    def rays(self) -> NDArray[np.float64]:
        """The direction in metres of the view through the centre of every pixel: [height, width, 3]."""
        columns, rows = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        pixels = np.stack([columns, rows, np.ones_like(rows)], -1)
        return pixels @ np.linalg.inv(self.matrix[:, :3]).T


def aim(
    position: NDArray[np.floating], target: NDArray[np.floating], view: float, roll: float, size: tuple[int, int]
) -> Camera:
    """A camera at `position` that sees about `view` metres across at `target` (a point of the ground)."""
    width, height = size
    eye = np.asarray(position, float)
    forward = np.append(np.asarray(target, float), 0.0) - eye
    distance = float(np.linalg.norm(forward))
    forward /= distance
    right = np.cross(forward, [0.0, 0.0, 1.0])
    # x to the right and y towards the camera make a left-handed ground: seen from this side, right is the other way
    right = -right / np.linalg.norm(right)
    down = np.cross(forward, right)
    down = down if down[2] < 0 else -down
    right, down = np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right
    focal = width * distance / view
    rotation = np.stack([focal * right + width / 2 * forward, focal * down + height / 2 * forward, forward])
    return Camera(eye, np.concatenate([rotation, -(rotation @ eye)[:, None]], 1), width, height)


@dataclass(frozen=True)
class Shot:
    """How the camera moves: where it looks in the middle, how far it pans, how fast, and how much it zooms."""

    position: NDArray[np.float64]
    target: NDArray[np.float64]
    view: float
    roll: float
    pan: float = 0.0
    zoom: float = 0.0
    period: float = 8.0

    def at(self, seconds: float, size: tuple[int, int]) -> Camera:
        """The camera at a time."""
        phase = 2 * np.pi * seconds / self.period
        target = self.target + np.array([self.pan * np.sin(phase), 0.15 * self.pan * np.sin(0.7 * phase)])
        return aim(self.position, target, self.view * (1 + self.zoom * np.sin(0.5 * phase)), self.roll, size)


def random_shot(rng: np.random.Generator) -> Shot:
    """A camera as a stadium may have it: on the near side, 17 to 30 metres up, following play anywhere."""
    middle = pitch.LENGTH / 2
    position = np.array([middle + rng.uniform(-12, 12), pitch.WIDTH + rng.uniform(18, 36), rng.uniform(17, 30)])
    target = np.array([rng.uniform(10, pitch.LENGTH - 10), rng.uniform(22, 48)])
    return Shot(position, target, rng.uniform(28, 50), rng.normal(0, 0.01), pan=rng.uniform(4, 10), zoom=0.08)
