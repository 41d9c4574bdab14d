"""Priors over a latent vector. They take and ignore a context, so that any of them serves any model."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vaekit.conditionals.parts import Shape
from vaekit.distributions import DiagonalNormal, Mixture, StandardNormal, UnitUniform


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


class ScaledGaussian(nn.Module):
    """p(z) = N(0, diag(v)), fixed: variances v from 1 to 2 in equal steps, so that no two are equal.

    No rotation leaves it as it is, only reflections of single latents do: latents have an order and axes.
    """

    def __init__(self, event: Shape) -> None:
        super().__init__()
        if len(event) != 1:
            raise ValueError(f"`event` is {event}; variances differ along a vector: expected (n,)")
        self.register_buffer("mean", torch.zeros(*event), persistent=False)
        self.register_buffer("log_std", 0.5 * torch.linspace(1, 2, *event).log(), persistent=False)
        self.mean: Tensor
        self.log_std: Tensor

    def forward(self, *context: Tensor) -> DiagonalNormal:
        """A distribution without batch axes."""
        return DiagonalNormal(self.mean, self.log_std)


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


class GaussianRing(nn.Module):
    """p(z) = 1/K sum_k N(m_k, diag(s^2)), fixed: K islands on a ring in the plane of the first two latents.

    The other latents have mean 0 and scale 1.

    Args:
        event: (n,), n >= 2.
        components: K.
        radius: of the ring.
        scale: s of the first two latents.
    """

    def __init__(self, event: Shape, components: int = 10, radius: float = 4.0, scale: float = 0.5) -> None:
        super().__init__()
        if len(event) != 1 or event[0] < 2:
            raise ValueError(f"`event` is {event}; a ring lies in a plane, so expected (n,) with n >= 2")
        angles = 2 * math.pi * torch.arange(components) / components
        means, log_stds = torch.zeros(components, *event), torch.zeros(components, *event)
        means[:, :2] = radius * torch.stack([angles.cos(), angles.sin()], 1)
        log_stds[:, :2] = math.log(scale)
        self.register_buffer("weights", torch.full((components,), -math.log(components)), persistent=False)
        self.register_buffer("means", means, persistent=False)
        self.register_buffer("log_stds", log_stds, persistent=False)
        self.weights: Tensor
        self.means: Tensor
        self.log_stds: Tensor

    def forward(self, *context: Tensor) -> Mixture:
        """A distribution without batch axes."""
        return Mixture(self.weights, DiagonalNormal(self.means, self.log_stds))


class UnitCube(nn.Module):
    """p(z) = 1 on [0, 1]^n: for codes that lie there, such as sigmoids."""

    def __init__(self, event: Shape) -> None:
        super().__init__()
        self.event = tuple(event)
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self.like: Tensor

    def forward(self, *context: Tensor) -> UnitUniform:
        """A distribution without batch axes."""
        return UnitUniform(self.event, self.like)
