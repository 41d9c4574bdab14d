"""A mixture of Gaussians with diagonal covariance."""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.distributions.lean import Lean, SampleShape
from vaekit.distributions.normal import HALF_LOG_2PI, DiagonalNormal


class Mixture(Lean):
    """p(z) = sum_k w_k N(z; m_k, s_k^2): log p(z) = logsumexp_k [ln w_k + log N(z; m_k, s_k^2)].

    No tensor has the axes of data, components and dimensions at once. All K log densities of a value are one
    product with 2n columns, sum_d [-1/2 s_kd^-2 z_d^2 + m_kd s_kd^-2 z_d] + c_k, in float64 where the device
    has it: large terms cancel in it where a component is narrow.

    Args:
        log_weights: ln w, (K,), normalised.
        components: `DiagonalNormal` with batch shape (K,) and a vector event (n,).
    """

    has_rsample = False

    def __init__(self, log_weights: Tensor, components: DiagonalNormal) -> None:
        super().__init__(1)
        self.log_weights = log_weights
        self.components = components
        self._terms: tuple[Tensor, Tensor] | None = None

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

    def _quadratic(self) -> tuple[Tensor, Tensor]:
        """[-1/2 s^-2, m s^-2], (K, 2n), and ln w - sum_d [1/2 (m/s)^2 + ln s + 1/2 ln 2pi], (K,)."""
        parts = (self.log_weights, self.components.loc, self.components.log_std)
        wanted = torch.is_grad_enabled() and any(part.requires_grad for part in parts)
        # what was made without a graph is of no use where there is to be one
        if self._terms is None or (wanted and not any(term.requires_grad for term in self._terms)):
            mean, log_std = self._wide(self.components.loc), self._wide(self.components.log_std)
            log_std = log_std.expand_as(mean)
            precision = (-2 * log_std).exp()
            slopes = torch.cat([-0.5 * precision, precision * mean], -1)
            constants = (0.5 * precision * mean.square() + log_std + HALF_LOG_2PI).sum(-1)
            self._terms = slopes, self._wide(self.log_weights) - constants
        return self._terms

    @staticmethod
    def _wide(values: Tensor) -> Tensor:
        return values if values.device.type == "mps" else values.double()

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample), nats."""
        slopes, offsets = self._quadratic()
        wide = self._wide(value)
        joint = torch.cat([wide.square(), wide], -1) @ slopes.mT + offsets
        return joint.logsumexp(-1).to(value.dtype)
