"""Colours of what does not move: mown grass, lines, and the boards and stand behind the far touchline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import pitch
from .camera import Camera

Image = NDArray[np.float32]
WALL = -5.0  # the boards stand 5 metres behind the far touchline
_MARGIN = 4.0


def _line(distance: Image, footprint: Image) -> Image:
    """How much of a pixel, `footprint` metres wide, a line covers that passes at `distance` metres."""
    half = pitch.LINE / 2
    inside = np.minimum(distance + footprint / 2, half) - np.maximum(distance - footprint / 2, -half)
    return np.clip(inside, 0, None) / footprint


def _steps(values: Image) -> Image:
    """By how much `values` changes from one pixel to the next."""
    down, across = np.gradient(values)
    return np.hypot(down, across) + 1e-6


def lines(x: Image, y: Image) -> Image:
    """How white every pixel is, whose centre sees the ground at x, y metres."""
    step_x, step_y = _steps(x), _steps(y)
    cover = np.zeros_like(x)
    left, right, far, near = x.min(), x.max(), y.min(), y.max()
    for (x0, y0), (x1, y1) in pitch.SEGMENTS:
        (low_x, high_x), (low_y, high_y) = sorted((x0, x1)), sorted((y0, y1))
        if low_x > right or high_x < left or low_y > near or high_y < far:
            continue
        if x0 == x1:
            within = (y > low_y - 0.1) & (y < high_y + 0.1)
            line = _line(np.abs(x - x0), step_x)
        else:
            within = (x > low_x - 0.1) & (x < high_x + 0.1)
            line = _line(np.abs(y - y0), step_y)
        np.maximum(cover, line * within, out=cover)
    for arc in pitch.ARCS:
        if not left - arc.radius < arc.centre[0] < right + arc.radius:
            continue
        dx, dy = x - arc.centre[0], y - arc.centre[1]
        radius = np.hypot(dx, dy) + 1e-6
        line = _line(np.abs(radius - arc.radius), np.hypot(dx * step_x, dy * step_y) / radius + 1e-6)
        if arc.beyond is not None:
            line = line * ((x < arc.beyond) if arc.leftwards else (x > arc.beyond))
        np.maximum(cover, line, out=cover)
    for spot in pitch.SPOTS:
        distance = np.hypot((x - spot[0]) / step_x, (y - spot[1]) / step_y)
        np.maximum(cover, np.clip(pitch.LINE / step_x - distance + 0.5, 0, 1), out=cover)
    return cover


class Surroundings:
    """The look of one stadium: colours that stay as the camera moves."""

    def __init__(self, rng: np.random.Generator) -> None:
        """A random look."""
        self.grass = np.array([0.22, 0.45, 0.18]) * rng.uniform(0.75, 1.25) * rng.uniform(0.9, 1.1, 3)
        self.stripes, self.stripe_width = rng.uniform(0.02, 0.12), rng.choice([4.2, 5.25, 7.0])
        self.waves = rng.uniform(0.05, 0.6, (4, 2)) * rng.choice([-1, 1], (4, 2))
        self.whiteness = rng.uniform(0.75, 0.97)
        self.boards = rng.uniform(0.0, 1.0, (64, 3))
        self.crowd = (rng.uniform(0.05, 0.6, (4096, 3)) * rng.uniform(0.3, 1.0)).astype(np.float32)

    def paint(self, camera: Camera) -> Image:
        """What the camera sees without people: [height, width, 3], 0 to 1."""
        rays, eye = camera.rays(), camera.position
        to_wall = (WALL - eye[1]) / np.minimum(rays[..., 1], -1e-6)
        to_ground = -eye[2] / np.minimum(rays[..., 2], -1e-6)
        behind = to_wall < to_ground
        x = (eye[0] + to_ground * rays[..., 0]).astype(np.float32)
        y = (eye[1] + to_ground * rays[..., 1]).astype(np.float32)
        x, y = np.where(behind, pitch.LENGTH / 2, x), np.where(behind, WALL, y)
        image = self._grass(x, y)
        across = (eye[0] + to_wall * rays[..., 0])[behind]
        image[behind] = self._wall(across, (eye[2] + to_wall * rays[..., 2])[behind])
        return image

    def _grass(self, x: Image, y: Image) -> Image:
        tone = 1 + self.stripes * np.clip(4 * np.sin(np.pi * x / self.stripe_width), -1, 1)
        for wave_x, wave_y in self.waves:
            tone = tone + 0.015 * np.sin(wave_x * x + wave_y * y)
        off = (x < -_MARGIN) | (x > pitch.LENGTH + _MARGIN) | (y > pitch.WIDTH + _MARGIN)
        tone = np.where(off, 0.7, tone)
        white = (lines(x, y) * self.whiteness)[..., None]
        colour = tone[..., None] * self.grass.astype(np.float32)
        return (colour * (1 - white) + white).astype(np.float32)

    def _wall(self, across: NDArray[np.float64], up: NDArray[np.float64]) -> Image:
        seat = (np.floor(across * 1.6).astype(int) * 7919 + np.floor(up * 1.6).astype(int) * 104729) % len(self.crowd)
        panel = np.floor(across / 6).astype(int) % len(self.boards)
        letters = (np.floor(across * 1.2).astype(int) * 2654435761 >> 4) % 3 == 0
        colour = self.boards[panel]
        colour = np.where(((up > 0.3) & (up < 0.7) & letters)[:, None], 1 - colour, colour)
        return np.where((up < 1.0)[:, None], colour, self.crowd[seat]).astype(np.float32)
