"""Distributions that torch lacks, or that it makes too slowly for a training step."""

from vaekit.distributions.bernoulli import Bernoulli, ContinuousBernoulli
from vaekit.distributions.covariance import CholeskyNormal, LowRankNormal, RankOnePrecisionNormal
from vaekit.distributions.lean import Lean, detached, sum_event
from vaekit.distributions.mixture import Mixture
from vaekit.distributions.neighbourhood import Neighbourhood
from vaekit.distributions.normal import DiagonalNormal, PointMass, StandardNormal, kl_per_dimension
from vaekit.distributions.pixels import Categorical, DiscretisedLogistic, Laplace, Poisson, PooledNormal
from vaekit.distributions.structured import SparsePrecisionNormal

__all__ = [
    "Bernoulli",
    "Categorical",
    "CholeskyNormal",
    "ContinuousBernoulli",
    "DiagonalNormal",
    "DiscretisedLogistic",
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
    "detached",
    "kl_per_dimension",
    "sum_event",
]
