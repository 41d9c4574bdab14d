"""Terms: trace -> one value per datum, in nats. The mathematics of an objective stands here, once."""

from vaekit.terms.aggregate import DimensionWise, Information, TotalCorrelation
from vaekit.terms.bounds import ImportanceBound, effective_sample_size, log_mean_exp
from vaekit.terms.costs import SquaredError
from vaekit.terms.covariance import OffDiagonal, UnitVariance
from vaekit.terms.discrepancy import MMD
from vaekit.terms.elbo import Capacity, Distortion, On, Rate
from vaekit.terms.parts import Term, divergence, log_likelihood, log_ratio, log_weight, once, per_datum

__all__ = [
    "MMD",
    "Capacity",
    "DimensionWise",
    "Distortion",
    "ImportanceBound",
    "Information",
    "OffDiagonal",
    "On",
    "Rate",
    "SquaredError",
    "Term",
    "TotalCorrelation",
    "UnitVariance",
    "divergence",
    "effective_sample_size",
    "log_likelihood",
    "log_mean_exp",
    "log_ratio",
    "log_weight",
    "once",
    "per_datum",
]
