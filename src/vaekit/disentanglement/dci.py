"""Disentanglement, completeness and informativeness.

With R_jk the importance of latent j for predicting factor k:

    D = sum_j rho_j (1 - H_K(P_j.)),   P_jk = R_jk / sum_k R_jk,   rho_j = sum_k R_jk / sum_jk R_jk,
    C = sum_k gamma_k (1 - H_d(Q_.k)), Q_jk = R_jk / sum_j R_jk,   gamma_k = sum_j R_jk / sum_jk R_jk,

with entropies to the base of the number of factors K and of latents d; I is the accuracy of the predictions.
What predicts, and what its importances are, moves D and C more than most models differ: see
`docs/disentanglement.md`.

C. Eastwood, C. K. I. Williams, A Framework for the Quantitative Evaluation of Disentangled Representations,
ICLR 2018, https://openreview.net/forum?id=By-7dz-AZ
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vaekit.disentanglement.learners import Boosted, BoostedFit, boosted
from vaekit.disentanglement.points import Floats, Values, classes_of
from vaekit.disentanglement.result import Score
from vaekit.disentanglement.tested import tested

_TINY = 1e-11  # as in the published code: a row without mass has the entropy of all factors alike


def dci(
    codes: Values,
    factors: Values,
    test_codes: Values,
    test_factors: Values,
    *,
    learner: Boosted = "histogram",
    seed: int = 0,
) -> Score:
    """DCI with boosted trees.

    Args:
        codes, factors: of training, (N, d) and (N, F).
        test_codes, test_factors: of testing, for informativeness.
        learner: "histogram" or "exact"; see `learners.boosted` for what their importances are.
        seed: of the learner.

    Returns:
        `dci_disentanglement`, `dci_completeness`, `dci_informativeness_test`, `dci_informativeness_train`;
        details: the importances, (d, F), and the accuracy of each factor.

    Raises:
        ValueError: if the arrays do not fit, are not finite, or no factor varies.
    """
    given = tested(codes, factors, test_codes, test_factors)
    classes, test_classes, _ = classes_of(given.factors, given.test_factors)
    fits = boosted(given.codes, classes, given.test_codes, test_classes, learner, seed)
    sizes = {"train": len(classes), "test": len(test_classes)}
    return dci_of(fits, sizes, {"learner": learner}, given.notes, seed)


def dci_of(
    fits: Sequence[BoostedFit],
    sizes: dict[str, int],
    settings: dict[str, Any],
    notes: tuple[str, ...] = (),
    seed: int | None = None,
) -> Score:
    """DCI of boosted trees that have been fitted, one for each factor."""
    importances = np.stack([fit.importances for fit in fits], 1)
    return Score(
        "dci",
        {
            "dci_disentanglement": disentanglement_of(importances),
            "dci_completeness": completeness_of(importances),
            "dci_informativeness_test": float(np.mean([fit.test for fit in fits])),
            "dci_informativeness_train": float(np.mean([fit.train for fit in fits])),
        },
        sizes,
        settings,
        {"importances": importances.tolist(), "accuracy_test": [fit.test for fit in fits]},
        notes,
        seed=seed,
    )


def disentanglement_of(importances: Floats) -> float:
    """D of importances (d, F): 1 where each latent serves one factor. 0 if nothing is important."""
    weights = importances.sum(1)
    weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(weights), 1 / len(weights))
    return float((weights * (1 - _relative_entropy(importances))).sum())


def completeness_of(importances: Floats) -> float:
    """C of importances (d, F): 1 where each factor is served by one latent. 0 if nothing is important."""
    return disentanglement_of(importances.T)


def _relative_entropy(importances: Floats) -> Floats:
    """Entropy of each row, to the base of its length: (rows,); 0 where there is one column."""
    p = importances + _TINY
    p = p / p.sum(1, keepdims=True)
    return np.asarray(-(p * np.log(p)).sum(1) / np.log(max(p.shape[1], 2)), np.float64)
