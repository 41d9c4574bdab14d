"""S_D: whether each latent moves with one factor alone, by covariances.

    S_D = (1/d) sum_i max_j |Cov(z_i, v_j)| / sum_j |Cov(z_i, v_j)|, in [1 / F, 1]

Two latents may follow one factor; the matched score gives each factor to one latent at most.

C. Jacobsen, K. Duraisamy, Disentangling Generative Factors of Physical Fields Using Variational Autoencoders,
Frontiers in Physics 10:890910, 2022, https://arxiv.org/abs/2109.07399
"""

from __future__ import annotations

import numpy as np

from vaekit.disentanglement.points import Floats, Values, moving, points_of
from vaekit.disentanglement.result import Score


def s_d(codes: Values, factors: Values) -> Score:
    """S_D of codes and factors with an order; a latent without any covariance, such as a constant, is left
    out.

    Args:
        codes: (N, d).
        factors: (N, F), as numbers, continuous ones too.

    Returns:
        `s_d` as the paper has it, which depends on the units of the factors; `s_d_pearson`, of correlations,
        which does not; and `s_d_matched`: the largest mean of the same shares of correlation over min(d, F)
        pairs, no two with a latent or a factor in common. Details: the correlations, (d, F), and the pairs.

    Raises:
        ValueError: if the arrays do not fit, are not finite, or no factor varies.
    """
    from scipy.optimize import linear_sum_assignment

    points = points_of(codes, factors)
    z, v = (array.astype(np.float64) - array.mean(0, dtype=np.float64) for array in points[:2])
    covariances = np.abs(z.T @ v) / len(z)
    alive = np.flatnonzero(moving(points.codes) & (covariances.sum(1) > 0))
    notes = points.notes
    if len(alive) < z.shape[1]:
        left = sorted(set(range(z.shape[1])) - set(alive.tolist()))
        notes += (f"latents {left} have no covariance with any factor, and are left out",)
    if not len(alive):
        none = dict.fromkeys(("s_d", "s_d_pearson", "s_d_matched"), float("nan"))
        return Score("s_d", none, {"points": len(z)}, notes=(*notes, "no latent is left to score"))
    covariances = covariances[alive]
    correlations = covariances / (z[:, alive].std(0)[:, None] * v.std(0))
    shares = _shares(correlations)
    rows, columns = linear_sum_assignment(shares, maximize=True)
    return Score(
        "s_d",
        {
            "s_d": float(_shares(covariances).max(1).mean()),
            "s_d_pearson": float(shares.max(1).mean()),
            "s_d_matched": float(shares[rows, columns].mean()),
        },
        {"points": len(z)},
        {},
        {
            "correlations": correlations.tolist(),
            "pairs": [[int(alive[i]), points.kept[j]] for i, j in zip(rows, columns, strict=True)],
        },
        notes,
    )


def _shares(strengths: Floats) -> Floats:
    return np.asarray(strengths / strengths.sum(1, keepdims=True), np.float64)
