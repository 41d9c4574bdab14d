"""The total AUROC difference: for how many binary attributes one latent alone is the detector.

For each attribute a and latent j, A_ja = max(AUROC, 1 - AUROC) of z_j as a detector of a; 0.5 for a latent
whose range is small. With the two largest over the latents A_(1)a >= A_(2)a,

    TAD = sum_a (A_(1)a - A_(2)a)  over the attributes with A_(1)a >= 0.75 and max_b I(a; b) / H(a) <= 0.2:

those that are found, and that no other attribute tells. The published code integrates over 101 thresholds;
here the areas are exact.

E. Yeats, F. Liu, D. Womble, H. Li, NashAE: Disentangling Representations through Adversarial Covariance
Minimization, ECCV 2022, https://arxiv.org/abs/2209.10677
"""

from __future__ import annotations

import numpy as np

from vaekit.checks import number
from vaekit.disentanglement.auroc import auroc
from vaekit.disentanglement.points import (
    Array,
    Integers,
    Values,
    array_of,
    entropy,
    mutual_information,
    top_two,
)
from vaekit.disentanglement.result import Score


def tad(
    codes: Values, attributes: Values, *, least: float = 0.75, told: float = 0.2, active: float = 0.2
) -> Score:
    """TAD of codes.

    Args:
        codes: (N, d).
        attributes: truth values, (N, A): 0 and 1. Factors with an order make attributes by `upper_half`.
        least: A_(1) of an attribute that counts.
        told: largest share of its entropy that one other attribute may tell.
        active: range of a latent below which it detects nothing; 0.2 is that of the paper for codes in (0,
            1).

    Returns:
        `tad`, `tad_normed` (each difference divided by A_(1) - 0.5) and `tad_attributes`, the number that
        count;
        details: A, (d, A), and which attributes count.

    Raises:
        ValueError: if the arrays do not fit, or an attribute is not 0 or 1.
    """
    for name, value in (("least", least), ("told", told), ("active", active)):
        number(name, value, least=0)
    z, truth = array_of(codes, "codes"), array_of(attributes, "attributes")
    if len(z) != len(truth):
        raise ValueError(f"`codes` has {len(z)} rows, `attributes` {len(truth)}; expected equal numbers")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError(f"`attributes` holds {truth[~np.isin(truth, (0, 1))][0]}; expected 0 and 1")
    truth = truth.astype(np.int64)
    areas = auroc(z, truth)
    areas = np.nan_to_num(np.maximum(areas, 1 - areas), nan=0.5)
    areas[z.max(0) - z.min(0) <= active] = 0.5
    first, second = top_two(areas) if len(areas) > 1 else (areas[0], np.full(truth.shape[1], 0.5))
    counts = (first >= least) & (_told_by_another(truth) <= told)
    gaps = np.where(counts, first - second, 0.0)
    normed = np.divide(gaps, first - 0.5, out=np.zeros_like(gaps), where=first > 0.5)
    constant = np.flatnonzero(truth.min(0) == truth.max(0)).tolist()
    return Score(
        "tad",
        {"tad": float(gaps.sum()), "tad_normed": float(normed.sum()), "tad_attributes": float(counts.sum())},
        {"points": len(z), "attributes": truth.shape[1]},
        {"least": least, "told": told, "active": active},
        {"areas": areas.tolist(), "counts": counts.tolist()},
        (f"attributes {constant} are constant, and do not count",) if constant else (),
    )


def upper_half(factors: Values) -> Integers:
    """An attribute of each factor: whether its value is above the middle of its range, (N, F). Of a shape
    with values 0, 1, 2 it is "is 2"."""
    values = array_of(factors, "factors")
    middle = (values.max(0).astype(np.float64) + values.min(0)) / 2
    return np.asarray(values > middle, np.int64)


def _told_by_another(truth: Integers) -> Array:
    """max_b I(a; b) / H(a) over the other attributes b: (A,)."""
    information, own = mutual_information(truth, truth), entropy(truth)
    np.fill_diagonal(information, 0.0)
    return np.asarray(np.divide(information.max(1), own, out=np.zeros_like(own), where=own > 0))
