"""One density for every place of a leading axis."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.distributions.lean import Lean, SampleShape


class Repeated(Lean):
    """A distribution that does not depend on a leading axis, such as that of draws: computed once, repeated.

    Args:
        of: the distribution.
        lead: the batch shape that it is seen with, to which its own broadcasts.
    """

    def __init__(self, of: Distribution, lead: tuple[int, ...]) -> None:
        super().__init__(len(of.event_shape))
        self.of = of
        self.lead = torch.Size(lead)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]  # torch declares it as a plain class attribute
        """As the distribution itself."""
        return self.of.has_rsample

    @property
    def shape(self) -> torch.Size:
        """(*lead, *event)."""
        return self.lead + self.of.event_shape

    @property
    def mean(self) -> Tensor:
        """That of the distribution, at every place."""
        return self.of.mean.expand(self.shape)

    @torch.no_grad()
    def sample(self, sample_shape: SampleShape = ()) -> Tensor:
        """Independent draws for every place."""
        places = self.lead[: len(self.lead) - len(self.of.batch_shape)]
        return self.of.sample(torch.Size(sample_shape) + places)

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *lead), nats."""
        found = self.of.log_prob(value)
        return found.expand(torch.broadcast_shapes(found.shape, self.lead))
