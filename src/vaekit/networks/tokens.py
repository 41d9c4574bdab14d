"""Sequences of tokens as the input of a network."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class Tokens(nn.Module):
    """A network that sees tokens one-hot, side by side.

    Args:
        network: takes (*lead, T * count) and whatever else is known.
        count: number of different tokens.
    """

    def __init__(self, network: nn.Module, count: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("numbers", torch.arange(count), persistent=False)
        self.numbers: Tensor

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Tokens (*lead, T), as numbers of any type -> the network's output."""
        weight = next(self.network.parameters())
        one_hot = (x.unsqueeze(-1) == self.numbers).to(weight.dtype)
        output: Tensor = self.network(one_hot.flatten(-2), *context)
        return output
