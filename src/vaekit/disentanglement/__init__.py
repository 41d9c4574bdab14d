"""Measures of representations whose factors are known."""

from vaekit.disentanglement.distances import (
    Agreement,
    Importance,
    agreement,
    distance_agreement,
    factor_importance,
    index_distance,
    pearson,
    perceived_distance,
    spearman,
)
from vaekit.disentanglement.traversals import Straightness, flatness, straightness

__all__ = [
    "Agreement",
    "Importance",
    "Straightness",
    "agreement",
    "distance_agreement",
    "factor_importance",
    "flatness",
    "index_distance",
    "pearson",
    "perceived_distance",
    "spearman",
    "straightness",
]
