"""Priors over a latent vector. They take and ignore a context, so that any of them serves any model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.conditionals.parts import Shape
from vaekit.distributions import DiagonalNormal, Mixture, StandardNormal


class StandardGaussian(nn.Module):
    """p(z) = N(0, I)."""

    def __init__(self, event: Shape) -> None:
        super().__init__()
        self.event = tuple(event)
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self.like: Tensor

    def forward(self, *context: Tensor) -> StandardNormal:
        """A distribution without batch axes."""
        return StandardNormal(self.event, self.like)


class LearnedGaussian(nn.Module):
    """p(z) = N(m, diag(s^2)) with m and ln s learned; it starts at N(0, I)."""

    def __init__(self, event: Shape) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(*event))
        self.log_std = nn.Parameter(torch.zeros(*event))

    def forward(self, *context: Tensor) -> DiagonalNormal:
        """A distribution without batch axes."""
        return DiagonalNormal(self.mean, self.log_std, self.mean.dim())


class GaussianMixture(nn.Module):
    """p(z) = sum_k w_k N(m_k, diag(s_k^2)), all learned.

    It starts with equal weights, unit scales and means drawn from N(0, I).

    Args:
        event: (n,).
        components: K.
    """

    def __init__(self, event: Shape, components: int = 10) -> None:
        super().__init__()
        if components < 1:
            raise ValueError(f"`components` is {components}; expected at least 1")
        self.weights = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.randn(components, *event))
        self.log_stds = nn.Parameter(torch.zeros(components, *event))

    def forward(self, *context: Tensor) -> Mixture:
        """A distribution without batch axes."""
        return Mixture(self.weights.log_softmax(0), DiagonalNormal(self.means, self.log_stds))
