"""The separated attribute predictability.

SAP = mean over factors of the largest less the second largest score S_jk over the latents j. For a discrete
factor S_jk is the test accuracy of a linear support vector machine on latent j alone (C = 0.01, classes
weighted alike); for a continuous one it is the squared correlation of latent and factor.

A. Kumar, P. Sattigeri, A. Balakrishnan, Variational Inference of Disentangled Latent Concepts from Unlabeled
Observations, ICLR 2018, https://arxiv.org/abs/1711.00848, section 3
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from vaekit.checks import known, number
from vaekit.disentanglement.machines import decide
from vaekit.disentanglement.points import Array, Floats, Integers, Values, classes_of, points_of, top_two
from vaekit.disentanglement.result import Score
from vaekit.disentanglement.tested import tested

Machine = Literal["exact", "liblinear"]


def sap(
    codes: Values,
    factors: Values,
    test_codes: Values,
    test_factors: Values,
    *,
    machine: Machine = "exact",
    penalty: float = 0.01,
) -> Score:
    """SAP of discrete factors.

    Args:
        codes, factors: of training, (N, d) and (N, F).
        test_codes, test_factors: of testing.
        machine: "exact" solves all machines to rounding from running sums; "liblinear" is scikit-learn's
            `LinearSVC`, which stops at a tolerance, as the study's did.
        penalty: C.

    Returns:
        `sap`; details: the accuracies (d, F), and the gap of each factor. A single latent is set against one
        that says nothing.

    Raises:
        ValueError: if the arrays do not fit, are not finite, or no factor varies.
    """
    known("machine", machine, Machine)
    number("penalty", penalty, above=0)
    given = tested(codes, factors, test_codes, test_factors)
    classes, test_classes, counts = classes_of(given.factors, given.test_factors)
    train, test = (_two(array) for array in (given.codes, given.test_codes))
    scores = np.empty((train.shape[1], len(counts)))
    for j in range(train.shape[1]):
        for k, count in enumerate(counts):
            if machine == "exact":
                told = decide(train[:, j], classes[:, k], count, test[:, j], penalty)
            else:
                told = _by_liblinear(train[:, j], classes[:, k], test[:, j], penalty)
            scores[j, k] = (told == test_classes[:, k]).mean()
    sizes = {"train": len(train), "test": len(test)}
    settings: dict[str, Any] = {"factors": "discrete", "machine": machine, "penalty": penalty}
    return _gap("sap", scores, sizes, settings, given.notes)


def sap_continuous(codes: Values, factors: Values) -> Score:
    """SAP of continuous factors: the squared correlation, without a test.

    Args:
        codes: (N, d); a latent whose variance is 1e-12 or less scores 0.
        factors: (N, F), as numbers; a factor without an order, such as a shape, is taken for its number too.

    Returns:
        `sap_continuous`; details: the squared correlations (d, F), and the gap of each factor.

    Raises:
        ValueError: if the arrays do not fit, are not finite, or no factor varies.
    """
    points = points_of(codes, factors)
    z, v = (array.astype(np.float64) - array.mean(0, dtype=np.float64) for array in points[:2])
    variances = (z * z).mean(0)
    products = np.square(z.T @ v / len(z))
    scale = variances[:, None] * (v * v).mean(0)
    alive = (variances * len(z) / max(1, len(z) - 1) > 1e-12)[:, None]
    scores = np.divide(products, scale, out=np.zeros_like(products), where=alive & (scale > 0))
    return _gap("sap_continuous", scores, {"points": len(z)}, {"factors": "continuous"}, points.notes)


def _two(codes: Array) -> Array:
    return codes if codes.shape[1] > 1 else np.concatenate((codes, np.zeros_like(codes)), 1)


def _by_liblinear(code: Array, labels: Integers, test: Array, penalty: float) -> Integers:
    from sklearn.svm import LinearSVC

    if (labels == labels[0]).all():
        return np.full(len(test), labels[0], np.int64)
    model = LinearSVC(C=penalty, class_weight="balanced", random_state=0).fit(code[:, None], labels)
    return np.asarray(model.predict(test[:, None]), np.int64)


def _gap(
    name: str, scores: Floats, sizes: dict[str, int], settings: dict[str, Any], notes: tuple[str, ...]
) -> Score:
    first, second = top_two(scores)
    details = {"gaps": (first - second).tolist(), "scores": scores.tolist()}
    return Score(name, {name: float((first - second).mean())}, sizes, settings, details, notes)
