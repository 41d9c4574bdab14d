"""Metrics by annealed importance sampling: likelihood of data, bounds from both sides."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.metrics.annealing import PLAIN, Annealing, Path, Start, anneal, pilot
from vaekit.metrics.evidence import mean_and_error
from vaekit.metrics.passes import Progress, Result, evaluating, fitting, loaded, split_batch
from vaekit.models import Model
from vaekit.terms import effective_sample_size, log_mean_exp
from vaekit.trace import Batch


@dataclass(frozen=True)
class Ais(Result):
    """Negative log-likelihood by annealed importance sampling, nats per datum: in expectation an upper bound.

    Args:
        nll: mean over the data; `se` is its standard error over the data.
        mc_error: standard error of `nll` that comes from the finite number of chains, for these data.
        mc_error_per_datum: the same of one datum's value (root mean square over the data).
        median_ess: median over the data of the effective number of chains.
        acceptance: mean acceptance probability of the transitions.
        chains: per datum.
        steps: T, increments of the path.
        start: where the path starts.
        n: number of data.
        seed: of the noise.
    """

    nll: float
    se: float
    mc_error: float
    mc_error_per_datum: float
    median_ess: float
    acceptance: float
    chains: int
    steps: int
    start: Start
    n: int
    seed: int


@dataclass(frozen=True)
class Bdmc(Result):
    """Bidirectional Monte Carlo on data that the model itself made: lower <= mean log p(x) <= upper, nats.

    Args:
        lower: forward annealing, mean of log p(x) over the simulated data.
        upper: reverse annealing from the exact posterior draw that made each datum.
        gap: upper - lower: bounds the error of both; `gap_se` is its standard error over the data.
        acceptance: mean acceptance probability of the transitions.
        chains: per datum and direction.
        steps: T, increments of the path.
        start: where the forward path starts.
        n: number of simulated data.
        seed: of the noise.
    """

    lower: float
    upper: float
    gap: float
    gap_se: float
    acceptance: float
    chains: int
    steps: int
    start: Start
    n: int
    seed: int


def _in_type(model: Model, dtype: torch.dtype | None) -> Model:
    return model if dtype is None else copy.deepcopy(model).to(dtype)


def _pieces(
    model: Model, data: Data, how: Annealing, seed: int, limit: int | None, progress: Progress | None
) -> Iterator[Batch]:
    """Batches of which all chains fit into one pass."""
    done = 0
    for batch, total in loaded(data, model, seed=seed, limit=limit):
        rows, _ = fitting(batch, how.chains, chunk=how.chains)
        for part in split_batch(batch, rows):
            yield part
            done += len(part["x"])
            if progress is not None:
                progress(done, total)


def annealed_weights(model: Model, batch: Batch, how: Annealing = PLAIN, *, seed: int = 0) -> Tensor:
    """Log weights of forward annealing, (chain, batch) float64: their log-mean-exp estimates log p(x).

    Args:
        model: on the device and in the floating type of the batch; its latents independent and continuous.
        batch: `x` (B, *event) and, in a conditional model, `c`.
        how: chains, steps and so on.
        seed: of the noise.

    Raises:
        UnsupportedError: if latents are chained, or the likelihood has no density.
    """
    with evaluating(model, seed, gradients=True):
        path = Path(model, batch, how.start)
        return anneal(path, path.begin(how.chains), how, pilot(path, how), backwards=False).weights


def ais(
    model: Model,
    data: Data,
    how: Annealing = PLAIN,
    *,
    seed: int = 0,
    limit: int | None = None,
    dtype: torch.dtype | None = None,
    progress: Progress | None = None,
) -> Ais:
    """-log p(x) by annealed importance sampling, mean over data; all chains of many data run as one batch.

    Args:
        model: of independent, continuous latents; its mode and the global random stream stay as they were.
        data: what is evaluated.
        how: chains, steps and so on.
        seed: of the noise.
        limit: evaluate a random subset of this size.
        dtype: run a copy of the model in this type, such as torch.float64.
        progress: called with the number of data done and of all.

    Raises:
        UnsupportedError: if latents are chained, or the likelihood has no density.
    """
    model = _in_type(model, dtype)
    weights, acceptance = [], []
    with evaluating(model, seed, gradients=True):
        for batch in _pieces(model, data, how, seed, limit, progress):
            path = Path(model, batch, how.start)
            found = anneal(path, path.begin(how.chains), how, pilot(path, how), backwards=False)
            weights.append(found.weights.cpu())
            acceptance.append(found.acceptance.cpu())
    log_weights = torch.cat(weights, 1)
    ess = effective_sample_size(log_weights)
    variance = (how.chains / ess - 1).clamp_min(0) / (how.chains - 1) if how.chains > 1 else ess * math.nan
    mean, se = mean_and_error(-log_mean_exp(log_weights))
    return Ais(
        nll=mean,
        se=se,
        mc_error=float(variance.sum().sqrt() / len(ess)),
        mc_error_per_datum=float(variance.mean().sqrt()),
        median_ess=float(ess.median()),
        acceptance=float(torch.stack(acceptance).mean()),
        chains=how.chains,
        steps=how.steps,
        start=how.start,
        n=len(ess),
        seed=seed,
    )


def bdmc(
    model: Model,
    data: Data,
    how: Annealing = PLAIN,
    *,
    seed: int = 0,
    limit: int | None = None,
    dtype: torch.dtype | None = None,
    progress: Progress | None = None,
) -> Bdmc:
    """Forward and reverse annealing on simulated data: the exact log p(x) lies between, in expectation.

    Every datum is replaced by z ~ p(z|c), x ~ p(x|z): its z is an exact draw from the posterior, from which
    the reverse path starts. E exp(-reverse weight) = 1 / p(x), so that minus its log is an upper bound.

    Args:
        model: a `Flat` one, with a likelihood that can be sampled.
        data: only its size, shapes and conditions matter.
        how: chains, steps and so on.
        seed: of the noise.
        limit: number of simulated data, if fewer than `data` holds.
        dtype: run a copy of the model in this type, such as torch.float64.
        progress: called with the number of data done and of all.

    Raises:
        UnsupportedError: if latents are chained, or the likelihood has no density.
    """
    model = _in_type(model, dtype)
    lower: list[Tensor] = []
    upper: list[Tensor] = []
    acceptance: list[Tensor] = []
    with evaluating(model, seed, gradients=True):
        for batch in _pieces(model, data, how, seed, limit, progress):
            Path(model, batch, how.start)  # refuses before anything is simulated
            made = model(batch, branches=("prior",)).branches["prior"]
            simulated = {**batch, "x": made.observed["x"].p.sample()}
            path = Path(model, simulated, how.start)
            log_steps = pilot(path, how)
            forward = anneal(path, path.begin(how.chains), how, log_steps, backwards=False)
            exact = path.join({name: latent.value.unsqueeze(0) for name, latent in made.latents.items()})
            reverse = anneal(path, exact.repeat(how.chains, 1, 1), how, log_steps, backwards=True)
            lower.append(log_mean_exp(forward.weights).cpu())
            upper.append(-log_mean_exp(reverse.weights).cpu())
            acceptance.extend((forward.acceptance.cpu(), reverse.acceptance.cpu()))
    low, high = torch.cat(lower), torch.cat(upper)
    gap, gap_se = mean_and_error(high - low)
    return Bdmc(
        lower=float(low.mean()),
        upper=float(high.mean()),
        gap=gap,
        gap_se=gap_se,
        acceptance=float(torch.stack(acceptance).mean()),
        chains=how.chains,
        steps=how.steps,
        start=how.start,
        n=len(low),
        seed=seed,
    )
