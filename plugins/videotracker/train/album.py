"""Renders many stills of the synthetic world at once, on every core."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .world import Truth, still

Still = tuple[NDArray[np.uint8], Truth]

# Which album is for what. Nothing was ever chosen by looking at HELD_OUT.
TRAINING, TUNING, HELD_OUT, FILM = 1, 2, 3, 8


def album(seed: int, count: int, first: int = 0, spare_balls: int = 0, workers: int = 2) -> list[Still]:
    """Stills of the album `seed`: the same ones with any number of workers."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return list(pool.map(partial(still, seed, spare_balls=spare_balls), range(first, first + count), chunksize=16))
