"""How well few labels suffice: the accuracy of classifiers of the factors on codes, and its ratio at two
sizes.

For each number of labelled points n and each factor a classifier is fitted to n codes; the value is its test
accuracy, mean over the factors. Statistical efficiency is the accuracy with 100 labels divided by that with
10,000.

F. Locatello, S. Bauer, M. Lucic, G. Raetsch, S. Gelly, B. Scholkopf, O. Bachem, Challenging Common
Assumptions in the Unsupervised Learning of Disentangled Representations, ICML 2019,
https://arxiv.org/abs/1811.12359, section 5.5
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from vaekit.checks import known, whole
from vaekit.disentanglement.learners import Boosted, Logistic, boosted, logistic, standardised
from vaekit.disentanglement.points import Values, classes_of
from vaekit.disentanglement.result import Score
from vaekit.disentanglement.tested import Tested, tested

Learner = Literal["logistic", "boosted"]
LABELS = (10, 100, 1_000, 10_000)
FEW, MANY = 100, 10_000


def downstream(
    codes: Values,
    factors: Values,
    test_codes: Values,
    test_factors: Values,
    *,
    learner: Learner,
    labels: Sequence[int] = LABELS,
    classifier: Logistic = "multinomial",
    tuned: bool = False,
    trees: Boosted = "histogram",
    seed: int = 0,
    done: Mapping[int, Sequence[float]] | None = None,
) -> Score:
    """Accuracies of a downstream task.

    Args:
        codes, factors: of training, (N, d) and (N, F); the first n points are the labelled ones.
        test_codes, test_factors: of testing.
        learner: "logistic" or "boosted".
        labels: the numbers n; those above N are left out.
        classifier, tuned: of "logistic"; see `learners.logistic`. The codes of "multinomial" are
            standardised.
        trees: of "boosted"; see `learners.boosted`.
        seed: of the trees.
        done: accuracies of each factor that are known already, by n.

    Returns:
        `downstream_LEARNER_n` for each n, and `downstream_LEARNER_efficiency`, NaN where 100 or 10,000 is
        missing;
        details: the accuracy of each factor, by n.

    Raises:
        ValueError: if the arrays do not fit, are not finite, or no factor varies, or no n fits.
    """
    known("learner", learner, Learner)
    given = tested(codes, factors, test_codes, test_factors)
    sizes = [whole("labels", n, 2) for n in labels if n <= len(given.codes)]
    if not sizes:
        raise ValueError(
            f"`labels` is {tuple(labels)}; expected one of at most {len(given.codes)}, the points"
        )
    accuracy: dict[int, list[float]] = {}
    for n in sizes:
        if done is not None and n in done:
            accuracy[n] = list(done[n])
        elif learner == "logistic":
            accuracy[n] = _linear(given, n, classifier, tuned)
        else:
            accuracy[n] = _boosted(given, n, trees, seed)
    values = {f"downstream_{learner}_{n}": float(np.mean(found)) for n, found in accuracy.items()}
    few, many = (values.get(f"downstream_{learner}_{n}") for n in (FEW, MANY))
    if few is not None and many:
        values[f"downstream_{learner}_efficiency"] = few / many
    left = [n for n in labels if n not in sizes]
    notes = given.notes + ((f"there are fewer than {left} points",) if left else ())
    settings = {"classifier": classifier, "tuned": tuned} if learner == "logistic" else {"trees": trees}
    return Score(
        f"downstream_{learner}",
        values,
        {"train": max(sizes, default=0), "test": len(given.test_codes)},
        settings,
        {"accuracy": {str(n): found for n, found in accuracy.items()}},
        notes,
    )


def _linear(given: Tested, n: int, classifier: Logistic, tuned: bool) -> list[float]:
    """Test accuracy of each factor."""
    train, test = given.codes[:n], given.test_codes
    if classifier == "multinomial":
        train, test = standardised(train, test)
    classes, test_classes, _ = classes_of(given.factors[:n], given.test_factors)
    found = []
    for k in range(classes.shape[1]):
        model = logistic(train, classes[:, k], classifier, tuned)
        found.append(float((model.predict(test) == test_classes[:, k]).mean()))
    return found


def _boosted(given: Tested, n: int, trees: Boosted, seed: int) -> list[float]:
    classes, test_classes, _ = classes_of(given.factors[:n], given.test_factors)
    fits = boosted(given.codes[:n], classes, given.test_codes, test_classes, trees, seed)
    return [fit.test for fit in fits]
