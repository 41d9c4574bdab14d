"""Modularity: whether each latent tells of one factor alone.

With m_jk = I(z_j; v_k): modularity_j = 1 - (sum_k m_jk^2 - max_k m_jk^2) / ((K - 1) max_k m_jk^2), and the
score is the mean over latents. A latent that tells of no factor scores 0.

K. Ridgeway, M. C. Mozer, Learning Deep Disentangled Embeddings With the F-Statistic Loss, NeurIPS 2018,
https://arxiv.org/abs/1802.05312, section 3
"""

from __future__ import annotations

import numpy as np

from vaekit.checks import whole
from vaekit.disentanglement.points import Floats, Values, classes_of, factor_information, points_of
from vaekit.disentanglement.result import Score


def modularity(codes: Values, factors: Values, *, bins: int = 20) -> Score:
    """Modularity of binned codes.

    Args:
        codes: (N, d).
        factors: (N, F).
        bins: equal-width bins of every code.

    Returns:
        `modularity`; details: of each latent, and the information of each latent and factor, nats. NaN with
        one factor, of which every latent tells alone.

    Raises:
        ValueError: if the arrays do not fit, are not finite, or no factor varies.
    """
    whole("bins", bins, 2)
    points = points_of(codes, factors)
    classes, _, _ = classes_of(points.factors)
    information, _ = factor_information(points.codes, classes, bins)
    each = modularity_of(information)
    notes = points.notes + (
        ("there is one factor: modularity has no meaning",) if classes.shape[1] < 2 else ()
    )
    return Score(
        "modularity",
        {"modularity": float(each.mean())},
        {"points": len(classes)},
        {"bins": bins},
        {"of_latents": each.tolist(), "information": information.tolist()},
        notes,
    )


def modularity_of(information: Floats) -> Floats:
    """Modularity of each latent, (d,), from the information of latents and factors, (d, F)."""
    squares = np.square(information)
    largest = squares.max(1)
    others = (squares.sum(1) - largest) / np.maximum(squares.shape[1] - 1, 1)
    if squares.shape[1] < 2:
        return np.full(len(squares), np.nan)
    share = np.divide(others, largest, out=np.ones_like(others), where=largest > 0)
    return np.asarray(1.0 - share, np.float64)
