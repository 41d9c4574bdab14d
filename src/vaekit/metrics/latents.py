"""What the latents are used for: active units, rates per dimension, mutual information, marginal KL."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.data.batch import Data
from vaekit.distributions import DiagonalNormal
from vaekit.errors import UnsupportedError
from vaekit.metrics.passes import LOAD, Result, evaluating, loaded
from vaekit.models import Model, TopDown
from vaekit.terms import log_likelihood, log_ratio, rate_per_dimension

_BLOCK = 200  # data whose draws are set against the posteriors of as many others at once
_PAIR_ELEMENTS = 2**22


@dataclass(frozen=True)
class LatentUse(Result):
    """How many latent dimensions carry something.

    Args:
        active: latent name -> number of dimensions whose posterior mean varies by more than `threshold`.
        size: latent name -> number of its dimensions.
        variances: latent name -> variance over the data of the posterior mean, per dimension.
        rates: latent name -> KL(q || p) per dimension, mean over the data, nats; None where it is no sum over
            dimensions with a closed form (correlated posteriors, mixtures as priors, chains of latents).
        threshold: 0.01 in the literature.
        n: number of data.
    """

    active: dict[str, int]
    size: dict[str, int]
    variances: dict[str, list[float]]
    rates: dict[str, list[float] | None]
    threshold: float
    n: int


@dataclass(frozen=True)
class Information(Result):
    """The rate, split: rate = mutual_information + marginal_kl, all from one sample, nats per datum.

    With the distortion this is the bound of Hoffman and Johnson (2016):
    elbo = -distortion - mutual_information - marginal_kl.

    Args:
        mutual_information: I_q = E[log q(z|x) - log q(z)], q(z) = 1/N sum_j q(z|x_j), own x included.
        marginal_kl: KL(q(z) || p(z)) = rate - mutual_information.
        rate: E[log q(z|x) - log p(z)] at the same draws.
        distortion: -E log p(x|z) at the same draws.
        bound: ln N, which the estimate of I_q cannot pass: near it, more data would give more.
        n: N.
        seed: of the noise.
    """

    mutual_information: float
    marginal_kl: float
    rate: float
    distortion: float
    bound: float
    n: int
    seed: int


def latent_use(
    model: Model, data: Data, *, threshold: float = 0.01, seed: int = 0, limit: int | None = None
) -> LatentUse:
    """Active units, AU = #{j : Var_x(E_q[z_j]) > threshold}, and the rate of every dimension.

    In a chain of latents, the mean of a level is taken at the means of the level below.

    Args:
        model: on any device; its mode and the global random stream are left as they were.
        data: what is encoded.
        threshold: of the variance.
        seed: of the subset and of the randomness in the data.
        limit: use a random subset of this size.

    Raises:
        UnsupportedError: if there are no latents, or they are code numbers.

    References:
        Importance Weighted Autoencoders. Burda, Grosse, Salakhutdinov, 2016, arXiv 1509.00519, section 5.
    """
    _refuse_none(model)
    means: dict[str, list[Tensor]] = {name: [] for name in model.names}
    rates: dict[str, list[Tensor] | None] = {name: [] for name in model.names}
    with evaluating(model, seed):
        for batch, _ in loaded(data, model, seed=seed, limit=limit, size=LOAD):
            for name, mean in model.encode(batch).items():
                if not mean.is_floating_point():
                    raise UnsupportedError(
                        f"latent {name!r} is encoded as code numbers, whose variance says nothing: see "
                        "`code_use` for how many of its codes are used"
                    )
                means[name].append(mean.flatten(1).double().cpu())
            trace = model(batch)
            for name, latent in trace.latents.items():
                found = rate_per_dimension(latent) if latent.closed else None
                if found is not None and trace.weights is not None:
                    found = (trace.weights.unsqueeze(-1) * found.flatten(2)).sum(0)  # expected over labels
                collected = rates[name]
                if found is None or collected is None:
                    rates[name] = None
                else:
                    collected.append(found.flatten(1).double().cpu())
    joined = {name: torch.cat(values) for name, values in means.items()}
    variances = {name: values.var(0, correction=0) for name, values in joined.items()}
    return LatentUse(
        active={name: int((values > threshold).sum()) for name, values in variances.items()},
        size={name: len(values) for name, values in variances.items()},
        variances={name: values.tolist() for name, values in variances.items()},
        rates={
            name: None if values is None else torch.cat(values).mean(0).tolist()
            for name, values in rates.items()
        },
        threshold=threshold,
        n=len(next(iter(joined.values()))),
    )


def _refuse_none(model: Model) -> None:
    if not model.names:
        raise UnsupportedError("the model has no latents, so that there is no use of them to measure")


def mutual_information(model: Model, data: Data, *, n: int = 2000, seed: int = 0) -> Information:
    """I_q(x; z) and KL(q(z) || p(z)), with one draw of z per x and all N x N densities log q(z_i|x_j).

    Of a chain of latents only those that are drawn given x enter I_q: z = (z1, ..., zL) tells no more of x
    than z1 does.

    Args:
        model: on any device; its mode and the global random stream are left as they were.
        data: what is encoded.
        n: N, the number of data, drawn at random if there are more; the time grows with its square.
        seed: of the subset and of the noise.

    Raises:
        UnsupportedError: if a posterior has no density, the model is a hierarchy inferred from the top, or
            the prior depends on a condition (then rate - I_q is not the divergence of two marginals).

    References:
        ELBO surgery. Hoffman, Johnson, 2016.
    """
    _refuse_none(model)
    if isinstance(model, TopDown):
        raise UnsupportedError(
            "every level of this hierarchy sees the data and the draws above, so that log q(z) of N draws "
            "would take N x N passes: mutual information is for one level, or for chains"
        )
    posteriors: list[dict[str, Distribution]] = []
    values: list[dict[str, Tensor]] = []
    rates, distortions = [], []
    with evaluating(model, seed):
        for batch, _ in loaded(data, model, seed=seed, limit=n, size=_BLOCK):
            trace = model(batch)
            if trace.axes != ("batch",):
                raise UnsupportedError(
                    f"the trace has the axes {trace.axes}; mutual information is estimated from one draw for "
                    "every datum, and the posterior of a latent beside a label is a mixture over labels"
                )
            if "c" in batch and any(latent.p.batch_shape for latent in trace.latents.values()):
                raise UnsupportedError(
                    "the prior depends on the condition, so that q(z) has no prior to be compared with: "
                    "mutual information and marginal KL are for models with one prior"
                )
            free = {name: latent for name, latent in trace.latents.items() if not latent.chained}
            posteriors.append({name: latent.q for name, latent in free.items()})
            values.append({name: latent.value for name, latent in free.items()})
            distortions.append(-log_likelihood(trace).double())
            rates.append(-torch.as_tensor(log_ratio(trace)).double())
        information = torch.cat(
            [_own_against_all(drawn, i, posteriors) for i, drawn in enumerate(values)]
        ).mean()
    rate, distortion = float(torch.cat(rates).mean()), float(torch.cat(distortions).mean())
    count = sum(map(len, rates))
    return Information(
        mutual_information=float(information),
        marginal_kl=rate - float(information),
        rate=rate,
        distortion=distortion,
        bound=math.log(count),
        n=count,
        seed=seed,
    )


def _own_against_all(
    drawn: dict[str, Tensor], block: int, posteriors: list[dict[str, Distribution]]
) -> Tensor:
    """log q(z_i|x_i) - log 1/N sum_j q(z_i|x_j) for the draws of one block: (block,) float64."""
    against = [_pairs(drawn, q) for q in posteriors]
    own = against[block].diagonal()
    everything = torch.cat(against, 1)
    return own - everything.logsumexp(1) + math.log(everything.shape[1])


def _pairs(drawn: dict[str, Tensor], q: dict[str, Distribution]) -> Tensor:
    """sum over latents of log q(z_i|x_j): (i, j) float64."""
    total: Tensor | None = None
    for name, posterior in q.items():
        value = drawn[name]
        per_row = posterior.batch_shape.numel() * value[0].numel() * _width(posterior)
        rows = max(1, _PAIR_ELEMENTS // per_row)
        # a draw gets an axis of its own before the one of the posteriors
        found = torch.cat([posterior.log_prob(z.unsqueeze(1)).double() for z in value.split(rows)])
        total = found if total is None else total + found
    if total is None:
        raise UnsupportedError("the model has no latent that is drawn given x")
    return total


def _width(posterior: Distribution) -> int:
    """What a density costs in memory per element: a matrix row where dimensions are correlated."""
    return 1 if isinstance(posterior, DiagonalNormal) else max(1, posterior.event_shape.numel())
