"""The training loop of both networks: Adam, a rate that rises and falls, and the running mean of the weights."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

log = logging.getLogger(__name__)

Batch = tuple[Tensor, ...]


def repeatable(seed: int, threads: int = 2) -> None:
    """The same machine, torch and number of threads then give the same bytes; another machine, nearly the same."""
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=True)


def fit(
    network: nn.Module,
    batch: Callable[[int], Batch],
    loss: Callable[[nn.Module, Batch], Tensor],
    steps: int,
    rate: float,
) -> nn.Module:
    """Train for `steps` batches; the network with the mean of the latest weights."""
    begun = time.monotonic()
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.15)
    mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.995), use_buffers=True)
    network.train()
    recent = 0.0
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        value = loss(network, batch(step))
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        mean.update_parameters(network)
        recent = value.item() if step == 0 else 0.98 * recent + 0.02 * value.item()
        if step % 50 == 0 or step == steps - 1:
            log.info("step %d of %d: loss %.4f, %.0f s", step, steps, recent, time.monotonic() - begun)
    trained = mean.module
    assert isinstance(trained, nn.Module)  # noqa: S101 - for the type checker
    return trained.eval()


def as_input(images: Tensor) -> Tensor:
    """Bytes [n, h, w, 3] as the networks want them: [n, 3, h, w] from 0 to 1."""
    return images.permute(0, 3, 1, 2).float().div_(255).contiguous()
