"""The classifiers inside some scores; their choice moves the scores, so it is always named.

A column of constant labels is learnt by a classifier that always says it, as scikit-learn refuses it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple, Protocol, cast, final

import numpy as np
import torch

from vaekit.checks import known
from vaekit.disentanglement.points import Array, Floats, Integers, moving
from vaekit.errors import UnsupportedError

Logistic = Literal["one_versus_rest", "multinomial"]
Boosted = Literal["exact", "histogram"]

_FOLDS = 5


class Classifier(Protocol):
    """What scikit-learn's classifiers are asked for here."""

    classes_: Integers

    def predict(self, codes: Array) -> Integers:
        """(N, d) -> (N,)."""

    def predict_proba(self, codes: Array) -> Floats:
        """(N, d) -> (N, classes)."""


@final
class _Constant:
    """What is learnt from labels that are all the same."""

    def __init__(self, label: int) -> None:
        self.classes_ = np.array([label], np.int64)

    def predict(self, codes: Array) -> Integers:
        return np.full(len(codes), self.classes_[0], np.int64)

    def predict_proba(self, codes: Array) -> Floats:
        return np.ones((len(codes), 1))


def standardised(train: Array, *others: Array) -> list[Floats]:
    """All arrays by mean and standard deviation (divisor N) of the first; a constant column becomes 0 but for
    rounding."""
    mean, spread = train.mean(0, dtype=np.float64), train.std(0, dtype=np.float64)
    spread[~moving(train)] = 1.0
    return [(array - mean) / spread for array in (train, *others)]


def logistic(codes: Array, labels: Integers, kind: Logistic, tuned: bool = False) -> Classifier:
    """A linear classifier with an L2 penalty of C = 1.

    Args:
        codes: (N, d).
        labels: (N,).
        kind: "one_versus_rest": one logistic regression for each class, by liblinear, which penalises the
            intercept too. That was scikit-learn's default until its version 0.22. "multinomial": one
            softmax over all classes, by L-BFGS until it has converged, the intercept free.
        tuned: of "one_versus_rest" alone: choose C among ten values from 1e-4 to 1e4 by 5-fold
            cross-validation without shuffling, for each class by itself; L-BFGS then, and at most 100 steps,
            as in the study. With fewer points than folds, C = 1.

    Raises:
        ValueError: for another kind, or `tuned` with "multinomial".
    """
    known("kind", kind, Logistic)
    if tuned and kind == "multinomial":
        raise ValueError(
            "`tuned` chooses a penalty for each class against the rest; got `kind` = 'multinomial'"
        )
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
    from sklearn.model_selection import KFold
    from sklearn.multiclass import OneVsRestClassifier

    if (labels == labels[0]).all():
        return _Constant(int(labels[0]))
    if kind == "multinomial":
        return cast(Classifier, LogisticRegression(max_iter=2000).fit(codes, labels))
    if tuned and len(labels) >= _FOLDS:
        inner = LogisticRegressionCV(Cs=10, cv=KFold(_FOLDS), scoring="accuracy")
    else:
        inner = LogisticRegression(solver="liblinear", random_state=0)
    with warnings.catch_warnings():  # on scikit-learn's later defaults, and on the study's number of steps
        warnings.simplefilter("ignore")
        return cast(Classifier, OneVsRestClassifier(inner).fit(codes, labels))


class BoostedFit(NamedTuple):
    """What boosted trees learnt of one factor: importance of each latent, (d,), which sum to 1 (or are 0
    where no tree has a split), and the accuracies."""

    importances: Floats
    train: float
    test: float


