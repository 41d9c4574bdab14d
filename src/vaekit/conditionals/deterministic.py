"""A conditional with no noise."""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.conditionals.parts import MakeNetwork, Shape, run
from vaekit.distributions import PointMass


class Deterministic(nn.Module):
    """context -> a point mass: it can be drawn from, and it has no density (`log_prob` raises).

    Args:
        network: builds the network that returns the point, or its logits.
        event: event shape.
        bounded: whether the point is the sigmoid of the network's output, for data in [0, 1].
    """

    def __init__(self, network: MakeNetwork, event: Shape, bounded: bool = False) -> None:
        super().__init__()
        self.event = tuple(event)
        self.bounded = bounded
        self.network = network(self.event)

    def forward(self, *context: Tensor) -> PointMass:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        point = run(self.network, *context)
        return PointMass(point.sigmoid() if self.bounded else point, len(self.event))

    def extra_repr(self) -> str:
        """What the network does not show."""
        return f"bounded={self.bounded}"
