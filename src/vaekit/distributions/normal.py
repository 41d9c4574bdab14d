"""Gaussians with a diagonal covariance, and the point mass as their limit."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import register_kl
from torch.nn import functional

from vaekit.distributions.lean import Lean, SampleShape, Symmetric, squared_distance, sum_event
from vaekit.errors import UnsupportedError

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class DiagonalNormal(Symmetric):
    """N(x; mean, diag(exp(log_std))^2).

    log p(x) = sum_d [ -1/2 ((x_d - mean_d) / s_d)^2 - ln s_d - 1/2 ln 2pi ],  s = exp(log_std).

    Args:
        mean: (*batch, *event).
        log_std: natural log of the standard deviation, broadcastable to `mean`.
        event_dims: number of event axes at the end of `mean`.
    """

    def __init__(self, mean: Tensor, log_std: Tensor, event_dims: int = 1) -> None:
        super().__init__(mean, event_dims)
        self.log_std = log_std

    @property
    def stddev(self) -> Tensor:
        """(*batch, *event)."""
        return self.log_std.exp().expand_as(self.loc)

    @property
    def variance(self) -> Tensor:
        """(*batch, *event)."""
        return (2 * self.log_std).exp().expand_as(self.loc)

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """mean + s * eps, eps ~ N(0, I)."""
        shape = self._extended_shape(sample_shape)
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.remember(torch.addcmul(self.loc, self.log_std.exp(), noise), noise)

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats."""
        noise = self.recall(value)
        if noise is not None:
            squares = sum_event(noise.square(), self.event_dims)
        elif self.log_std.dim():
            squares = sum_event(((value - self.loc) * (-self.log_std).exp()).square(), self.event_dims)
        else:  # one scale for all: it multiplies sums, not every element
            squares = squared_distance(value, self.loc, self.event_dims) * (-2 * self.log_std).exp()
        return -0.5 * squares - self._log_scale - HALF_LOG_2PI * self.event_shape.numel()

    @property
    def _log_scale(self) -> Tensor:
        """sum_d ln s_d: (*batch), or () for one scale; summed apart, it has no sample axis."""
        if not self.log_std.dim():
            return self.event_shape.numel() * self.log_std
        return sum_event(self.log_std.expand_as(self.loc), self.event_dims)

    def entropy(self) -> Tensor:
        """sum_d [ ln s_d + 1/2 ln 2pi e ], shape (*batch)."""
        return sum_event((self.log_std + (HALF_LOG_2PI + 0.5)).expand_as(self.loc), self.event_dims)


