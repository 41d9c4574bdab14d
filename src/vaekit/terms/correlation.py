"""Correlation measures of GCVAE: how far the codes of a batch are, together, from N(0, I).

    mmd              MMD^2(q, p) with pairs of a point and itself, k = exp(-|a - b|^2 / n^2)
    weighted_mmd     1/n tr(C^-1) MMD^2, C the covariance of the codes in the batch, with divisor B - 1
    mahalanobis      a distance of the moments of q(z) from those of the prior, see `Mahalanobis`
    mahalanobis_literal   mean over the batch of (z - E z)^T C^-1 (z - E z)

The last is that of the authors' programs, and it is n (B - 1)/B whatever the codes are. They work it out
beside the graph, as they do the weighted discrepancy: neither regularises anything there. Here the weighted
one has the gradient of the discrepancy (C^-1 is a weight, and has none), and `mahalanobis` stands for what
the other was meant to be.

K. Ezukwoke, A. Hoayek, M. Batton-Hubert, X. Boucher, GCVAE: Generalized-Controllable Variational AutoEncoder,
2022, https://arxiv.org/abs/2206.04225
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vaekit.checks import known
from vaekit.distributions import StandardNormal
from vaekit.errors import UnsupportedError
from vaekit.terms.covariance import Covariance
from vaekit.terms.discrepancy import MMD
from vaekit.terms.parts import Term, given_data
from vaekit.trace import Trace

Measure = Literal["mmd", "weighted_mmd", "mahalanobis", "mahalanobis_literal"]


def make_measure(name: Measure, latents: int) -> Term:
    """A correlation measure by its name, for codes of so many dimensions.

    Raises:
        ValueError: if there is none of this name.
    """
    known("correlation", name, Measure)
    if name == "mahalanobis":
        return Mahalanobis()
    if name == "mahalanobis_literal":
        return LiteralMahalanobis()
    # |a - b|^2 / (2 n s) is |a - b|^2 / n^2
    discrepancy = MMD("rbf", (latents / 2,), biased=True)
    return discrepancy if name == "mmd" else InverseWeighted(discrepancy)


class Mahalanobis:
    """A Mahalanobis distance of q(z) = E_x q(z|x) from N(0, I), one value for the batch.

        m^T [(S + I) / 2]^-1 m + 1/2 (tr S - ln det S - n),   m = E_x[mu],   S = Cov_x[mu] + E_x[diag s^2]

    The first part is the squared distance of the two means under the pooled covariance, the second the
    divergence of the covariances (that of two Gaussians with equal means, in nats). It is zero where m = 0
    and S = I, and nowhere else. Nothing is drawn, and a batch of one has S = diag s^2.

    Raises:
        UnsupportedError: on a trace whose posteriors are no diagonal Gaussians or whose prior is not N(0, I).
    """

    couples_batch = True
    gathers = True

    def __init__(self) -> None:
        self.covariance = Covariance("ii")

    def __call__(self, trace: Trace) -> Tensor:
        """()."""
        for name, latent in trace.latents.items():
            if not isinstance(latent.p, StandardNormal):
                raise UnsupportedError(
                    f"the prior of latent {name!r} is a {type(latent.p).__name__}; this is the distance from "
                    "N(0, I): use a model with the standard prior"
                )
        sigma = self.covariance(trace)
        mean = torch.cat([latent.q.mean for latent in given_data(trace).values()], -1).mean(0)
        pooled = 0.5 * (sigma + torch.eye(len(sigma), dtype=sigma.dtype, device=sigma.device))
        between: Tensor = mean @ torch.linalg.solve_ex(pooled, mean).result
        return between + 0.5 * (sigma.diagonal().sum() - sigma.logdet() - len(sigma))


class LiteralMahalanobis:
    """1/B sum_i (z_i - mean z)^T C^-1 (z_i - mean z), C the covariance of the same codes with divisor B - 1.

    That is n (B - 1)/B for any codes whatever, and it has no gradient: one value for the batch that changes
    nothing. With n data or fewer C has no inverse, the pseudo-inverse stands for it, and n becomes B - 1.
    """

    couples_batch = True
    gathers = True

    @torch.no_grad()
    def __call__(self, trace: Trace) -> Tensor:
        """()."""
        centred, covariance = _centred(trace)
        inverse: Tensor = torch.linalg.pinv(covariance, hermitian=True)
        return ((centred @ inverse) * centred).sum(-1).mean()


class InverseWeighted:
    """1/n tr(C^-1) times a discrepancy, C the covariance of the codes with divisor B - 1: for the batch.

    The factor is a weight: the gradient is that of the discrepancy. With n data or fewer there is no C^-1 and
    the factor is 1, as for codes of unit variance. With a sample axis it is the mean over the draws.

    Args:
        discrepancy: what is weighed.
    """

    couples_batch = True
    gathers = True

    def __init__(self, discrepancy: MMD) -> None:
        self.discrepancy = discrepancy

    def __call__(self, trace: Trace) -> Tensor:
        """()."""
        value = self.discrepancy(trace)
        with torch.no_grad():
            centred, covariance = _centred(trace)
            if centred.shape[-2] <= centred.shape[-1]:
                return value
            inverse: Tensor = torch.linalg.inv_ex(covariance).inverse
            factor = inverse.diagonal(dim1=-2, dim2=-1).mean()
        return factor * value


def _centred(trace: Trace) -> tuple[Tensor, Tensor]:
    """Codes less their mean over the batch, (*lead, B, n), and their covariance with divisor B - 1."""
    codes = torch.cat([latent.value for latent in given_data(trace).values()], -1)
    centred = codes - codes.mean(-2, keepdim=True)
    return centred, centred.mT @ centred / max(1, codes.shape[-2] - 1)
