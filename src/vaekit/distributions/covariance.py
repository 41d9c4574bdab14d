"""Gaussians with correlated dimensions, for vectors (one event axis)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import register_kl

from vaekit.distributions.lean import SampleShape, Symmetric, lazy
from vaekit.distributions.normal import HALF_LOG_2PI, StandardNormal


class CholeskyNormal(Symmetric):
    """N(x; mean, L L^T), L lower triangular with a positive diagonal.

    x = mean + L eps,  ln q(x) = -1/2 |eps|^2 - ln|det L| - n/2 ln 2pi.

    Args:
        mean: (*batch, n).
        factor: L, (*batch, n, n), or (n, n) for all of them.
        log_diagonal: ln L_ii, (*batch, n), where it is at hand: it need not be taken out of the factor again.
    """

    def __init__(self, mean: Tensor, factor: Tensor, log_diagonal: Tensor | None = None) -> None:
        super().__init__(mean, 1)
        self.factor = factor
        self.log_diagonal = log_diagonal

    @property
    def covariance_matrix(self) -> Tensor:
        """L L^T, (*batch, n, n)."""
        return (self.factor @ self.factor.mT).expand(*self.loc.shape, -1)

    @property
    def variance(self) -> Tensor:
        """Diagonal of L L^T, (*batch, n)."""
        return self.factor.square().sum(-1).expand_as(self.loc)

    @property
    def log_det_factor(self) -> Tensor:
        """ln|det L| = sum_i ln L_ii, (*batch)."""
        if self.log_diagonal is not None:
            return self.log_diagonal.sum(-1)
        return self.factor.diagonal(dim1=-2, dim2=-1).log().sum(-1).expand(self.loc.shape[:-1])

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """mean + L eps."""
        shape = self._extended_shape(sample_shape)
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        if self.factor.dim() == 2:  # one product for all, not one for each
            return self.remember(self.loc + noise @ self.factor.mT, noise)
        return self.remember(self.loc + (self.factor @ noise.unsqueeze(-1)).squeeze(-1), noise)

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats; another draw than its own costs a triangular solve."""
        noise = self.recall(value)
        if noise is None:
            offset = (value - self.loc).unsqueeze(-1)
            noise = torch.linalg.solve_triangular(self.factor, offset, upper=False).squeeze(-1)
        constant = HALF_LOG_2PI * self.loc.shape[-1]
        return -0.5 * noise.square().sum(-1) - self.log_det_factor - constant

    def entropy(self) -> Tensor:
        """ln|det L| + n/2 ln 2pi e, (*batch)."""
        return self.log_det_factor + (HALF_LOG_2PI + 0.5) * self.loc.shape[-1]


