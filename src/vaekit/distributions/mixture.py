"""A mixture of Gaussians with diagonal covariance."""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.distributions.lean import Lean, SampleShape
from vaekit.distributions.normal import DiagonalNormal


class Mixture(Lean):
    """p(z) = sum_k w_k N(z; m_k, s_k^2): log p(z) = logsumexp_k [ln w_k + log N(z; m_k, s_k^2)].

    Args:
        log_weights: ln w, (K,), normalised.
        components: `DiagonalNormal` with batch shape (K,) and a vector event (n,).
    """

    has_rsample = False

    def __init__(self, log_weights: Tensor, components: DiagonalNormal) -> None:
        super().__init__(1)
        self.log_weights = log_weights
        self.components = components

    @property
    def shape(self) -> torch.Size:
        """(n,)."""
        return self.components.event_shape

    @property
    def mean(self) -> Tensor:
        """sum_k w_k m_k, (n,)."""
        return self.log_weights.exp() @ self.components.loc

    @property
    def variance(self) -> Tensor:
        """sum_k w_k (s_k^2 + m_k^2) - mean^2, (n,)."""
        second = self.components.variance + self.components.loc.square()
        return self.log_weights.exp() @ second - self.mean.square()

    @torch.no_grad()
    def sample(self, sample_shape: SampleShape = ()) -> Tensor:
        """A component at random for every draw, then a draw from it."""
        shape = torch.Size(sample_shape)
        which = torch.multinomial(self.log_weights.exp(), shape.numel(), replacement=True)
        means = self.components.loc[which]
        stds = self.components.stddev[which]
        return (means + stds * torch.randn_like(means)).reshape(self._extended_shape(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample), nats."""
        joint = self.components.log_prob(value.unsqueeze(-2)) + self.log_weights
        return joint.logsumexp(-1)
