"""The best constant predictor: what the likelihood costs without any latent. It is the zero of every gain."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.conditionals import FixedGaussian
from vaekit.distributions import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    DiagonalNormal,
    DiscretisedLogistic,
    Laplace,
    Poisson,
    SparsePrecisionNormal,
)
from vaekit.doctor.run_subject import Subject

_SMALLEST = 1e-6
_HALVINGS = 60  # of an interval of 120 logits, down to rounding


def constant_cost(subject: Subject) -> Tensor | None:
    """-log p_0(x) of held-out data, (N,) float64, nats; p_0 is fitted to the training data.

    p_0 has the family of the model's likelihood and the same parameters for every datum: a mean for every
    element, and a scale for every element, or one for all, as the likelihood has it. A scale that is given,
    not learned, stays what it is. None for families that have no such member here.
    """
    if subject.likelihood is None:
        return None
    fixed = isinstance(subject.model.likelihood, FixedGaussian)
    constant = fitted(subject.likelihood, subject.train.x, fixed=fixed)
    return None if constant is None else -constant.log_prob(subject.held_out.x.double())


def fitted(p: Distribution, x: Tensor, *, fixed: bool = False) -> Distribution | None:
    """The member of p's family that is the same for every datum and fits x best: no batch axes, or None.

    Args:
        p: of the model, for some data.
        x: (N, *event).
        fixed: whether the scale of a Gaussian is given.
    """
    x = x.double()
    mean, dims = x.mean(0), x.dim() - 1
    # never certain: half a datum more on either side
    inside = (mean * len(x) + 0.5) / (len(x) + 1)
    if isinstance(p, Bernoulli):
        return Bernoulli(inside.clamp(0, 1).logit(), dims, p.grey)
    if isinstance(p, ContinuousBernoulli):
        return ContinuousBernoulli(_logits_of(inside), dims)
    if isinstance(p, DiagonalNormal):
        if fixed:
            return DiagonalNormal(mean, p.log_std.double(), dims)
        return DiagonalNormal(mean, _shared((x - mean).square(), p.log_std).sqrt().log(), dims)
    if isinstance(p, SparsePrecisionNormal):
        return DiagonalNormal(mean, (x - mean).square().mean(0).clamp_min(_SMALLEST).sqrt().log(), dims)
    if isinstance(p, Laplace):
        centre = x.median(0).values
        return Laplace(centre, _shared((x - centre).abs(), p.log_scale).log(), dims)
    if isinstance(p, Poisson):
        return Poisson(((mean * len(x) + 0.5) / len(x)).log(), dims)
    if isinstance(p, Categorical):
        counts = torch.nn.functional.one_hot(x.long(), p.logits.shape[-1]).double().mean(0)
        return Categorical(((counts * len(x) + 0.5) / len(x)).log(), dims)
    if isinstance(p, DiscretisedLogistic):
        spread = x.std(0).clamp_min(0.5 / (p.levels - 1))
        return DiscretisedLogistic(mean, (spread * math.sqrt(3) / math.pi).log(), p.levels, dims)
    return None


def _shared(values: Tensor, scale: Tensor) -> Tensor:
    """The mean of values (N, *event): one number where the scale is one, else one for every element."""
    found = values.mean() if not scale.dim() else values.mean(0)
    return found.clamp_min(_SMALLEST)


def _logits_of(mean: Tensor) -> Tensor:
    """The logits at which continuous Bernoulli variables have these means, by halving an interval."""
    low, high = torch.full_like(mean, -60.0), torch.full_like(mean, 60.0)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        above = ContinuousBernoulli(middle).mean > mean
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return 0.5 * (low + high)
