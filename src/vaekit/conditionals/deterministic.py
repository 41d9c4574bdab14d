"""A conditional with no noise."""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.conditionals.parts import MakeNetwork, Shape, run
from vaekit.distributions import PointMass


class Deterministic(nn.Module):
    """context -> a point mass: it can be drawn from, and it has no density (`log_prob` raises)."""

    def __init__(self, network: MakeNetwork, event: Shape) -> None:
        super().__init__()
        self.event = tuple(event)
        self.network = network(self.event)

    def forward(self, *context: Tensor) -> PointMass:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        return PointMass(run(self.network, *context), len(self.event))
