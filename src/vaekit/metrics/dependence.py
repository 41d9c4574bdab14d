"""How much latent dimensions depend on each other: total correlation of the aggregate posterior."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.errors import UnsupportedError
from vaekit.metrics.passes import LOAD, Result, evaluating, loaded
from vaekit.models import Model
from vaekit.terms.aggregate import independent_gaussians, pair_log_densities

_PAIR_ELEMENTS = 2**22


@dataclass(frozen=True)
class GaussianTotalCorrelation(Result):
    """Total correlation of a Gaussian with the codes' covariance, nats.

    Args:
        value: -1/2 ln det of the correlation matrix; 0 where no two dimensions are correlated, inf where one
            is a linear function of the others. Dependence without correlation is not seen.
        floor: k (k - 1) / (4 n): what n draws of k independent Gaussian dimensions give on average.
        correlation: the largest |correlation| of two dimensions.
        dimensions: k, the dimensions that vary; a constant one depends on nothing.
        n: number of codes, one draw for each of n data.
        seed: of the subset and of the draws.
    """

    value: float
    floor: float
    correlation: float
    dimensions: int
    n: int
    seed: int


@dataclass(frozen=True)
class Dependence(Result):
    """The rate at drawn codes, taken apart: rate = information + total_correlation + dimension_wise, nats.

    Args:
        total_correlation: KL(q(z) || prod_k q(z_k)).
        total_correlation_se: its standard error over the draws, which does not include the bias below.
        information: E[log q(z|x) - log q(z)].
        dimension_wise: KL(prod_k q(z_k) || p(z)).
        rate: E[log q(z|x) - log p(z)] at the same draws.
        n: number of data whose posteriors stand for q(z).
        draws: number of codes at which the densities were taken.
        size: N, the number of data that q(z) is over.
        seed: of the subset and of the draws.
    """

    total_correlation: float
    total_correlation_se: float
    information: float
    dimension_wise: float
    rate: float
    n: int
    draws: int
    size: int
    seed: int


def gaussian_total_correlation(
    model: Model, data: Data, *, n: int = 10_000, seed: int = 0
) -> GaussianTotalCorrelation:
    """TC_G = -1/2 (ln det R - sum_k ln R_kk) of the covariance R of codes z ~ q(z|x), one for each datum.

    It needs no density, so that encoders without one can be measured too. Latents are put side by side.

    Args:
        model: on any device; its mode and the global random stream are left as they were.
        data: what is encoded.
        n: number of data, drawn at random if there are more.
        seed: of the subset and of the draws.

    Raises:
        ValueError: for fewer than two data.
    """
    codes = []
    with evaluating(model, seed):
        for batch, _ in loaded(data, model, seed=seed, limit=n, size=LOAD):
            drawn = model.encode(batch, sample=True).values()
            codes.append(torch.cat([value.flatten(1).double().cpu() for value in drawn], 1))
    z = torch.cat(codes)
    if len(z) < 2:
        raise ValueError(f"got {len(z)} datum; a covariance needs two or more")
    z = z - z.mean(0)
    scale = z.square().mean(0).sqrt()
    z = z[:, scale > 1e-12 * max(1.0, float(scale.max()))]
    z = z / z.square().mean(0).sqrt()
    correlations = z.mT @ z / len(z)
    k = len(correlations)
    off = correlations - torch.eye(k, dtype=torch.float64)
    return GaussianTotalCorrelation(
        value=max(0.0, -0.5 * float(torch.linalg.slogdet(correlations).logabsdet)) if k else 0.0,
        floor=k * (k - 1) / (4 * len(z)),
        correlation=float(off.abs().max()) if k else 0.0,
        dimensions=k,
        n=len(z),
        seed=seed,
    )


def total_correlation(
    model: Model, data: Data, *, n: int = 10_000, draws: int = 1000, seed: int = 0
) -> Dependence:
    """KL(q(z) || prod_k q(z_k)) and its siblings, with q(z) over all the data estimated from n posteriors.

    q(z_i) = sum_j W_ij q(z_i|x_j) with the balanced stratified weights of `terms.aggregate`: exact for n = N.

    Args:
        model: with diagonal Gaussian posteriors given x; its mode and the random stream stay as they are.
        data: what q(z) is over: N data.
        n: number of data whose posteriors are taken, drawn at random if there are more.
        draws: codes at which the densities are taken, of the first of these data; the time goes with
            n x draws x dimensions.
        seed: of the subset and of the draws.

    Raises:
        UnsupportedError: if a posterior is no diagonal Gaussian given x, or the prior depends on a condition.

    Warning:
        For n < N the logarithm of the estimate lies below the logarithm of q(z), the more the sharper the
        posteriors and the more dimensions there are; joint densities suffer before marginal ones, so that the
        total correlation comes out too low. Compare models at one n, and look whether it moves with n.

    References:
        Isolating Sources of Disentanglement in Variational Autoencoders. Chen, Li, Grosse, Duvenaud, 2018,
        arXiv 1802.04942.
    """
    if draws < 1:
        raise ValueError(f"`draws` is {draws}; expected 1 or more")
    means, log_stds, values, posterior, prior = [], [], [], [], []
    with evaluating(model, seed):
        for batch, _ in loaded(data, model, seed=seed, limit=n, size=LOAD):
            trace = model(batch)
            latents = independent_gaussians(trace)
            if any(latent.p.batch_shape for latent, _ in latents):
                raise UnsupportedError(
                    "the prior depends on the condition, so that q(z) has no prior to be compared with: "
                    "the parts of the rate are for models with one prior"
                )
            means.append(torch.cat([q.loc for _, q in latents], -1).double())
            log_stds.append(torch.cat([q.log_std.expand_as(q.loc) for _, q in latents], -1).double())
            values.append(torch.cat([latent.value for latent, _ in latents], -1).double())
            posterior.append(torch.stack([q.log_prob(latent.value) for latent, q in latents]).double().sum(0))
            prior.append(
                torch.stack([latent.p.log_prob(latent.value) for latent, _ in latents]).double().sum(0)
            )
        mean, log_std, z = torch.cat(means), torch.cat(log_stds), torch.cat(values)[:draws]
        aggregate, product = _marginals(z, mean, log_std, len(data))
        own, target = torch.cat(posterior)[:draws], torch.cat(prior)[:draws]
    found = aggregate - product
    return Dependence(
        total_correlation=float(found.mean()),
        total_correlation_se=float(found.std() / math.sqrt(len(found))) if len(found) > 1 else math.nan,
        information=float((own - aggregate).mean()),
        dimension_wise=float((product - target).mean()),
        rate=float((own - target).mean()),
        n=len(mean),
        draws=len(z),
        size=len(data),
        seed=seed,
    )


def _marginals(z: Tensor, mean: Tensor, log_std: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """log q(z) and sum_k log q(z_k), (draws,); draw i is of posterior i. Balanced stratified weights."""
    n = len(mean)
    own, other = -math.log(size), math.log((size - 1) / (size * (n - 1))) if n > 1 else 0.0
    rows = max(1, _PAIR_ELEMENTS // mean.numel())
    found = []
    for start in range(0, len(z), rows):
        pairs = pair_log_densities(z[start : start + rows], mean, log_std)
        mine = pairs[0].new_full(pairs.shape[1:], other)
        if n > 1:
            mine.diagonal(start).fill_(own)
        joint, single = (pairs.sum(0) + mine).logsumexp(-1), (pairs + mine).logsumexp(-1)
        found.append((joint, single.sum(0)))
    aggregate, product = (torch.cat(part) for part in zip(*found, strict=True))
    return aggregate, product
