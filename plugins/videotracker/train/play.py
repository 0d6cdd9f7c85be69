"""A game without rules: who is where at a time. Every motion is a closed form, so any moment can be asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import pitch

Floats = NDArray[np.float64]
CLASSES = ("player", "ball", "referee")
PLAYER, BALL, REFEREE = range(3)
BALL_RADIUS = 0.22  # twice the real one: half a pixel more, in pictures this small


@dataclass(frozen=True)
class Wander:
    """A smooth walk around nothing: three slow sines on each axis."""

    reach: Floats
    pace: Floats
    phase: Floats

    @classmethod
    def random(cls, rng: np.random.Generator, reach: float) -> Wander:
        """A walk that stays within about `reach` metres and rarely passes 6 m/s."""
        amplitudes = rng.uniform(0.3, 1.0, (3, 2)) * reach / np.array([[1.5], [2.5], [6.0]])
        pace = rng.uniform(0.6, 1.3, (3, 2)) * np.array([[0.35], [0.8], [1.7]])
        return cls(amplitudes, pace, rng.uniform(0, 2 * np.pi, (3, 2)))

    def at(self, seconds: float) -> tuple[Floats, Floats]:
        """Place and velocity at a time."""
        angle = self.pace * seconds + self.phase
        return (self.reach * np.sin(angle)).sum(0), (self.reach * self.pace * np.cos(angle)).sum(0)


@dataclass(frozen=True)
class Person:
    """A player or referee: home, ways, and looks (colours from 0 to 1: shirt, shorts, socks, skin, hair)."""

    kind: int
    home: Floats
    ways: tuple[Wander, ...]
    height: float
    stride_phase: float
    colours: Floats

    def at(self, seconds: float) -> tuple[Floats, Floats]:
        """Place on the ground and velocity at a time."""
        moves = [way.at(seconds) for way in self.ways]
        place = self.home + sum((move[0] for move in moves), np.zeros(2))
        return place, sum((move[1] for move in moves), np.zeros(2))


@dataclass(frozen=True)
class Pass:
    """The ball goes from one person's feet to another's."""

    start: float
    end: float
    giver: int
    taker: int
    height: float


@dataclass(frozen=True)
class Play:
    """All persons, the passes of the ball, and where spare balls lie (for training: one ball a picture is too few)."""

    people: list[Person]
    passes: list[Pass]
    spare: list[Floats]

    def ball(self, seconds: float) -> Floats:
        """The ball's centre in metres: x, y, z."""
        current = next((p for p in self.passes if seconds < p.end), self.passes[-1])
        share = float(np.clip((seconds - current.start) / (current.end - current.start), 0, 1))
        origin = self._feet(current.giver, min(seconds, current.start))
        target = self._feet(current.taker, current.end)
        place = origin + (target - origin) * share
        return np.array([*place, BALL_RADIUS + current.height * 4 * share * (1 - share)])

    def _feet(self, person: int, seconds: float) -> Floats:
        place, velocity = self.people[person].at(seconds)
        return place + np.array([0.5, 0.35]) * np.sign(velocity + 1e-9)


def _kit(rng: np.random.Generator) -> Floats:
    """Shirt, shorts and socks: nothing as green as grass, nothing as dark as a referee."""
    while True:
        shirt = rng.uniform(0.1, 1.0, 3)
        green = shirt[1] - max(shirt[0], shirt[2])
        if shirt.max() > 0.55 and green < 0.15:
            break
    shorts = shirt if rng.random() < 0.4 else np.full(3, rng.choice([0.95, 0.25])) * rng.uniform(0.8, 1, 3)
    return np.stack([shirt, shorts, shirt if rng.random() < 0.6 else shorts])


def _looks(rng: np.random.Generator, kit: Floats) -> Floats:
    skin = np.array([0.85, 0.65, 0.5]) * rng.uniform(0.4, 1.1)
    return np.clip(np.concatenate([kit, skin[None], rng.uniform(0.05, 0.4, (1, 3))]), 0, 1)


def _person(rng: np.random.Generator, kind: int, home: Floats, kit: Floats, ways: tuple[Wander, ...]) -> Person:
    home = np.clip(home, [1.0, 1.5], [pitch.LENGTH - 1, pitch.WIDTH - 1.5])
    return Person(kind, home, ways, rng.uniform(1.7, 1.98), rng.uniform(0, 2 * np.pi), _looks(rng, kit))


def _teams(rng: np.random.Generator, centre: Floats, spread: Floats) -> list[Person]:
    """Ten against ten round `centre`; some of the second team mark a man, close enough to touch him."""
    kits = [_kit(rng), _kit(rng)]
    while np.abs(kits[0][0] - kits[1][0]).sum() < 0.7:
        kits[1] = _kit(rng)
    first = [
        _person(rng, PLAYER, centre + rng.uniform(-spread, spread), kits[0], (Wander.random(rng, 5.0),))
        for _ in range(10)
    ]
    second = []
    for rival in first:
        if rng.random() < 0.4:
            near = rival.home + rng.normal(0, 1.2, 2)
            second.append(_person(rng, PLAYER, near, kits[1], (*rival.ways, Wander.random(rng, 0.9))))
        else:
            home = centre + rng.uniform(-spread, spread)
            second.append(_person(rng, PLAYER, home, kits[1], (Wander.random(rng, 5.0),)))
    return first + second


def _passes(rng: np.random.Generator, people: int, seconds: float) -> list[Pass]:
    passes: list[Pass] = []
    now, holder = rng.uniform(-1.0, 0.5), int(rng.integers(people))
    while now < seconds or not passes:
        taker = int((holder + rng.integers(1, people)) % people)
        start, length = now + rng.uniform(0.3, 1.4), rng.uniform(0.8, 1.6)
        height = rng.uniform(0.5, 4.0) if rng.random() < 0.4 else 0.0
        passes.append(Pass(start, start + length, holder, taker, height))
        now, holder = start + length, taker
    return passes


def random_play(rng: np.random.Generator, centre: Floats, seconds: float = 0.0, spare_balls: int = 0) -> Play:
    """A play round `centre` that lasts `seconds`: two teams, two goalkeepers, a referee and the ball."""
    spread = np.array([rng.uniform(12, 26), rng.uniform(8, 22)])
    people = _teams(rng, centre, spread)
    for x in (3.0, pitch.LENGTH - 3.0):
        home = np.array([x, pitch.WIDTH / 2]) + rng.normal(0, 1.5, 2)
        people.append(_person(rng, PLAYER, home, _kit(rng), (Wander.random(rng, 1.5),)))
    black = np.full((3, 3), rng.uniform(0.03, 0.1))
    home = centre + rng.uniform(-0.6, 0.6, 2) * spread
    people.append(_person(rng, REFEREE, home, black, (Wander.random(rng, 4.0),)))
    passes = _passes(rng, 20, seconds)
    return Play(people, passes, [_spare(rng, people) for _ in range(spare_balls)])


def _spare(rng: np.random.Generator, people: list[Person]) -> Floats:
    """Somewhere near somebody, mostly on the ground."""
    place = people[int(rng.integers(len(people)))].at(0.0)[0] + rng.normal(0, rng.choice([0.6, 6.0]), 2)
    return np.array([*place, BALL_RADIUS + max(0.0, rng.uniform(-4, 3))])
