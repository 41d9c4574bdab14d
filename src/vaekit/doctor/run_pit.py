"""Where data fall in the distribution that the model gives them: uniform on [0, 1] where it is right."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.distributions import ContinuousBernoulli, DiagonalNormal, DiscretisedLogistic, Laplace, Poisson

CENTRAL = (0.5, 0.9)
"""Central intervals whose coverage is counted."""


def transform(p: Distribution, x: Tensor) -> Tensor | None:
    """F(x) of every element, (*shape of x), or None where p is no density or count of single elements.

    Of counts and levels, F is drawn between its values below and at x, which makes it uniform too. The draw
    is from torch's global generator.

    Args:
        p: a distribution over x.
        x: data, (N, *event).

    References:
        Czado, Gneiting, Held, Predictive Model Assessment for Count Data, Biometrics 65, 2009.
    """
    if isinstance(p, DiagonalNormal):
        found: Tensor = 0.5 * torch.erfc(-(x - p.mean) * (-p.log_std).exp() / math.sqrt(2))
        return found
    if isinstance(p, Laplace):
        distance = (x - p.mean) * (-p.log_scale).exp()
        tail = 0.5 * (-distance.abs()).exp()
        return torch.where(distance < 0, tail, 1 - tail)
    if isinstance(p, ContinuousBernoulli):
        # (e^(l x) - 1) / (e^l - 1), with the larger exponential taken out
        size = p.logits.abs().clamp_min(1e-4)
        near = torch.where(p.logits < 0, x, 1 - x)  # distance from the end where the density is high
        upper = -torch.expm1(-size * near) / -torch.expm1(-size)
        inside: Tensor = torch.where(p.logits < 0, upper, 1 - upper)
        return inside
    if isinstance(p, DiscretisedLogistic):
        half, inverse = 0.5 / (p.levels - 1), (-p.log_scale).exp()
        low = torch.where(x < half, 0.0, ((x - half - p.loc) * inverse).sigmoid())
        high = torch.where(x > 1 - half, 1.0, ((x + half - p.loc) * inverse).sigmoid())
        return low + torch.rand_like(low) * (high - low)
    if isinstance(p, Poisson):
        rate = p.mean
        high = torch.special.gammaincc(x + 1, rate)
        low = torch.where(x > 0, torch.special.gammaincc(x.clamp_min(1), rate), 0.0)
        drawn: Tensor = low + torch.rand_like(low) * (high - low)
        return drawn
    return None


def coverage(values: Tensor) -> list[tuple[float, float, float]]:
    """(interval, share of elements inside, standard error over data) of F(x), (N, D)."""
    found = []
    for level in CENTRAL:
        inside = ((values - 0.5).abs() <= level / 2).double().mean(1)
        error = float(inside.std()) / math.sqrt(len(inside)) if len(inside) > 1 else math.nan
        found.append((level, float(inside.mean()), error))
    return found


def worded(covered: list[tuple[float, float, float]]) -> str:
    """The coverage in words."""
    parts = [
        f"{100 * share:.0f} +- {100 * error:.1f} % in the central {100 * level:.0f} %"
        for level, share, error in covered
    ]
    return f"Of held-out values lie {', '.join(parts)} of what p(x|z) says."
