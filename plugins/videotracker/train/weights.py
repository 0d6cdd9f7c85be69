"""What a training leaves behind: the weights, and how they came about."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

FOLDER = Path("target/videotracker")
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Training:
    """How a network was trained, for its card."""

    seed: int
    stills: int
    steps: int
    minutes: float
    threads: int
    torch: str


def train_and_keep(path: Path, seed: int, stills: int, steps: int, train: Callable[[], nn.Module]) -> None:
    """Run `train` and write its weights, with the time it took, rendering included."""
    begun = time.monotonic()
    network = train()
    minutes = round((time.monotonic() - begun) / 60, 1)
    facts = Training(seed, stills, steps, minutes, torch.get_num_threads(), str(torch.__version__))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"weights": network.state_dict(), "training": asdict(facts)}, path)


def load(path: Path, network: Network) -> tuple[Network, Training]:
    """The network with the weights of `path`, ready for use."""
    kept = torch.load(os.fspath(path), weights_only=True)
    network.load_state_dict(kept["weights"])
    network.eval()
    return network, Training(**kept["training"])
