"""Conditionals and estimators by name: what the typed arguments of recipes mean, and what fits which data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import nn

from vaekit import conditionals as c
from vaekit.checks import known, whole
from vaekit.conditionals.parts import MakeNetwork, Shape
from vaekit.data.spec import Kind, Spec
from vaekit.errors import UnsupportedError
from vaekit.terms import Distortion, Rate, SquaredError
from vaekit.terms.elbo import Estimator

PosteriorName = Literal["diagonal", "full", "low_rank", "rank_one"]
"""diagonal: independent dimensions. full: covariance by its Cholesky factor. low_rank: diagonal plus U U^T.
rank_one: precision diagonal plus u u^T (DLGM)."""

PriorName = Literal["standard", "learned", "mixture", "flow", "scaled"]
"""standard: N(0, I). learned: one Gaussian. mixture: Gaussians, learned. flow: a masked autoregressive flow
of three maps (needs zuko). scaled: N(0, diag(v)) with v from 1 to 2, which no rotation leaves as it is."""

COMPONENTS = 10

LikelihoodName = Literal[
    "auto", "bernoulli", "cross_entropy", "continuous_bernoulli", "gaussian", "gaussian_fixed",
    "gaussian_bounded", "gaussian_optimal", "gaussian_map", "gaussian_pixel", "laplace", "logistic",
    "poisson", "categorical",
]  # fmt: skip
"""auto: by the kind of the data. cross_entropy: Bernoulli on grey levels, the mean of log p over pixels drawn
with them, as most studies of images train; no density of the levels. gaussian: one learned variance.
gaussian_fixed: unit variance. gaussian_bounded: unit variance around the sigmoid of the network's output, as
programs train that end in [0, 1] and take half the squared error. gaussian_optimal: the best variance for the
batch. gaussian_map: a learned variance for every place, the same for all data and channels. gaussian_pixel: a
variance for every element, from the network. logistic: discretised logistic."""

Reconstruction = Literal["point", "point_bounded", LikelihoodName]
"""A likelihood by its name, or point: a decoder without density, by its squared error; point_bounded: that of
the sigmoid of the network's output."""

_FITS: dict[str, tuple[Kind, ...]] = {
    "bernoulli": ("binary",),
    "cross_entropy": ("unit",),
    "continuous_bernoulli": ("unit",),
    "logistic": ("unit",),
    "categorical": ("categorical",),
    "poisson": ("count",),
    "laplace": ("real", "unit"),
    "gaussian": ("real", "unit"),
    "gaussian_fixed": ("real", "unit"),
    "gaussian_bounded": ("real", "unit"),
    "gaussian_optimal": ("real", "unit"),
    "gaussian_map": ("real", "unit"),
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
    known("likelihood", name, LikelihoodName)
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
        "cross_entropy": partial(c.Bernoulli, grey=True),
        "continuous_bernoulli": c.ContinuousBernoulli,
        "logistic": partial(c.DiscretisedLogistic, levels=spec.levels or 2),
        "categorical": partial(c.Categorical, levels=spec.levels or 2),
        "poisson": c.Poisson,
        "laplace": c.Laplace,
        "gaussian": c.SharedGaussian,
        "gaussian_fixed": partial(c.FixedGaussian, sigma=sigma),
        "gaussian_bounded": partial(c.FixedGaussian, bounded=True),
        "gaussian_optimal": c.OptimalGaussian,
        "gaussian_map": partial(
            c.SharedGaussian, scales=spec.shape if len(spec.shape) == 1 else (1, *spec.shape[1:])
        ),
        "gaussian_pixel": c.PixelGaussian,
    }
    return made[chosen](network, spec.shape)


def make_reconstruction(
    name: Reconstruction, spec: Spec, network: MakeNetwork
) -> tuple[nn.Module, str, Distortion | SquaredError]:
    """What ends in the data, and the name and the term of what it costs: a likelihood, or a point.

    Raises:
        UnsupportedError: if a point is asked for where the data are no measured values, or the likelihood
            does not fit the data.
    """
    if name != "point" and name != "point_bounded":  # one by one, which the type checker follows
        return make_likelihood(name, spec, network), "distortion", Distortion()
    if spec.kind in ("count", "categorical"):
        raise UnsupportedError(
            f"`likelihood` is {name!r}, whose squared error is for measured values; {spec.name!r} is "
            f"{spec.kind}: take likelihood auto"
        )
    point = c.Deterministic(network, spec.shape, bounded=name == "point_bounded")
    return point, "squared_error", SquaredError()


def make_posterior(
    name: PosteriorName, network: MakeNetwork, latents: int, rank: int | None = None
) -> nn.Module:
    """The posterior over `latents` dimensions; `rank` (1 if nothing is said) is for "low_rank" alone."""
    known("posterior", name, PosteriorName)
    event = (whole("latents", latents),)
    if name == "low_rank":
        return c.LowRankGaussian(network, event, whole("rank", 1 if rank is None else rank))
    if rank is not None:
        raise UnsupportedError(
            f"`rank` is {rank}, but the posterior {name!r} has none: leave it out, or take posterior low_rank"
        )
    made: dict[str, Callable[[MakeNetwork, Shape], nn.Module]] = {
        "diagonal": c.Gaussian,
        "full": c.CholeskyGaussian,
        "rank_one": c.RankOneGaussian,
    }
    return made[name](network, event)


def make_prior(name: PriorName, latents: int, components: int | None = None) -> nn.Module:
    """A prior over `latents` dimensions; `components` (10 if nothing is said) is for "mixture" alone.

    Raises:
        UnsupportedError: if `components` is given to another one.
    """
    known("prior", name, PriorName)
    event = (whole("latents", latents),)
    if name == "mixture":
        return c.GaussianMixture(event, whole("components", COMPONENTS if components is None else components))
    if components is not None:
        raise UnsupportedError(
            f"`components` is {components}, but the prior {name!r} has none: leave it out, or take prior "
            "mixture"
        )
    made: dict[str, Callable[[Shape], nn.Module]] = {
        "standard": c.StandardGaussian,
        "scaled": c.ScaledGaussian,
        "learned": c.LearnedGaussian,
        "flow": c.Flow,
    }
    return made[name](event)


def make_rate(estimator: Estimator, posterior: PosteriorName, prior: PriorName) -> Rate:
    """The rate by its estimator.

    Raises:
        UnsupportedError: if a closed form is asked for where none is known.
    """
    known = prior == "standard" or (prior in ("scaled", "learned") and posterior == "diagonal")
    if estimator == "closed" and not known:
        raise UnsupportedError(
            f"`estimator` is 'closed', but no closed form is known for a {posterior} posterior and a {prior} "
            "prior: take sample, stl or auto"
        )
    return Rate(estimator)
