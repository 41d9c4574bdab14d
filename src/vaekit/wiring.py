"""Parts by name: what the typed arguments of recipes mean, and what fits which data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, get_args

import torch
from torch import nn

from vaekit import conditionals as c
from vaekit.conditionals.parts import MakeNetwork, Shape
from vaekit.data.spec import Kind, Spec
from vaekit.errors import UnsupportedError
from vaekit.networks import Architecture, make_decoder, make_encoder
from vaekit.procedures import MakeOptimizer

PosteriorName = Literal["diagonal", "full", "low_rank", "rank_one"]
"""diagonal: independent dimensions. full: covariance by its Cholesky factor. low_rank: diagonal plus U U^T.
rank_one: precision diagonal plus u u^T (DLGM)."""

PriorName = Literal["standard", "learned", "mixture"]
"""standard: N(0, I). learned: one Gaussian. mixture: ten Gaussians, learned."""

LikelihoodName = Literal[
    "auto", "bernoulli", "continuous_bernoulli", "gaussian", "gaussian_fixed", "gaussian_optimal",
    "gaussian_pixel", "laplace", "logistic", "poisson", "categorical",
]  # fmt: skip
"""auto: by the kind of the data. gaussian: one learned variance. gaussian_fixed: unit variance.
gaussian_optimal: the best variance for the batch. gaussian_pixel: a variance for every element, from the
network. logistic: discretised logistic."""

_FITS: dict[str, tuple[Kind, ...]] = {
    "bernoulli": ("binary",),
    "continuous_bernoulli": ("unit",),
    "logistic": ("unit",),
    "categorical": ("categorical",),
    "poisson": ("count",),
    "laplace": ("real", "unit"),
    "gaussian": ("real", "unit"),
    "gaussian_fixed": ("real", "unit"),
    "gaussian_optimal": ("real", "unit"),
    "gaussian_pixel": ("real", "unit"),
}
_DEFAULT: dict[Kind, LikelihoodName] = {
    "binary": "bernoulli",
    "unit": "continuous_bernoulli",
    "real": "gaussian",
    "count": "poisson",
    "categorical": "categorical",
}


def likelihood_for(name: LikelihoodName, spec: Spec) -> LikelihoodName:
    """The likelihood that "auto" means for this data, or the named one if it fits.

    Raises:
        UnsupportedError: if it would not be a density of this kind of data.
    """
    if name == "auto":
        return _DEFAULT[spec.kind]
    _known("likelihood", name, LikelihoodName)
    if spec.kind not in _FITS[name]:
        others = ", ".join(other for other, kinds in _FITS.items() if spec.kind in kinds)
        raise UnsupportedError(
            f"`likelihood` is {name!r}, which is made for {' and '.join(_FITS[name])} data; {spec.name!r} is "
            f"{spec.kind}: take one of {others}"
        )
    if name == "logistic" and spec.levels is None:
        raise UnsupportedError(
            f"`likelihood` is 'logistic', which needs quantised data; {spec.name!r} has no number of levels: "
            "take continuous_bernoulli or gaussian"
        )
    return name


def make_likelihood(name: LikelihoodName, spec: Spec, network: MakeNetwork, sigma: float = 1.0) -> nn.Module:
    """The likelihood of one datum; `sigma` is for "gaussian_fixed" alone."""
    chosen = likelihood_for(name, spec)
    made: dict[str, Callable[[MakeNetwork, Shape], nn.Module]] = {
        "bernoulli": c.Bernoulli,
        "continuous_bernoulli": c.ContinuousBernoulli,
        "logistic": partial(c.DiscretisedLogistic, levels=spec.levels or 2),
        "categorical": partial(c.Categorical, levels=spec.levels or 2),
        "poisson": c.Poisson,
        "laplace": c.Laplace,
        "gaussian": c.SharedGaussian,
        "gaussian_fixed": partial(c.FixedGaussian, sigma=sigma),
        "gaussian_optimal": c.OptimalGaussian,
        "gaussian_pixel": c.PixelGaussian,
    }
    return made[chosen](network, spec.shape)


def make_posterior(name: PosteriorName, network: MakeNetwork, latents: int) -> nn.Module:
    """The posterior over a latent vector of `latents` dimensions."""
    _known("posterior", name, PosteriorName)
    made: dict[PosteriorName, Callable[[MakeNetwork, Shape], nn.Module]] = {
        "diagonal": c.Gaussian,
        "full": c.CholeskyGaussian,
        "low_rank": c.LowRankGaussian,
        "rank_one": c.RankOneGaussian,
    }
    return made[name](network, (latents,))


def make_prior(name: PriorName, latents: int) -> nn.Module:
    """A prior over a latent vector of `latents` dimensions."""
    _known("prior", name, PriorName)
    made: dict[PriorName, Callable[[Shape], nn.Module]] = {
        "standard": c.StandardGaussian,
        "learned": c.LearnedGaussian,
        "mixture": c.GaussianMixture,
    }
    return made[name]((latents,))


def encoder_of(
    spec: Spec, architecture: Architecture, hidden: Sequence[int] | None, extra: Sequence[Shape] = ()
) -> MakeNetwork:
    """Networks from x, the condition where the data has one, and `extra` inputs."""
    inputs = [spec.shape, *conditions(spec), *extra]
    return lambda output: make_encoder(architecture, inputs, output, hidden)


def decoder_of(
    spec: Spec, architecture: Architecture, hidden: Sequence[int] | None, latents: Sequence[int]
) -> MakeNetwork:
    """Networks from one or more latent vectors, and the condition where the data has one, to x."""
    inputs = [*((n,) for n in latents), *conditions(spec)]
    return lambda output: make_decoder(architecture, inputs, output, hidden)


def conditions(spec: Spec) -> list[Shape]:
    """[event shape of c], or []."""
    return [] if spec.context is None else [spec.context]


def adam(learning_rate: float) -> MakeOptimizer:
    """Adam at a learning rate; fused, where the device can."""
    if not learning_rate > 0:
        raise ValueError(f"`learning_rate` is {learning_rate}; expected a positive number")
    return lambda parameters: torch.optim.Adam(parameters, lr=learning_rate)


def _known(argument: str, value: str, names: object) -> None:
    if value not in get_args(names):
        raise ValueError(f"`{argument}` is {value!r}; expected one of {', '.join(get_args(names))}")
