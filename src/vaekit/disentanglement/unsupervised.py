"""Scores that see codes alone: how far the latents are from independent. 0 is independent.

    gaussian_total_correlation   1/2 (sum_j ln S_jj - ln det S), nats, of the codes' covariance S
    gaussian_wasserstein         2 tr S - 2 tr (S diag S)^1/2: the squared Wasserstein distance of N(0, S) to
                                 the product of its marginals; `_normed` is divided by tr S
    mutual_information           mean over pairs of different latents of I(z_i; z_j) of binned codes, nats

F. Locatello, S. Bauer, M. Lucic, G. Raetsch, S. Gelly, B. Scholkopf, O. Bachem, Challenging Common
Assumptions in the Unsupervised Learning of Disentangled Representations, ICML 2019,
https://arxiv.org/abs/1811.12359, section 5.3
"""

from __future__ import annotations

import numpy as np

from vaekit.checks import whole
from vaekit.disentanglement.points import Floats, Values, array_of, discretise, moving, mutual_information
from vaekit.disentanglement.result import Score


def unsupervised(codes: Values, *, bins: int = 20) -> Score:
    """The three scores of codes; for the covariance, constant latents are left out: they depend on nothing.

    Args:
        codes: (N, d).
        bins: equal-width bins of every code, for mutual information.

    Returns:
        `gaussian_total_correlation` (infinite where a latent is a linear function of others),
        `gaussian_wasserstein`, `gaussian_wasserstein_normed` and `mutual_information`, which is 0 of one
        latent.

    Raises:
        ValueError: if a code is not finite, or there are fewer than two.
    """
    z = array_of(codes, "codes")
    if len(z) < 2:
        raise ValueError(f"`codes` has {len(z)} row; a covariance needs two or more")
    whole("bins", bins, 2)
    alive = moving(z)
    values = {
        "gaussian_total_correlation": 0.0,
        "gaussian_wasserstein": 0.0,
        "gaussian_wasserstein_normed": 0.0,
    }
    if alive.any():
        covariance = np.atleast_2d(np.cov(z[:, alive].astype(np.float64), rowvar=False))
        distance = gaussian_wasserstein(covariance)
        values["gaussian_total_correlation"] = gaussian_total_correlation(covariance)
        values["gaussian_wasserstein"] = distance
        values["gaussian_wasserstein_normed"] = distance / float(np.trace(covariance))
    numbers = discretise(z, bins)
    information = mutual_information(numbers, numbers)
    np.fill_diagonal(information, 0.0)
    d = z.shape[1]
    values["mutual_information"] = float(information.sum() / max(1, d * d - d))
    constant = np.flatnonzero(~alive).tolist()
    notes = (f"latents {constant} are constant, and left out of the covariance",) if constant else ()
    details = {"information": information.tolist()}
    return Score("unsupervised", values, {"points": len(z)}, {"bins": bins}, details, notes)


def gaussian_total_correlation(covariance: Floats) -> float:
    """KL(N(0, S) || prod_j N(0, S_jj)), nats; infinite where S has no inverse."""
    sign, logarithm = np.linalg.slogdet(covariance)
    if sign <= 0:
        return float("inf")
    return float(max(0.0, 0.5 * (np.log(np.diag(covariance)).sum() - logarithm)))


def gaussian_wasserstein(covariance: Floats) -> float:
    """The squared 2-Wasserstein distance between N(0, S) and N(0, diag S)."""
    root = np.sqrt(np.diag(covariance))
    # tr (S D)^1/2 = tr (D^1/2 S D^1/2)^1/2, which is symmetric: no root of a general matrix is needed
    eigenvalues = np.linalg.eigvalsh(root[:, None] * covariance * root)
    return float(max(0.0, 2 * np.trace(covariance) - 2 * np.sqrt(np.clip(eigenvalues, 0, None)).sum()))
