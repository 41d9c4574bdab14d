"""Terms: trace -> one value per datum, in nats. The mathematics of an objective stands here, once."""

from vaekit.terms.bounds import ImportanceBound, effective_sample_size, log_mean_exp
from vaekit.terms.elbo import Capacity, Distortion, On, Rate
from vaekit.terms.labels import Classification
from vaekit.terms.parts import (
    Term,
    divergence,
    log_class_weight,
    log_likelihood,
    log_ratio,
    log_weight,
    per_datum,
)

__all__ = [
    "Capacity",
    "Classification",
    "Distortion",
    "ImportanceBound",
    "On",
    "Rate",
    "Term",
    "divergence",
    "effective_sample_size",
    "log_class_weight",
    "log_likelihood",
    "log_mean_exp",
    "log_ratio",
    "log_weight",
    "per_datum",
]
