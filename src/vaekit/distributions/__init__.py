"""Distributions that torch lacks, or that it makes too slowly for a training step."""

from vaekit.distributions.bernoulli import Bernoulli, ContinuousBernoulli
from vaekit.distributions.covariance import CholeskyNormal, LowRankNormal, RankOnePrecisionNormal
from vaekit.distributions.flow import Flow
from vaekit.distributions.lean import Lean, detached, sum_event
from vaekit.distributions.mixture import Mixture
from vaekit.distributions.neighbourhood import Neighbourhood
from vaekit.distributions.normal import DiagonalNormal, PointMass, StandardNormal, kl_per_dimension, product
from vaekit.distributions.pixels import Categorical, DiscretisedLogistic, Laplace, Poisson, PooledNormal
from vaekit.distributions.structured import SparsePrecisionNormal
from vaekit.distributions.uniform import UnitUniform

__all__ = [
    "Bernoulli",
    "Categorical",
    "CholeskyNormal",
    "ContinuousBernoulli",
    "DiagonalNormal",
    "DiscretisedLogistic",
    "Flow",
    "Laplace",
    "Lean",
    "LowRankNormal",
    "Mixture",
    "Neighbourhood",
    "PointMass",
    "Poisson",
    "PooledNormal",
    "RankOnePrecisionNormal",
    "SparsePrecisionNormal",
    "StandardNormal",
    "UnitUniform",
    "detached",
    "kl_per_dimension",
    "product",
    "sum_event",
]
