"""Terms: trace -> one value per datum, in nats. The mathematics of an objective stands here, once."""

from vaekit.terms.adversarial import (
    Deception,
    DensityRatio,
    Discrimination,
    PermutationTest,
    codes,
    log_odds,
    permute_dimensions,
    prior_codes,
)
from vaekit.terms.bounds import ImportanceBound, effective_sample_size, log_mean_exp
from vaekit.terms.elbo import Capacity, Distortion, On, Rate
from vaekit.terms.parts import Term, divergence, log_likelihood, log_ratio, log_weight, per_datum
from vaekit.terms.prediction import Predictability, PredictionError

__all__ = [
    "Capacity",
    "Deception",
    "DensityRatio",
    "Discrimination",
    "Distortion",
    "ImportanceBound",
    "On",
    "PermutationTest",
    "Predictability",
    "PredictionError",
    "Rate",
    "Term",
    "codes",
    "divergence",
    "effective_sample_size",
    "log_likelihood",
    "log_mean_exp",
    "log_odds",
    "log_ratio",
    "log_weight",
    "per_datum",
    "permute_dimensions",
    "prior_codes",
]
