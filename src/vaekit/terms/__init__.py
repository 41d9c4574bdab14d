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
    rebuilt,
)
from vaekit.terms.aggregate import DimensionWise, Information, TotalCorrelation
from vaekit.terms.bounds import ImportanceBound, effective_sample_size, log_mean_exp
from vaekit.terms.correlation import InverseWeighted, LiteralMahalanobis, Mahalanobis
from vaekit.terms.costs import BlurredError, SquaredError, box_blur
from vaekit.terms.covariance import OffDiagonal, UnitVariance
from vaekit.terms.discrepancy import MMD
from vaekit.terms.elbo import Capacity, Distortion, On, Rate
from vaekit.terms.imitation import Acceptance, Recognition, Rejection, SquaredSlope
from vaekit.terms.labels import Classification
from vaekit.terms.parameters import Closeness, Told, ToldDecoder
from vaekit.terms.parts import (
    Term,
    divergence,
    log_class_weight,
    log_likelihood,
    log_ratio,
    log_weight,
    once,
    per_datum,
    rate_per_dimension,
)
from vaekit.terms.precision import PrecisionPrior
from vaekit.terms.prediction import Predictability, PredictionError
from vaekit.terms.quantised import CodebookLoss, Commitment

__all__ = [
    "MMD",
    "Acceptance",
    "BlurredError",
    "Capacity",
    "Classification",
    "Closeness",
    "CodebookLoss",
    "Commitment",
    "Deception",
    "DensityRatio",
    "DimensionWise",
    "Discrimination",
    "Distortion",
    "ImportanceBound",
    "Information",
    "InverseWeighted",
    "LiteralMahalanobis",
    "Mahalanobis",
    "OffDiagonal",
    "On",
    "PermutationTest",
    "PrecisionPrior",
    "Predictability",
    "PredictionError",
    "Rate",
    "Recognition",
    "Rejection",
    "SquaredError",
    "SquaredSlope",
    "Term",
    "Told",
    "ToldDecoder",
    "TotalCorrelation",
    "UnitVariance",
    "box_blur",
    "codes",
    "divergence",
    "effective_sample_size",
    "log_class_weight",
    "log_likelihood",
    "log_mean_exp",
    "log_odds",
    "log_ratio",
    "log_weight",
    "once",
    "per_datum",
    "permute_dimensions",
    "prior_codes",
    "rate_per_dimension",
    "rebuilt",
]