def boosted(
    codes: Array, classes: Integers, test: Array, test_classes: Integers, kind: Boosted, seed: int
) -> list[BoostedFit]:
    """Boosted trees that tell each factor from the codes: 100 rounds, depth 3, learning rate 0.1.

    Args:
        codes, classes: of training, (N, d) and (N, F).
        test, test_classes: of testing.
        kind: "exact": every threshold between two points is tried; the importance of a latent is the squared
            error that its splits remove, as scikit-learn has it. "histogram": thresholds between 255 quantile
            bins; scikit-learn hands out no importance there, so that it is summed here from the gain that
            each split of each tree was chosen for.
        seed: of the order in which equal splits are tried, and of the bins.

    Raises:
        ValueError: for another kind.
    """
    known("kind", kind, Boosted)
    tasks: Sequence[Any] = [
        (codes, classes[:, k], test, test_classes[:, k], seed) for k in range(classes.shape[1])
    ]
    if kind == "histogram":
        return [_histogram(*task) for task in tasks]
    # its inner loops run without Python's lock, so that threads suffice; the fits do not know of each other
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(lambda task: _exact(*task), tasks))


def _exact(codes: Array, labels: Integers, test: Array, test_labels: Integers, seed: int) -> BoostedFit:
    from sklearn.ensemble import GradientBoostingClassifier

    if (labels == labels[0]).all():
        return _fit_of(_Constant(int(labels[0])), np.zeros(codes.shape[1]), codes, labels, test, test_labels)
    model = GradientBoostingClassifier(random_state=seed % 2**32).fit(codes, labels)
    return _fit_of(model, np.abs(model.feature_importances_), codes, labels, test, test_labels)


def _histogram(codes: Array, labels: Integers, test: Array, test_labels: Integers, seed: int) -> BoostedFit:
    from sklearn.ensemble import HistGradientBoostingClassifier

    if (labels == labels[0]).all():
        return _fit_of(_Constant(int(labels[0])), np.zeros(codes.shape[1]), codes, labels, test, test_labels)
    model = HistGradientBoostingClassifier(
        max_depth=3, min_samples_leaf=1, early_stopping=False, random_state=seed % 2**32
    ).fit(codes, labels)
    importances = _shared(_gains(model, codes.shape[1]), codes)
    return _fit_of(model, importances, codes, labels, test, test_labels)


def _fit_of(
    model: Classifier, importances: Floats, codes: Array, labels: Integers, test: Array, test_labels: Integers
) -> BoostedFit:
    return BoostedFit(
        np.asarray(importances, np.float64),
        float((model.predict(codes) == labels).mean()),
        float((model.predict(test) == test_labels).mean()),
    )


def _shared(importances: Floats, codes: Array) -> Floats:
    """Importances where latents that order the points alike, or the other way round, have equal parts.

    A tree has no reason to prefer one of them. The exact learner tries latents in random order and so takes
    each as often; the histogram learner always takes the first.
    """
    from scipy.stats import rankdata

    ranks = rankdata(codes, axis=0).T
    result, done = importances.copy(), np.zeros(len(ranks), bool)
    for j, mine in enumerate(ranks):
        if not done[j]:
            alike = [
                i
                for i in range(j, len(ranks))
                if np.array_equal(ranks[i], mine) or np.array_equal(len(mine) + 1 - ranks[i], mine)
            ]
            result[alike], done[alike] = importances[alike].mean(), True
    return result


def _gains(model: Any, dimensions: int) -> Floats:
    """The sum over all trees and splits of what each split gains, per latent; of sum 1, or 0 without splits.

    The trees lie in an attribute that scikit-learn keeps for itself (and that others read too, such as shap).

    Raises:
        UnsupportedError: if a version of scikit-learn has moved it.
    """
    total = np.zeros(dimensions)
    try:
        for rounds in model._predictors:
            for tree in rounds:
                splits = tree.nodes[tree.nodes["is_leaf"] == 0]
                total += np.bincount(splits["feature_idx"], weights=splits["gain"], minlength=dimensions)
    except (AttributeError, ValueError, KeyError) as error:
        raise UnsupportedError(
            f"this version of scikit-learn does not show the trees of its histogram learner ({error}): take "
            "version 1.9, or the choice `boosted` = 'exact'"
        ) from error
    return total / total.sum() if total.sum() > 0 else total
