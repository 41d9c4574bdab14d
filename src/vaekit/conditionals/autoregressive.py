"""A discrete density over maps, one position after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit import distributions
from vaekit.checks import whole
from vaekit.conditionals.parts import MakeNetwork, Shape, run


class Autoregressive(nn.Module):
    """context -> p(x) = prod_i p(x_i | x_<i, context) over an event of classes 0 .. K-1.

    Args:
        network: builds a network (x, *context) -> (*lead, *event, K) whose output at i knows x_<i alone, such
            as `networks.PixelCNN`.
        event: event shape of x.
        levels: K.
    """

    def __init__(self, network: MakeNetwork, event: Shape, levels: int) -> None:
        super().__init__()
        self.event = tuple(event)
        self.levels = whole("levels", levels, least=2)
        self.network = network((*self.event, levels))
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self.like: Tensor

    def forward(self, *context: Tensor) -> distributions.Autoregressive:
        """Contexts (B, ...) -> distribution with batch shape (B,); without a context it has no batch axes."""
        lead = torch.Size((len(context[0]),)) if context else torch.Size()
        return distributions.Autoregressive(self._logits, self.event, context, lead, self.like)

    def _logits(self, value: Tensor, *context: Tensor) -> Tensor:
        return run(self.network, value, *context)
