"""Conditionals: modules that map a context to a distribution. Priors, posteriors and likelihoods alike."""

from vaekit.conditionals.autoregressive import Autoregressive
from vaekit.conditionals.classes import ClassFrequencies, OneHot
from vaekit.conditionals.codes import Quantised, UniformCodes
from vaekit.conditionals.deterministic import Deterministic
from vaekit.conditionals.flow import Flow
from vaekit.conditionals.frozen import Frozen, Uninferred
from vaekit.conditionals.gaussian import CholeskyGaussian, Gaussian, LowRankGaussian, RankOneGaussian
from vaekit.conditionals.likelihoods import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    DiscretisedLogistic,
    Laplace,
    Poisson,
)
from vaekit.conditionals.linear import LinearPosterior
from vaekit.conditionals.one_hot import GumbelSoftmax, UniformOneHot
from vaekit.conditionals.precision import PrecisionWeighted
from vaekit.conditionals.priors import (
    GaussianMixture,
    GaussianRing,
    LearnedGaussian,
    ScaledGaussian,
    StandardGaussian,
    UnitCube,
)
from vaekit.conditionals.structured import StructuredGaussian
from vaekit.conditionals.vamp import VampPrior
from vaekit.conditionals.variance import FixedGaussian, OptimalGaussian, PixelGaussian, SharedGaussian

__all__ = [
    "Autoregressive",
    "Bernoulli",
    "Categorical",
    "CholeskyGaussian",
    "ClassFrequencies",
    "ContinuousBernoulli",
    "Deterministic",
    "DiscretisedLogistic",
    "FixedGaussian",
    "Flow",
    "Frozen",
    "Gaussian",
    "GaussianMixture",
    "GaussianRing",
    "GumbelSoftmax",
    "Laplace",
    "LearnedGaussian",
    "LinearPosterior",
    "LowRankGaussian",
    "OneHot",
    "OptimalGaussian",
    "PixelGaussian",
    "Poisson",
    "PrecisionWeighted",
    "Quantised",
    "RankOneGaussian",
    "ScaledGaussian",
    "SharedGaussian",
    "StandardGaussian",
    "StructuredGaussian",
    "UniformCodes",
    "UniformOneHot",
    "Uninferred",
    "UnitCube",
    "VampPrior",
]
