"""The covariance of the codes of a batch, held at the identity (DIP-VAE).

    Sigma = Cov_x[mu(x)]                           variant i
    Sigma = Cov_x[mu(x)] + E_x[diag s(x)^2]        variant ii: the covariance of q(z)

over the data of the batch, with divisor B, as the authors write it: E[mu mu^T] - E[mu] E[mu]^T. A square of
an estimate is too large on average, an entry off the diagonal by about 1/B. A batch of one has no covariance:
Sigma is 0 in variant i, which holds no gradient, and diag s^2 in variant ii.

A. Kumar, P. Sattigeri, A. Balakrishnan, Variational Inference of Disentangled Latent Concepts from Unlabeled
Observations, ICLR 2018, https://arxiv.org/abs/1711.00848, section 3
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vaekit.checks import known
from vaekit.terms.aggregate import independent_gaussians
from vaekit.terms.parts import given_data, once
from vaekit.trace import Trace

Variant = Literal["i", "ii"]


@dataclass(frozen=True)
class Covariance:
    """Sigma of a batch, (n, n); it is worked out once for all terms of a trace. Latents stand side by side.

    Args:
        variant: i for the posterior means alone, ii with the posterior variances.

    Raises:
        UnsupportedError: in variant ii, on a trace whose posteriors are no diagonal Gaussians.
    """

    variant: Variant = "ii"

    def __post_init__(self) -> None:
        known("variant", self.variant, Variant)

    def __call__(self, trace: Trace) -> Tensor:
        """(n, n), from the first term that asks."""
        return once(trace, self, self._estimate)

    def _estimate(self, trace: Trace) -> Tensor:
        means = torch.cat([latent.q.mean for latent in given_data(trace).values()], -1)
        centred = means - means.mean(0)
        covariance = centred.mT @ centred / len(means)
        if self.variant == "i":
            return covariance
        variances = torch.cat([q.variance.mean(0) for _, q in independent_gaussians(trace)], -1)
        return covariance + variances.diag()


class _Penalty(ABC):
    """A penalty on Sigma, which couples the latents of the batch: one value for all of it."""

    couples_batch = True
    gathers = True

    def __init__(self, covariance: Covariance) -> None:
        self.covariance = covariance

    @abstractmethod
    def __call__(self, trace: Trace) -> Tensor:
        """()."""


class OffDiagonal(_Penalty):
    """sum over i != j of Sigma_ij^2, both triangles: one value for the batch.

    Args:
        covariance: which Sigma.
    """

    def __call__(self, trace: Trace) -> Tensor:
        """()."""
        sigma = self.covariance(trace)
        return (sigma - sigma.diagonal().diag()).square().sum()


class UnitVariance(_Penalty):
    """sum over i of (Sigma_ii - 1)^2: one value for the batch.

    Args:
        covariance: which Sigma.
    """

    def __call__(self, trace: Trace) -> Tensor:
        """()."""
        return (self.covariance(trace).diagonal() - 1).square().sum()
