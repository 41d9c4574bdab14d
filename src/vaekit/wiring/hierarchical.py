"""Priors of several levels over one latent vector, and weights that wait for the reconstruction."""

from __future__ import annotations

from typing import Literal, cast

from torch import nn

from vaekit import conditionals as c
from vaekit.checks import known
from vaekit.conditionals.parts import Shape
from vaekit.controllers import Growth
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Chain, Flat
from vaekit.schedules import Weight
from vaekit.wiring.names import PriorName, make_prior
from vaekit.wiring.networks import network_from, unconditional
from vaekit.wiring.players import rising

FieldPrior = Literal["hierarchical", "full", "standard", "scaled"]
"""hierarchical: a Gaussian whose mean is a function of another latent, N(0, I). full: its scales too.
standard: N(0, I). scaled: N(0, diag(v)) with v from 1 to 2."""

WeightRule = Literal["grown", "rising"]
"""grown: by what the reconstruction has come to. rising: in a straight line."""


def with_field_prior(
    prior: FieldPrior, spec: Spec, posterior: nn.Module, likelihood: nn.Module, latents: int
) -> Flat | Chain:
    """q(z|x), p(x|z) and a prior by its name: a chain of z1 = z and z2 = xi where it has two levels.

    The networks of the levels are d-8d-8d-d with ReLU.

    Raises:
        UnsupportedError: if the data have a condition.
    """
    known("prior", prior, FieldPrior)
    unconditional(spec, "a prior of several levels")
    if prior in ("standard", "scaled"):
        return Flat(posterior, make_prior(cast(PriorName, prior), latents), likelihood)
    event: Shape = (latents,)
    between = network_from([event], "mlp", (8 * latents, 8 * latents))

    def level() -> nn.Module:
        return c.Gaussian(between, event) if prior == "full" else c.SharedGaussian(between, event, event)

    return Chain([posterior, level()], [level(), make_prior("standard", latents)], likelihood)


def weight_by_rule(rule: WeightRule, spec: Spec, start: int, nu: float | None) -> Weight:
    """The weight of the rate: 0 for `start` steps and then grown, or rising to 1 over them.

    Raises:
        UnsupportedError: if the reconstruction of such data never falls below 0, or `nu` is given in vain.
    """
    known("weight", rule, WeightRule)
    if rule == "rising":
        if nu is not None:
            raise UnsupportedError(
                f"`nu` is {nu}, but a weight that rises in a straight line has no such pace: leave it out, "
                "or take weight grown"
            )
        return rising(start)
    if spec.kind not in ("real", "unit"):
        raise UnsupportedError(
            f"a grown weight waits for a density above 1, which {spec.kind} data do not have: take weight "
            "rising"
        )
    return Growth("distortion", spec.dimensions, nu=0.005 if nu is None else nu, start=start)
