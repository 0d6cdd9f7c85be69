"""Draws what moves: people as capsules between joints, the ball, goal frames and shadows, far ones first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import pitch
from .camera import Camera
from .play import BALL, BALL_RADIUS, Person, Play

Floats = NDArray[np.float64]
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Capsule:
    """A line with round ends in the picture."""

    ends: Floats
    radius: float
    colour: Floats


@dataclass(frozen=True)
class Figure:
    """Something that hides what is behind it; `identity` is -1 for what is not to be found."""

    identity: int
    kind: int
    depth: float
    capsules: list[Capsule]

    @property
    def box(self) -> Floats:
        """Left, top, right, bottom of the whole figure in pixels."""
        low = np.min([c.ends.min(0) - c.radius for c in self.capsules], 0)
        high = np.max([c.ends.max(0) + c.radius for c in self.capsules], 0)
        return np.concatenate([low, high])


def cover(shape: tuple[int, ...], capsule: Capsule, softness: float = 1.0) -> tuple[tuple[slice, slice], Image] | None:
    """The part of the picture that a capsule touches, and how much of each of its pixels."""
    margin = capsule.radius + softness
    low = np.maximum(np.floor(capsule.ends.min(0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(capsule.ends.max(0) + margin), [shape[1], shape[0]]).astype(int)
    if (high <= low).any():
        return None
    columns = np.arange(low[0], high[0], dtype=np.float32)[None, :] + 0.5
    rows = np.arange(low[1], high[1], dtype=np.float32)[:, None] + 0.5
    (x0, y0), (x1, y1) = capsule.ends
    dx, dy = x1 - x0, y1 - y0
    along = np.clip(((columns - x0) * dx + (rows - y0) * dy) / (dx * dx + dy * dy + 1e-6), 0, 1)
    distance = np.hypot(columns - x0 - along * dx, rows - y0 - along * dy)
    alpha = np.clip((capsule.radius - distance) / softness + 0.5, 0, 1).astype(np.float32)
    return (slice(low[1], high[1]), slice(low[0], high[0])), alpha


# Limbs: from joint, to joint, radius in metres, index of the colour. Far limbs come first.
_LIMBS = [
    ("hip", "knee_0", 0.10, 1), ("knee_0", "foot_0", 0.07, 2),
    ("hip", "knee_1", 0.10, 1), ("knee_1", "foot_1", 0.07, 2),
    ("shoulder", "hand_0", 0.06, 3), ("waist", "shoulder", 0.21, 0), ("hip", "waist", 0.19, 1),
    ("shoulder", "hand_1", 0.06, 3), ("neck", "head", 0.12, 3), ("head", "crown", 0.12, 4),
]  # fmt: skip


def _joints(person: Person, seconds: float) -> tuple[dict[str, Floats], Floats]:
    """Joints in metres and the place on the ground; legs and arms swing with the way that was run."""
    place, velocity = person.at(seconds)
    speed = float(np.hypot(*velocity))
    heading = velocity / (speed + 1e-6)
    swing = min(speed / 4, 1.0) * 0.42 * np.sin(person.stride_phase + 9.0 * seconds)
    lift = 0.12 * min(speed / 4, 1.0) * np.cos(person.stride_phase + 9.0 * seconds)
    size = person.height / 1.82

    def joint(ahead: float, aside: float, up: float) -> Floats:
        side = np.array([-heading[1], heading[0]])
        return np.array([*(place + heading * ahead * size + side * aside * size), max(up * size, 0.05)])

    joints = {"hip": joint(0, 0, 0.88), "waist": joint(0, 0, 1.02), "shoulder": joint(0.04, 0, 1.36)}
    joints |= {"neck": joint(0.06, 0, 1.58), "head": joint(0.06, 0, 1.64), "crown": joint(0.05, 0, 1.70)}
    for number, side in ((0, -1), (1, 1)):
        ahead = swing * side
        joints[f"knee_{number}"] = joint(0.6 * ahead + 0.05, 0.1 * side, 0.48)
        joints[f"foot_{number}"] = joint(ahead, 0.12 * side, 0.07 + max(lift * side, 0))
        joints[f"hand_{number}"] = joint(-0.8 * ahead, 0.32 * side, 0.92)
    return joints, place


def _person(identity: int, person: Person, seconds: float, camera: Camera) -> Figure:
    joints, place = _joints(person, seconds)
    pixels = dict(zip(joints, camera.project(np.stack(list(joints.values()))), strict=True))
    scale = float(camera.scale(place[None])[0])
    capsules = [
        Capsule(np.stack([pixels[a], pixels[b]]), max(radius * scale, 0.5), person.colours[colour])
        for a, b, radius, colour in _LIMBS
    ]
    return Figure(identity, person.kind, 1 / scale, capsules)


def _ball(identity: int, place: Floats, seconds: float, camera: Camera) -> Figure:
    scale = float(camera.scale(place[None, :2])[0])
    centre = camera.project(place[None])[0]
    radius = BALL_RADIUS * scale
    turn = 7.0 * seconds + place[0]
    spot = centre + 0.5 * radius * np.array([np.cos(turn), np.sin(turn)])
    white = Capsule(np.stack([centre, centre]), radius, np.full(3, 0.97))
    dark = Capsule(np.stack([spot, spot]), 0.28 * radius, np.full(3, 0.3))
    return Figure(identity, BALL, 1 / scale, [white, dark])


def _goals(camera: Camera) -> list[Figure]:
    figures = []
    for x in (0.0, pitch.LENGTH):
        far, near = pitch.WIDTH / 2 - pitch.GOAL_HALF, pitch.WIDTH / 2 + pitch.GOAL_HALF
        corners = [(x, far, 0.0), (x, far, pitch.GOAL_HEIGHT), (x, near, pitch.GOAL_HEIGHT), (x, near, 0.0)]
        pixels = camera.project(np.array(corners))
        scale = float(camera.scale(np.array([[x, pitch.WIDTH / 2]]))[0])
        capsules = [Capsule(pixels[i : i + 2], max(0.08 * scale, 0.5), np.full(3, 0.95)) for i in range(3)]
        figures.append(Figure(-1, -1, 1 / scale, capsules))
    return figures


def figures(play: Play, seconds: float, camera: Camera) -> list[Figure]:
    """Everything of a moment, far ones first; balls have the identities after the last person's."""
    people = [_person(i, person, seconds, camera) for i, person in enumerate(play.people)]
    places = [play.ball(seconds), *play.spare]
    balls = [_ball(len(people) + i, place, seconds, camera) for i, place in enumerate(places)]
    return sorted([*people, *balls, *_goals(camera)], key=lambda figure: -figure.depth)


