"""The interventional robustness score.

D_jk = mean over values v of factor k of the q-quantile of |z_j - E[z_j | v]| over the points that have v,
divided by max |z_j - E z_j|: how far latent j is moved while factor k rests. IRS = mean_j max_k (1 - D_jk),
weighted by max |z_j - E z_j|.

R. Suter, D. Miladinovic, B. Scholkopf, S. Bauer, Robustly Disentangled Causal Mechanisms: Validating Deep
Representations for Interventional Robustness, ICML 2019, https://arxiv.org/abs/1811.00007
"""

from __future__ import annotations

import numpy as np

from vaekit.checks import number, whole
from vaekit.disentanglement.points import Floats, Integers, Values, classes_of, discretise, moving, points_of
from vaekit.disentanglement.result import Score


def irs(codes: Values, factors: Values, *, quantile: float = 0.99, factor_bins: int | None = None) -> Score:
    """IRS of a sample; latents that are constant are left out.

    Args:
        codes: (N, d).
        factors: (N, F).
        quantile: q; 1 is the maximum of the paper, 0.99 what its code and the study take.
        factor_bins: put the values of factors into so many equal-width bins first, as the code of the study
            does.

    Returns:
        `irs`, 0 if all latents are constant; details: the score of each latent that varies, the factor that
        it belongs to, and its number.

    Raises:
        ValueError: if the arrays do not fit, are not finite, or no factor varies.
    """
    number("quantile", quantile, above=0, most=1)
    points = points_of(codes, factors)
    if factor_bins is None:
        classes, _, counts = classes_of(points.factors)
    else:
        classes, _, counts = classes_of(discretise(points.factors, whole("factor_bins", factor_bins, 2)))
    alive = moving(points.codes)
    z = points.codes[:, alive].astype(np.float64)
    reach = np.abs(z - z.mean(0)).max(0) if z.size else np.zeros(0)
    moved = _moved(z, classes, counts, quantile)
    robust = 1 - moved / reach[:, None]
    best = robust.max(1) if z.size else np.zeros(0)
    constant = np.flatnonzero(~alive).tolist()
    notes = points.notes + ((f"latents {constant} are constant, and left out",) if constant else ())
    return Score(
        "irs",
        {"irs": float(np.average(best, weights=reach)) if z.size else 0.0},
        {"points": len(classes)},
        {"quantile": quantile, "factor_bins": factor_bins or "none"},
        {
            "of_latents": best.tolist(),
            "factors": [points.kept[k] for k in (robust.argmax(1) if z.size else [])],
            "latents": np.flatnonzero(alive).tolist(),
        },
        notes,
    )


def _moved(z: Floats, classes: Integers, counts: list[int], quantile: float) -> Floats:
    """Mean over the values of each factor of the quantile of |z - E[z | value]|: (d, F)."""
    result = np.zeros((z.shape[1], len(counts)))
    for k, count in enumerate(counts):
        order = np.argsort(classes[:, k], kind="stable")
        ends = np.cumsum(np.bincount(classes[:, k], minlength=count))
        for group in np.split(z[order], ends[:-1]):
            result[:, k] += np.quantile(np.abs(group - group.mean(0)), quantile, axis=0) / count
    return result