class StandardNormal(Lean):
    """N(0, I) over an event, with no batch axes; it broadcasts against any.

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
        """Zeros."""
        return self.like.new_zeros(self._shape)

    @property
    def mode(self) -> Tensor:
        """Zeros."""
        return self.mean

    @property
    def stddev(self) -> Tensor:
        """Ones."""
        return self.like.new_ones(self._shape)

    @property
    def variance(self) -> Tensor:
        """Ones."""
        return self.stddev

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """Draw eps ~ N(0, I)."""
        return torch.randn(self._extended_shape(sample_shape), dtype=self.like.dtype, device=self.like.device)

    def log_prob(self, value: Tensor) -> Tensor:
        """-1/2 |z|^2 - n/2 ln 2pi."""
        constant = HALF_LOG_2PI * self._shape.numel()
        return -0.5 * sum_event(value.square(), self.event_dims) - constant

    def entropy(self) -> Tensor:
        """n/2 ln 2pi e."""
        return self.like.new_tensor((HALF_LOG_2PI + 0.5) * self._shape.numel())


class PointMass(Lean):
    """All mass on one value. It can be drawn from but has no density: `log_prob` raises.

    Args:
        value: (*batch, *event).
        event_dims: number of event axes at the end of `value`.
    """

    def __init__(self, value: Tensor, event_dims: int = 1) -> None:
        super().__init__(event_dims)
        self.value = value

    @property
    def shape(self) -> torch.Size:
        """(*batch, *event)."""
        return self.value.shape

    @property
    def mean(self) -> Tensor:
        """The value itself."""
        return self.value

    @property
    def mode(self) -> Tensor:
        """The value itself."""
        return self.value

    @property
    def variance(self) -> Tensor:
        """Zeros."""
        return torch.zeros_like(self.value)

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """The value, repeated."""
        return self.value.expand(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Refuse: a point mass has no density.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(
            "a point mass has no density, so there is no log-likelihood, rate or evidence to report: "
            "use a conditional with a density, such as `Gaussian` or `Bernoulli`"
        )


@register_kl(DiagonalNormal, StandardNormal)
def _kl_diagonal_standard(q: DiagonalNormal, p: StandardNormal) -> Tensor:
    """1/2 sum (mu^2 + s^2 - 1 - ln s^2)."""
    return 0.5 * sum_event(_twice_kl(q), q.event_dims)


@register_kl(DiagonalNormal, DiagonalNormal)
def _kl_diagonal_diagonal(q: DiagonalNormal, p: DiagonalNormal) -> Tensor:
    """sum [ln s_p - ln s_q + (s_q^2 + (m_q - m_p)^2) / (2 s_p^2) - 1/2]."""
    return sum_event(kl_between(q, p), q.event_dims)


def kl_between(q: DiagonalNormal, p: DiagonalNormal) -> Tensor:
    """KL(q || p) of every dimension: (*batch, *event), nats."""
    ratio = q.log_std - p.log_std
    distance = (q.loc - p.loc) * (-p.log_std).exp()
    return 0.5 * ((2 * ratio).exp() + distance.square() - 1) - ratio


def product(first: DiagonalNormal, second: DiagonalNormal) -> DiagonalNormal:
    """The normalised product of two Gaussians: precisions add, means are weighted by them.

    s^-2 = s_1^-2 + s_2^-2,   m = s^2 (m_1 s_1^-2 + m_2 s_2^-2)
    """
    ahead = 2 * (second.log_std - first.log_std)  # ln of precision 1 over precision 2
    log_std = first.log_std - 0.5 * functional.softplus(-ahead)
    return DiagonalNormal(second.loc + ahead.sigmoid() * (first.loc - second.loc), log_std, first.event_dims)


def geometric_mean(first: DiagonalNormal, second: DiagonalNormal) -> DiagonalNormal:
    """The normalised root of the product of two Gaussians: as `product`, with the mean of the precisions.

    s^-2 = (s_1^-2 + s_2^-2) / 2,   m = s^2 (m_1 s_1^-2 + m_2 s_2^-2) / 2
    """
    both = product(first, second)
    return DiagonalNormal(both.loc, both.log_std + 0.5 * math.log(2), first.event_dims)


def averaged(first: DiagonalNormal, second: DiagonalNormal) -> DiagonalNormal:
    """The Gaussian with the mean of two Gaussians' means, and the mean of their variances."""
    log_std = 0.5 * (torch.logaddexp(2 * first.log_std, 2 * second.log_std) - math.log(2))
    return DiagonalNormal(0.5 * (first.loc + second.loc), log_std, first.event_dims)


def kl_per_dimension(q: DiagonalNormal) -> Tensor:
    """KL(q || N(0, I)) of every latent dimension: (*batch, n), nats."""
    return 0.5 * _twice_kl(q)


def _twice_kl(q: DiagonalNormal) -> Tensor:
    """mu^2 + s^2 - 1 - ln s^2, (*batch, *event)."""
    twice = 2 * q.log_std
    return torch.addcmul(twice.expm1() - twice, q.loc, q.loc)


__all__ = [
    "HALF_LOG_2PI",
    "DiagonalNormal",
    "PointMass",
    "StandardNormal",
    "averaged",
    "geometric_mean",
    "kl_between",
    "kl_per_dimension",
    "product",
]
