"""Networks that work on standardised pictures, while everybody else sees the values as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn


@final
class Standardised(nn.Module):
    """A network whose first input is a picture: (x - mean) / std of each channel is what it sees.

    Args:
        network: takes pictures (*lead, C, height, width), and perhaps further inputs.
        mean, std: one number for all channels, or one each.
    """

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        _keep(self, mean, std)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, picture: Tensor, *rest: Tensor) -> Tensor:
        """As the network."""
        return self.network((picture - self.mean) / self.std, *rest)  # type: ignore[no-any-return]


@final
class Restored(nn.Module):
    """A network that makes pictures: mean + std times what it says of each channel.

    Args:
        network: makes (*lead, C, height, width).
        mean, std: one number for all channels, or one each.
    """

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        _keep(self, mean, std)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, *inputs: Tensor) -> Tensor:
        """(*lead, C, height, width)."""
        return torch.addcmul(self.mean, self.std, self.network(*inputs))


def _keep(module: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
    """Constants of the channels, as buffers (channels or 1, 1, 1)."""
    for name, values in (("mean", mean), ("std", std)):
        module.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
