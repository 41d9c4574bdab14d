"""Distributions that torch lacks, or that it makes too slowly for a training step."""

from vaekit.distributions.autoregressive import Autoregressive
from vaekit.distributions.bernoulli import Bernoulli, ContinuousBernoulli
from vaekit.distributions.codes import Discrete, Quantised, UniformCodes
from vaekit.distributions.covariance import CholeskyNormal, LowRankNormal, RankOnePrecisionNormal
from vaekit.distributions.flow import Flow
from vaekit.distributions.lean import Lean, detached, squared_distance, sum_event
from vaekit.distributions.mixture import Mixture
from vaekit.distributions.neighbourhood import Neighbourhood
from vaekit.distributions.normal import (
    DiagonalNormal,
    PointMass,
    StandardNormal,
    averaged,
    geometric_mean,
    kl_between,
    kl_per_dimension,
    product,
)
from vaekit.distributions.one_hot import OneHot, RelaxedOneHot
from vaekit.distributions.pixels import Categorical, DiscretisedLogistic, Laplace, Poisson, PooledNormal
from vaekit.distributions.structured import SparsePrecisionNormal
from vaekit.distributions.uniform import UnitUniform

__all__ = [
    "Autoregressive",
    "Bernoulli",
    "Categorical",
    "CholeskyNormal",
    "ContinuousBernoulli",
    "DiagonalNormal",
    "Discrete",
    "DiscretisedLogistic",
    "Flow",
    "Laplace",
    "Lean",
    "LowRankNormal",
    "Mixture",
    "Neighbourhood",
    "OneHot",
    "PointMass",
    "Poisson",
    "PooledNormal",
    "Quantised",
    "RankOnePrecisionNormal",
    "RelaxedOneHot",
    "SparsePrecisionNormal",
    "StandardNormal",
    "UniformCodes",
    "UnitUniform",
    "averaged",
    "detached",
    "geometric_mean",
    "kl_between",
    "kl_per_dimension",
    "product",
    "squared_distance",
    "sum_event",
]
