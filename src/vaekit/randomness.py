"""A random stream of one's own: torch has one per device, and whoever seeds it seeds it for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def own_stream(device: torch.device | str = "cpu", seed: int | None = None) -> Iterator[None]:
    """Draw from a stream of one's own; afterwards the caller's is as it was.

    Args:
        device: whose stream is kept and seeded beside the CPU's.
        seed: of the stream; None goes on where the caller's is.
    """
    where = torch.device(device)
    cuda: list[int] = []
    if where.type == "cuda":
        cuda = [torch.cuda.current_device() if where.index is None else where.index]
    with torch.random.fork_rng(devices=cuda):
        if seed is not None:
            # `torch.manual_seed` would also seed devices whose state is not kept here
            torch.default_generator.manual_seed(seed)
            for index in cuda:
                torch.cuda.default_generators[index].manual_seed(seed)
        yield


@contextmanager
def quiet(model: nn.Module, device: torch.device | str, seed: int) -> Iterator[None]:
    """Eval mode on a stream of one's own; the mode of every module and the streams are put back."""
    modes = {module: module.training for module in model.modules()}
    with own_stream(device, seed):
        model.eval()
        try:
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode
