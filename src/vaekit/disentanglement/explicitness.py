"""Explicitness: how well a linear classifier tells the factors from the codes.

For each factor, the area under the ROC of each of its values against the others, mean over values; the score
is the mean over factors.

K. Ridgeway, M. C. Mozer, Learning Deep Disentangled Embeddings With the F-Statistic Loss, NeurIPS 2018,
https://arxiv.org/abs/1802.05312, section 3
"""

from __future__ import annotations

import math

import numpy as np

from vaekit.disentanglement.auroc import auroc
from vaekit.disentanglement.learners import Classifier, Logistic, logistic, standardised
from vaekit.disentanglement.points import Array, Integers, Values, classes_of
from vaekit.disentanglement.result import Score
from vaekit.disentanglement.tested import tested


def explicitness(
    codes: Values,
    factors: Values,
    test_codes: Values,
    test_factors: Values,
    *,
    classifier: Logistic = "multinomial",
) -> Score:
    """Area under the ROC of a logistic regression on standardised codes, on test data.

    Args:
        codes, factors: of training, (N, d) and (N, F).
        test_codes, test_factors: of testing.
        classifier: see `learners.logistic`.

    Returns:
        `explicitness`, and `explicitness_train` on the points of training; details: of each factor.

    Raises:
        ValueError: if the arrays do not fit, are not finite, or no factor varies.
    """
    given = tested(codes, factors, test_codes, test_factors)
    train, test = standardised(given.codes, given.test_codes)
    classes, test_classes, _ = classes_of(given.factors, given.test_factors)
    areas = np.empty((2, classes.shape[1]))
    for k in range(classes.shape[1]):
        model = logistic(train, classes[:, k], classifier)
        areas[:, k] = _area(model, train, classes[:, k]), _area(model, test, test_classes[:, k])
    return Score(
        "explicitness",
        {"explicitness": float(areas[1].mean()), "explicitness_train": float(areas[0].mean())},
        {"train": len(train), "test": len(test)},
        {"classifier": classifier},
        {"of_factors": areas[1].tolist()},
        given.notes,
    )


def _area(model: Classifier, codes: Array, labels: Integers) -> float:
    """Mean over the values that occur, and that the model has learnt, of one value against the others."""
    positive = labels[:, None] == model.classes_
    areas = np.diagonal(auroc(model.predict_proba(codes), positive))
    defined = areas[~np.isnan(areas)]
    return float(defined.mean()) if len(defined) else math.nan
