"""Probabilistic PCA: the maximum-likelihood linear-Gaussian world of a data set, two ways.

With S the covariance of the data (divisor N), its eigenvalues l_1 >= ... >= l_D and eigenvectors U,

    W = U_k (L_k - sigma^2 I)^1/2,   sigma^2 = mean of l_{k+1} ... l_D.

M. E. Tipping, C. M. Bishop, Probabilistic Principal Component Analysis, JRSS B 61, 1999, 611-622.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vaekit.worlds.linear_gaussian import LOG_2PI, LinearGaussian


def ppca_closed_form(x: Tensor, k: int, sigma2: float | None = None) -> tuple[Tensor, float, Tensor]:
    """The maximum-likelihood (W, sigma^2, mu) of pPCA (Tipping and Bishop, equations 7 and 8).

    Args:
        x: data, (N, D).
        k: number of latents, 1 to D - 1.
        sigma2: a fixed variance instead of the best one; directions with less variance are then left out
            (columns of zeros in W).

    Returns:
        W (D, k), sigma^2, and mu (D,), in float64. W is unique up to a rotation of the latents.
    """
    mean, covariance = _moments(x, k)
    eigenvalues, vectors = torch.linalg.eigh(covariance)
    eigenvalues, vectors = eigenvalues.flip(0).clamp_min(0), vectors.flip(1)
    variance = float(eigenvalues[k:].mean()) if sigma2 is None else sigma2
    if not variance > 0:
        raise ValueError(f"the variance outside of {k} directions is {variance}; expected a positive number")
    weight = vectors[:, :k] * (eigenvalues[:k] - variance).clamp_min(0).sqrt()
    return weight, variance, mean


def ppca_em(x: Tensor, k: int, steps: int, seed: int = 0) -> tuple[Tensor, float, Tensor]:
    """(W, sigma^2, mu) of pPCA after `steps` of expectation maximisation, from a random W and sigma^2 = 1.

    With M = W^T W + sigma^2 I (Tipping and Bishop, equations 29 and 30):
    W' = S W (sigma^2 I + M^-1 W^T S W)^-1,   sigma'^2 = 1/D tr(S - S W M^-1 W'^T).

    Args:
        x: data, (N, D).
        k: number of latents, 1 to D - 1.
        steps: number of steps.
        seed: of the first W.
    """
    mean, covariance = _moments(x, k)
    d = len(mean)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(d, k, dtype=torch.float64, generator=generator)
    sigma2 = weight.new_ones(())
    identity = torch.eye(k, dtype=torch.float64)
    for _ in range(steps):
        inner = weight.mT @ weight + sigma2 * identity
        projected = covariance @ weight
        moved = torch.linalg.solve(
            sigma2 * identity + torch.linalg.solve(inner, weight.mT @ projected), projected, left=False
        )
        explained = (projected @ torch.linalg.solve(inner, moved.mT)).trace()
        weight, sigma2 = moved, (covariance.trace() - explained) / d
    return weight, float(sigma2), mean


def mean_log_likelihood(world: LinearGaussian, x: Tensor) -> float:
    """Mean of log p(x) over the data, nats per datum."""
    return float(world.log_evidence(x).mean())


def fixed_variance_optimum(eigenvalues: Tensor, k: int, sigma2: float) -> tuple[float, int]:
    """What the best linear VAE with a given sigma^2 reaches: (mean log-likelihood, number of active latents).

    -1/2 [D ln 2pi + sum_{i<=k} (ln m_i + l_i / m_i) + (D - k) ln sigma^2 + sum_{i>k} l_i / sigma^2] with
    m_i = max(l_i, sigma^2), and #{i <= k: l_i > sigma^2}: a direction that varies less than the noise is not
    worth its rate.

    Args:
        eigenvalues: l, of the covariance of the data (divisor N), in any order, (D,).
        k: number of latents.
        sigma2: variance of the likelihood.
    """
    ordered = eigenvalues.double().sort(descending=True).values
    kept, left = ordered[:k], ordered[k:]
    largest = kept.clamp_min(sigma2)
    terms = (largest.log() + kept / largest).sum() + len(left) * math.log(sigma2) + left.sum() / sigma2
    return float(-0.5 * (len(ordered) * LOG_2PI + terms)), int((kept > sigma2).sum())


def _moments(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    if x.dim() != 2 or len(x) < 2:
        raise ValueError(f"`x` has shape {tuple(x.shape)}; expected (N, D) with two or more rows")
    if not 1 <= k < x.shape[1]:
        raise ValueError(f"`k` is {k}; expected 1 to {x.shape[1] - 1}, fewer than the columns of `x`")
    data = x.double()
    mean = data.mean(0)
    centred = data - mean
    return mean, centred.mT @ centred / len(data)
