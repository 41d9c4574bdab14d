"""How probable the model finds the data: the evidence lower bound and the importance-sampled evidence.

Both are deterministic for a given seed. Batch and chunk sizes change which noise meets which datum, and
nothing else; where the data themselves are drawn anew (dynamic binarisation), so does the loaded batch size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.metrics.passes import (
    LOAD,
    Progress,
    Result,
    evaluating,
    fitting,
    keep_freed_memory,
    loaded,
    split_batch,
    with_density,
    with_samples,
)
from vaekit.models import Model
from vaekit.terms import Distortion, divergence, log_weight, per_datum
from vaekit.terms.elbo import has_closed_form
from vaekit.trace import Batch, Trace


@dataclass(frozen=True)
class Elbo(Result):
    """The evidence lower bound and its parts: elbo = -distortion - rate; nats per datum.

    Args:
        elbo: mean over the data; its standard error over the data is `elbo_se`.
        distortion: -E_q log p(x|z).
        rate: KL(q(z|x) || p(z)), summed over latents.
        rates: latent name -> its part of the rate.
        estimators: latent name -> "closed" for the closed form given x, "sample" for log q - log p of draws.
        n: number of data.
        samples: draws per datum.
        seed: of the noise.
    """

    elbo: float
    elbo_se: float
    distortion: float
    distortion_se: float
    rate: float
    rate_se: float
    rates: dict[str, float]
    estimators: dict[str, Literal["closed", "sample"]]
    n: int
    samples: int
    seed: int


@dataclass(frozen=True)
class Nll(Result):
    """Negative log-likelihood by importance sampling, nats per datum: in expectation an upper bound.

    Args:
        nll: mean over the data of -log 1/K sum_k w_k.
        se: its standard error over the data.
        mc_error: standard error of `nll` that comes from the finite number of draws, for these data.
        mc_error_per_datum: the same of one datum's value (root mean square over the data).
        median_ess: median over the data of the effective sample size, 1 .. K.
        bits_per_dim: nll / (D ln 2).
        n: number of data.
        samples: K, draws per datum.
        seed: of the noise.

    Warning:
        The errors `mc_error` come from the variance of the weights that were drawn (delta method): weights
        with a heavy tail hide it. A `median_ess` of few draws says that more are needed.
    """

    nll: float
    se: float
    mc_error: float
    mc_error_per_datum: float
    median_ess: float
    bits_per_dim: float
    n: int
    samples: int
    seed: int


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """Mean and its standard error, (n,) -> numbers; the error of one value is NaN."""
    return float(values.mean()), float(values.std() / math.sqrt(len(values))) if len(values) > 1 else math.nan


def elbo(
    model: Model,
    data: Data,
    *,
    samples: int = 1,
    batch_size: int = LOAD,
    seed: int = 0,
    limit: int | None = None,
) -> Elbo:
    """E_q log p(x|z) - KL(q(z|x) || p(z)), averaged over data.

    Args:
        model: on any device; its mode and the global random stream are left as they were.
        data: what is evaluated.
        samples: draws per datum.
        batch_size: data per pass.
        seed: of the noise.
        limit: evaluate a random subset of this size.

    Raises:
        UnsupportedError: if the likelihood or a posterior has no density.
    """
    if samples < 1:
        raise ValueError(f"`samples` is {samples}; expected 1 or more")
    distortions: list[Tensor] = []
    rates: dict[str, list[Tensor]] = {}
    estimators: dict[str, Literal["closed", "sample"]] = {}
    with evaluating(model, seed):
        for batch, _ in loaded(data, model, seed=seed, limit=limit, size=batch_size):
            trace = model(batch, samples if samples > 1 else None)
            distortions.append(Distortion()(trace).double().cpu())
            for name, value, how in _rates(trace):
                rates.setdefault(name, []).append(value.double().cpu())
                estimators[name] = how
    distortion = torch.cat(distortions)
    parts = {name: torch.cat(values) for name, values in rates.items()}
    rate = sum(parts.values(), start=torch.zeros_like(distortion))  # without latents there is none
    return Elbo(
        *mean_and_error(-distortion - rate),
        *mean_and_error(distortion),
        *mean_and_error(rate),
        rates={name: float(values.mean()) for name, values in parts.items()},
        estimators=estimators,
        n=len(rate),
        samples=samples,
        seed=seed,
    )


def _rates(trace: Trace) -> Iterator[tuple[str, Tensor, Literal["closed", "sample"]]]:
    """Latent name, its rate (batch,), and how that was found."""
    size = len(trace.batch["x"])
    for name, latent in trace.latents.items():
        if has_closed_form(latent):
            yield name, per_datum(divergence(latent), trace).expand(size), "closed"
        else:
            ratio = latent.q.log_prob(latent.value) - latent.p.log_prob(latent.value)
            yield name, per_datum(ratio, trace).expand(size), "sample"


class _Estimate(NamedTuple):
    """log 1/K sum w and the effective sample size, (batch,) each, float64."""

    log_mean: Tensor
    ess: Tensor


def _weights(model: Model, batch: Batch, draws: int) -> Tensor:
    """Log weights, (draws, batch). A function, so that the trace is gone before the next one comes."""
    return log_weight(with_density(with_samples(model(batch, draws)))).double()


def draws_of(model: Model, samples: int) -> int:
    """Draws per datum that are worth making: without latents the likelihood is exact, and one is all."""
    return samples if model.names or samples < 1 else 1


def _estimate(model: Model, batch: Batch, samples: int, chunk: int | None, rows: int | None) -> _Estimate:
    """Streaming log-sum-exp of w and w^2 over chunks of draws."""
    samples = draws_of(model, samples)
    rows, chunk = fitting(batch, samples, chunk, rows, model.passes)
    keep_freed_memory()
    means, sizes = [], []
    for part in split_batch(batch, rows):
        first = second = torch.tensor(-math.inf, dtype=torch.float64, device=part["x"].device)
        for begin in range(0, samples, chunk):
            weights = _weights(model, part, min(chunk, samples - begin))
            first = torch.logaddexp(first, weights.logsumexp(0))
            second = torch.logaddexp(second, (2 * weights).logsumexp(0))
        means.append(first - math.log(samples))
        sizes.append(torch.exp(2 * first - second))
    return _Estimate(torch.cat(means), torch.cat(sizes))


def log_evidence(
    model: Model, batch: Batch, *, samples: int = 5000, seed: int = 0, chunk: int | None = None
) -> Tensor:
    """log 1/K sum_k p(x, z_k) / q(z_k|x) of every datum in a batch: (batch,) float64, nats.

    Args:
        model: on the device of the batch.
        batch: `x` (B, *event) and, in a conditional model, `c`. Of a model that infers labels, `y` makes it
            log p(x, y) where the label is known.
        samples: K, draws per datum.
        seed: of the noise.
        chunk: largest number of draws in one pass; None for one that keeps memory small.

    Raises:
        UnsupportedError: if the likelihood or a posterior has no density.
    """
    with evaluating(model, seed):
        values = _estimate(model, batch, samples, chunk, None).log_mean
    return values.clone()  # out of inference mode: an ordinary tensor


def nll(
    model: Model,
    data: Data,
    *,
    samples: int = 5000,
    seed: int = 0,
    limit: int | None = None,
    chunk: int | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> Nll:
    """-log p(x) by importance sampling from the posterior, mean over data of -log 1/K sum_k w_k.

    log w_k = log p(x, z_k) - log q(z_k|x), z_k ~ q(z|x): exactly K draws of every datum, whatever the chunk.
    Without latents the likelihood is exact, and K is 1, whatever was asked for.

    Args:
        model: on any device; its mode and the global random stream are left as they were.
        data: what is evaluated.
        samples: K, draws per datum.
        seed: of the noise.
        limit: evaluate a random subset of this size.
        chunk: largest number of draws of a datum in one pass; None for one that keeps memory small.
        batch_size: number of data in one pass; None likewise.
        progress: called with the number of data done and of all.

    Raises:
        UnsupportedError: if the likelihood or a posterior has no density.

    References:
        Importance Weighted Autoencoders. Burda, Grosse, Salakhutdinov, 2016, arXiv 1509.00519.
    """
    means, sizes, done, samples = [], [], 0, draws_of(model, samples)
    with evaluating(model, seed):
        for batch, total in loaded(data, model, seed=seed, limit=limit):
            rows, _ = fitting(batch, samples, chunk, batch_size, model.passes)
            for part in split_batch(batch, rows):
                estimate = _estimate(model, part, samples, chunk, rows)
                means.append(estimate.log_mean.cpu())
                sizes.append(estimate.ess.cpu())
                done += len(part["x"])
                if progress is not None:
                    progress(done, total)
    values, ess = torch.cat(means), torch.cat(sizes)
    mean, se = mean_and_error(-values)
    unknown = math.nan if model.names else 0.0
    variance = (
        (samples / ess - 1).clamp_min(0) / (samples - 1) if samples > 1 else torch.full_like(ess, unknown)
    )
    return Nll(
        nll=mean,
        se=se,
        mc_error=float(variance.sum().sqrt() / len(values)),
        mc_error_per_datum=float(variance.mean().sqrt()),
        median_ess=float(ess.median()),
        bits_per_dim=mean / (data.spec.dimensions * math.log(2)),
        n=len(values),
        samples=samples,
        seed=seed,
    )