def shade(image: Image, play: Play, seconds: float, camera: Camera, light: Floats) -> None:
    """Darken the ground away from the light: `light` is the way of a shadow in metres for a man's height."""
    places = [(person.at(seconds)[0], 0.24, light) for person in play.people]
    for ball in (play.ball(seconds), *play.spare):
        places.append((ball[:2] + light * ball[2] / 1.8, BALL_RADIUS, light * 0))
    for place, radius, way in places:
        ends = camera.project(np.array([[*place, 0.0], [*(place + way), 0.0]]))
        scale = float(camera.scale(place[None])[0])
        part = cover(image.shape, Capsule(ends, 0.55 * radius * scale, np.zeros(3)), softness=2.0)
        if part is not None:
            image[part[0]] *= 1 - 0.4 * part[1][..., None]


def draw(image: Image, owners: NDArray[np.int16], figure: Figure) -> int:
    """Paint a figure; `owners` learns whose each pixel now is. The number of its pixels inside the picture."""
    mine = np.zeros(owners.shape, bool)
    for capsule in figure.capsules:
        part = cover(image.shape, capsule)
        if part is None:
            continue
        window, alpha = part
        columns = np.arange(window[1].start, window[1].stop) + 0.5 - capsule.ends[:, 0].mean()
        lit = 1 + 0.2 * np.clip(columns / capsule.radius, -1, 1)[None, :, None]
        colour = np.clip(capsule.colour * lit, 0, 1)
        image[window] = image[window] * (1 - alpha[..., None]) + colour * alpha[..., None]
        mine[window] |= alpha > 0.5
    owners[mine] = figure.identity
    return int(mine.sum())
