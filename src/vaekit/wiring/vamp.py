"""The prior of the VampPrior's systems, by name, beside those that it is compared with."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn

from vaekit import conditionals as c
from vaekit.checks import known, number, whole
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError

AggregateName = Literal["vamp", "mixture", "standard"]
"""vamp: a mixture of posteriors at learned pseudo-inputs. mixture: as many Gaussians, learned freely.
standard: N(0, I)."""

COMPONENTS = 500
START, START_REAL = (0.05, 0.01), (0.0, 1.0)


def make_aggregate(
    name: AggregateName,
    spec: Spec,
    posterior: nn.Module,
    latents: int,
    components: int | None = None,
    mean: float | None = None,
    std: float | None = None,
) -> nn.Module:
    """The prior of latents whose posterior is a conditional of x alone.

    Args:
        name: which.
        spec: the data; the pseudo-inputs stay in their range.
        posterior: q(z|x), which the VampPrior shares.
        latents: dimensions of z.
        components: of vamp and mixture; 500 if nothing is said.
        mean: of the normal distribution that the elements of the pseudo-inputs start from; if nothing is
            said, 0.05, or 0 for real data.
        std: its standard deviation; if nothing is said, 0.01, or 1 for real data.

    Raises:
        UnsupportedError: if something is said that this prior has no place for.
    """
    known("prior", name, AggregateName)
    for argument, value, place in (
        ("components", components, ("vamp", "mixture")),
        ("pseudo_mean", mean, ("vamp",)),
        ("pseudo_std", std, ("vamp",)),
    ):
        if value is not None and name not in place:
            raise UnsupportedError(
                f"`{argument}` is {value}, but the prior {name!r} has none: leave it out, or take prior "
                f"{' or '.join(place)}"
            )
    event = (whole("latents", latents),)
    count = whole("components", COMPONENTS if components is None else components)
    if name == "standard":
        return c.StandardGaussian(event)
    if name == "mixture":
        return c.GaussianMixture(event, count)
    usual = START_REAL if spec.kind == "real" else START
    centre = number("pseudo_mean", usual[0] if mean is None else mean)
    spread = number("pseudo_std", usual[1] if std is None else std, least=0)
    inputs = centre + spread * torch.randn(count, *spec.shape)
    bounds = bounds_of(spec)
    return c.VampPrior(posterior, inputs if bounds is None else inputs.clamp(*bounds), bounds)


def bounds_of(spec: Spec) -> tuple[float, float] | None:
    """The range of an element of the data, or None."""
    if spec.kind == "real":
        return None
    tops = {"binary": 1.0, "unit": 1.0, "count": math.inf, "categorical": float((spec.levels or 2) - 1)}
    return 0.0, tops[spec.kind]