class LowRankNormal(Symmetric):
    """N(x; mean, diag(d) + U U^T): low rank plus diagonal covariance.

    x = mean + sqrt(d) e1 + U e2;  ln det S = sum ln d + ln det M,  M = I_r + U^T diag(1/d) U;
    S^-1 = diag(1/d) - diag(1/d) U M^-1 U^T diag(1/d)  (Woodbury).

    Args:
        mean: (*batch, n).
        log_diagonal: ln d, (*batch, n).
        directions: U, (*batch, n, r).
    """

    def __init__(self, mean: Tensor, log_diagonal: Tensor, directions: Tensor) -> None:
        super().__init__(mean, 1)
        self.log_diagonal = log_diagonal
        self.directions = directions

    @property
    def covariance_matrix(self) -> Tensor:
        """diag(d) + U U^T, (*batch, n, n)."""
        return torch.diag_embed(self.log_diagonal.exp()) + self.directions @ self.directions.mT

    @property
    def variance(self) -> Tensor:
        """(*batch, n)."""
        return self.log_diagonal.exp() + self.directions.square().sum(-1)

    @lazy
    def _capacitance(self) -> Tensor:
        """Cholesky factor of M = I_r + U^T diag(1/d) U."""
        scaled = self.directions * (-self.log_diagonal).exp().unsqueeze(-1)
        rank = self.directions.shape[-1]
        identity = torch.eye(rank, dtype=self.loc.dtype, device=self.loc.device)
        factor: Tensor = torch.linalg.cholesky(identity + self.directions.mT @ scaled)
        return factor

    @property
    def log_det(self) -> Tensor:
        """ln det S, (*batch)."""
        diagonal = self._capacitance.diagonal(dim1=-2, dim2=-1)
        return self.log_diagonal.sum(-1) + 2 * diagonal.log().sum(-1)

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """mean + sqrt(d) e1 + U e2."""
        shape = self._extended_shape(sample_shape)
        first = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        second = torch.randn(
            (*shape[:-1], self.directions.shape[-1], 1), dtype=self.loc.dtype, device=self.loc.device
        )
        correlated = (self.directions @ second).squeeze(-1)
        return self.loc + (0.5 * self.log_diagonal).exp() * first + correlated

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats."""
        offset = value - self.loc
        weighted = offset * (-self.log_diagonal).exp()
        projected = (self.directions.mT @ weighted.unsqueeze(-1)).squeeze(-1)
        whitened = torch.linalg.solve_triangular(
            self._capacitance, projected.unsqueeze(-1), upper=False
        ).squeeze(-1)
        mahalanobis = (offset * weighted).sum(-1) - whitened.square().sum(-1)
        density: Tensor = -0.5 * (mahalanobis + self.log_det) - HALF_LOG_2PI * self.loc.shape[-1]
        return density

    def entropy(self) -> Tensor:
        """1/2 ln det S + n/2 ln 2pi e, (*batch)."""
        return 0.5 * self.log_det + (HALF_LOG_2PI + 0.5) * self.loc.shape[-1]


class RankOnePrecisionNormal(Symmetric):
    """N(x; mean, C) with C^-1 = diag(d) + u u^T, everything in O(n) (Rezende et al. 2014, section 4.3).

    eta = 1 / (u^T D^-1 u + 1);  ln det C = ln eta - sum ln d;
    x = mean + R eps,  R = D^-1/2 - [(1 - sqrt(eta)) / (u^T D^-1 u)] D^-1 u u^T D^-1/2,  C = R R^T.

    Args:
        mean: (*batch, n).
        log_precision: ln d, (*batch, n).
        direction: u, (*batch, n).
    """

    def __init__(self, mean: Tensor, log_precision: Tensor, direction: Tensor) -> None:
        super().__init__(mean, 1)
        self.log_precision = log_precision
        self.direction = direction

    @lazy
    def _inverse(self) -> Tensor:
        """Diagonal of D^-1, (*batch, n)."""
        return (-self.log_precision).exp()

    @lazy
    def _strength(self) -> Tensor:
        """u^T D^-1 u, (*batch, 1)."""
        return (self.direction.square() * self._inverse).sum(-1, keepdim=True)

    @property
    def precision_matrix(self) -> Tensor:
        """diag(d) + u u^T, (*batch, n, n)."""
        outer = self.direction.unsqueeze(-1) * self.direction.unsqueeze(-2)
        return torch.diag_embed(self.log_precision.exp()) + outer

    @property
    def covariance_matrix(self) -> Tensor:
        """D^-1 - eta D^-1 u u^T D^-1, (*batch, n, n)."""
        inverse = self._inverse
        scaled = inverse * self.direction
        eta = 1 / (1 + self._strength)
        return torch.diag_embed(inverse) - eta.unsqueeze(-1) * scaled.unsqueeze(-1) * scaled.unsqueeze(-2)

    @property
    def variance(self) -> Tensor:
        """Diagonal of C, (*batch, n)."""
        inverse = self._inverse
        return inverse - (inverse * self.direction).square() / (1 + self._strength)

    @property
    def log_det(self) -> Tensor:
        """ln det C, (*batch)."""
        return -self._strength.squeeze(-1).log1p() - self.log_precision.sum(-1)

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """mean + R eps."""
        shape = self._extended_shape(sample_shape)
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        scaled = (-0.5 * self.log_precision).exp() * noise
        # (1 - sqrt(eta)) / s with eta = 1/(1+s), rewritten so that it has its limit 1/2 at s = 0
        root = (1 + self._strength).sqrt()
        coefficient = 1 / (root * (1 + root))
        along = (self.direction * scaled).sum(-1, keepdim=True)
        return self.loc + scaled - coefficient * along * self._inverse * self.direction

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats."""
        offset = value - self.loc
        mahalanobis = (offset.square() * self.log_precision.exp()).sum(-1) + (offset * self.direction).sum(
            -1
        ).square()
        return -0.5 * (mahalanobis + self.log_det) - HALF_LOG_2PI * self.loc.shape[-1]

    def entropy(self) -> Tensor:
        """1/2 ln det C + n/2 ln 2pi e, (*batch)."""
        return 0.5 * self.log_det + (HALF_LOG_2PI + 0.5) * self.loc.shape[-1]


@register_kl(CholeskyNormal, StandardNormal)
def _kl_cholesky_standard(q: CholeskyNormal, p: StandardNormal) -> Tensor:
    """1/2 (|L|_F^2 + |mu|^2 - n) - sum ln L_ii."""
    squares = q.factor.square().sum((-2, -1)) + q.loc.square().sum(-1)
    return 0.5 * (squares - q.loc.shape[-1]) - q.log_det_factor


@register_kl(CholeskyNormal, CholeskyNormal)
def _kl_cholesky_cholesky(q: CholeskyNormal, p: CholeskyNormal) -> Tensor:
    """1/2 [tr(S_p^-1 S_q) + (m_p - m_q)^T S_p^-1 (m_p - m_q) - n + ln det S_p - ln det S_q]."""
    ratio: Tensor = torch.linalg.solve_triangular(p.factor, q.factor, upper=False)
    offset: Tensor = torch.linalg.solve_triangular(p.factor, (q.loc - p.loc).unsqueeze(-1), upper=False)
    squares = ratio.square().sum((-2, -1)) + offset.square().sum((-2, -1))
    return 0.5 * (squares - q.loc.shape[-1]) + p.log_det_factor - q.log_det_factor


@register_kl(LowRankNormal, StandardNormal)
@register_kl(RankOnePrecisionNormal, StandardNormal)
def _kl_structured_standard(q: LowRankNormal | RankOnePrecisionNormal, p: StandardNormal) -> Tensor:
    """1/2 [tr C + |mu|^2 - n - ln det C]."""
    trace = q.variance.sum(-1) + q.loc.square().sum(-1)
    return 0.5 * (trace - q.loc.shape[-1] - q.log_det)
