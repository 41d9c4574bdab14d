"""Conditionals that nobody trains: one that was trained before, and one that there is nothing to learn of."""

from __future__ import annotations

from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.conditionals.parts import Shape
from vaekit.distributions import DiagonalNormal


class Frozen(nn.Module):
    """A conditional as an earlier training left it: its weights do not move, and it stays in eval mode.

    Gradients pass through it to its context. In eval mode normalisation takes the averages of that training,
    which do not move either.

    Args:
        conditional: any.
    """

    def __init__(self, conditional: nn.Module) -> None:
        super().__init__()
        self.conditional = conditional.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, whatever is asked for."""
        return super().train(False)

    def forward(self, *context: Tensor) -> Distribution:
        """As the conditional."""
        return cast(Distribution, self.conditional(*context))


class Uninferred(nn.Module):
    """q(s|x) = N(0, I) for every x: noise that is beside the data, and that nobody infers from them.

    Args:
        event: (n,).
        data: event shape of x, which says where its leading axes end.
    """

    def __init__(self, event: Shape, data: Shape) -> None:
        super().__init__()
        self.event, self.axes = tuple(event), len(data)

    def forward(self, *context: Tensor) -> DiagonalNormal:
        """Of x (*lead, *data), whose values are not looked at: batch shape (*lead)."""
        x = context[0]
        lead = x.shape[: x.dim() - self.axes]
        zeros = torch.zeros(*lead, *self.event, dtype=x.dtype, device=x.device)
        return DiagonalNormal(zeros, zeros, len(self.event))
