"""Unsupervised disentanglement ranking: a model whose latents others of its kind find again is disentangled.

For a pair of models with the absolute relation R_ab between latent a of the first and latent b of the second,
over the latents that are in use,

    UDR_ij = 1/2 [mean_b max_a R_ab^2 / sum_a R_ab + mean_a max_b R_ab^2 / sum_b R_ab],

and the score of model j is the median over its partners i. R is |coefficient| of a lasso (penalty 0.1) from
the first model's standardised codes to those of the second, or |rank correlation|.

S. Duan, L. Matthey, A. Saraiva, N. Watters, C. Burgess, A. Lerchner, I. Higgins, Unsupervised Model Selection
for Variational Disentangled Representation Learning, ICLR 2020, https://arxiv.org/abs/1905.12614
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from vaekit.checks import known, number
from vaekit.disentanglement.learners import standardised
from vaekit.disentanglement.points import Array, Floats, Values, array_of, moving
from vaekit.disentanglement.result import Score

Relation = Literal["lasso", "spearman"]


def udr(
    codes: Sequence[Values],
    rates: Sequence[Sequence[float]] | None = None,
    *,
    relation: Relation = "lasso",
    threshold: float = 0.01,
    penalty: float = 0.1,
    drop: bool = True,
) -> Score:
    """UDR of models that have encoded the same data.

    Args:
        codes: of each model, (N, d); N the same data, in one order. The study took 1,000.
        rates: KL of each latent from the prior, nats, of each model; latents at or below `threshold` are not
            in use. None: those of constant codes alone.
        relation: "lasso" or "spearman".
        threshold: of the rates.
        penalty: of the lasso.
        drop: leave latents that are not in use out of UDR_ij; otherwise they stand in it as zeros.

    Returns:
        `udr_0`, `udr_1`, ...: the score of each model; details: the pairs, (models, models), and the latents
        in use. A model without any latent in use scores 0.

    Raises:
        ValueError: for fewer than two models, or arrays that do not fit.
    """
    known("relation", relation, Relation)
    number("penalty", penalty, above=0)
    arrays = [array_of(each, f"codes[{i}]") for i, each in enumerate(codes)]
    if len(arrays) < 2 or len({len(each) for each in arrays}) > 1:
        raise ValueError(
            f"`codes` has {len(arrays)} models with {[len(each) for each in arrays]} points; expected two or "
            "more models, that encoded the same data"
        )
    used = [_used(array, None if rates is None else rates[i], threshold) for i, array in enumerate(arrays)]
    ready = [standardised(array)[0] * use for array, use in zip(arrays, used, strict=True)]
    count = len(arrays)
    pairs = np.full((count, count), np.nan)
    for i in range(count):
        for j in range(count):
            if i != j:
                found = (
                    _lasso(ready[i], ready[j], penalty) if relation == "lasso" else _ranks(ready[i], ready[j])
                )
                pairs[i, j] = relative_strength(found[np.ix_(used[i], used[j])] if drop else found)
    scores = [float(np.median(np.delete(pairs[:, j], j))) for j in range(count)]
    idle = [j for j in range(count) if not used[j].any()]
    return Score(
        "udr",
        {f"udr_{j}": score for j, score in enumerate(scores)},
        {"points": len(arrays[0]), "models": count},
        {
            "relation": relation,
            "threshold": threshold,
            **({"penalty": penalty} if relation == "lasso" else {}),
        },
        {
            "pairs": np.where(np.isnan(pairs), 0.0, pairs).tolist(),
            "used": [np.flatnonzero(u).tolist() for u in used],
        },
        (f"models {idle} use no latent, and score 0",) if idle else (),
    )


def relative_strength(relations: Floats) -> float:
    """1/2 (mean over columns + mean over rows) of max^2 / sum; 0 of a line of zeros, and of no line."""
    if 0 in relations.shape:
        return 0.0
    sides = []
    for matrix in (relations, relations.T):
        largest, total = matrix.max(0), matrix.sum(0)
        sides.append(np.divide(largest**2, total, out=np.zeros_like(total), where=total > 0).mean())
    return float(sum(sides) / 2)


def _used(codes: Array, rates: Sequence[float] | None, threshold: float) -> Array:
    if rates is None:
        return moving(codes)
    if len(rates) != codes.shape[1]:
        raise ValueError(f"`rates` has {len(rates)} entries for codes of {codes.shape[1]} latents")
    return np.asarray(rates, np.float64) > threshold


def _lasso(first: Floats, second: Floats, penalty: float) -> Floats:
    """|coefficients| from the latents of the first, rows, to those of the second, columns."""
    from sklearn.linear_model import Lasso

    coefficients = np.atleast_2d(Lasso(alpha=penalty).fit(first, second).coef_)
    return np.asarray(np.abs(coefficients).T, np.float64)


def _ranks(first: Floats, second: Floats) -> Floats:
    """|Spearman's rank correlation| of all pairs of latents; 0 for a constant one."""
    from scipy.stats import rankdata

    a, b = (standardised(rankdata(each, axis=0))[0] for each in (first, second))
    return np.asarray(np.abs(a.T @ b) / len(a), np.float64)
