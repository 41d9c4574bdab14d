"""The uniform density on the unit cube."""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.distributions.lean import Lean, SampleShape


class UnitUniform(Lean):
    """p(z) = 1 on [0, 1]^n, with no batch axes; it broadcasts against any.

    Args:
        event_shape: shape of one draw.
        like: a tensor whose dtype and device the draws take.
    """

    def __init__(self, event_shape: tuple[int, ...], like: Tensor) -> None:
        super().__init__(len(event_shape))
        self._shape = torch.Size(event_shape)
        self.like = like

    @property
    def shape(self) -> torch.Size:
        """The event shape: there are no batch axes."""
        return self._shape

    @property
    def mean(self) -> Tensor:
        """One half everywhere."""
        return self.like.new_full(self._shape, 0.5)

    @property
    def variance(self) -> Tensor:
        """One twelfth everywhere."""
        return self.like.new_full(self._shape, 1 / 12)

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """Independent numbers between 0 and 1."""
        return torch.rand(self._extended_shape(sample_shape), dtype=self.like.dtype, device=self.like.device)

    def log_prob(self, value: Tensor) -> Tensor:
        """0 inside of the cube, minus infinity outside: (*sample), nats."""
        inside = (value >= 0) & (value <= 1)
        return torch.where(inside, 0.0, -torch.inf).to(value.dtype).flatten(-self.event_dims).sum(-1)
