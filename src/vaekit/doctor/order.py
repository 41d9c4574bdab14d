"""Whether data change along the file, and whether test data are like training data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaekit.doctor.finding import Finding, Severity
from vaekit.doctor.rows import Space, space
from vaekit.doctor.sample import TEST, TRAIN, Sample
from vaekit.doctor.words import percent

LEAST, MOST = 200, 4_000
"""Rows needed, and rows used."""
DEVIATIONS, AUC = 5.0, 0.6
"""A difference is told where the area under the ROC curve is 0.6 or more, and more than 5 standard deviations
above 1/2. Without a difference the area of rows that the classifier has not seen is that of Mann and Whitney:
deviation sqrt((n + m + 1) / (12 n m)), so the odds of a false alarm are 3e-7 for independent rows."""
STRONG = 0.8
"""Area from which on a difference is a warning. Weaker ones are a note, since many sound sets have some: the
handwritten digits are ordered by writer, and the first half of MNIST's test data was written by other people
than the second."""
SORTED = 0.5
"""Share of the labels that would have to move to make both halves alike, from which on a file is sorted."""


@dataclass(frozen=True)
class Told:
    """How well a simple classifier tells two groups of rows apart.

    Args:
        auc: area under the ROC curve on rows that it has not seen.
        deviation: of the area, where there is no difference.
        rows: that it was measured on.
    """

    auc: float
    deviation: float
    rows: int

    @property
    def differs(self) -> bool:
        """Whether chance and small effects are excluded."""
        return self.auc >= AUC and self.auc - 0.5 > DEVIATIONS * self.deviation

    def __str__(self) -> str:
        return (
            f"with an area under the ROC curve of {self.auc:.2f} (0.5 is chance, +- {self.deviation:.2f}), "
            f"on {self.rows:,} rows that it has not seen"
        )


def tell_apart(x: NDArray[np.float64], group: NDArray[np.bool_], seed: int) -> Told | None:
    """Logistic regression on the values and their squares, learned on one half, judged on the other.

    Args:
        x: (n, K).
        group: (n,).
        seed: of the halves.
    """
    rows = np.random.default_rng([seed, 11]).permutation(len(x))
    half = len(rows) // 2
    x, group = x[rows], group[rows]
    learn, judge = group[:half], group[half:]
    if min(learn.sum(), (~learn).sum(), judge.sum(), (~judge).sum()) < LEAST // 10:
        return None
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    deviation = x.std(axis=0)
    x = x[:, deviation > 0] / deviation[deviation > 0]
    x = np.clip(x - x.mean(axis=0), -5, 5)  # an outlier must not steer a line
    features = np.concatenate([x, x**2], axis=1)
    model = LogisticRegression(C=0.1, max_iter=500).fit(features[:half], learn)
    score = model.decision_function(features[half:])
    n, m = int(judge.sum()), int((~judge).sum())
    return Told(float(roc_auc_score(judge, score)), ((n + m + 1) / (12 * n * m)) ** 0.5, n + m)


def drift(sample: Sample) -> list[Finding]:
    """Whether the first half of a file can be told from the second."""
    rows = np.flatnonzero(sample.place >= 0)
    if sample.generated or len(rows) < LEAST:
        return []
    found = sample.once(space)
    place = sample.place[found.rows]
    there = sample.some(np.flatnonzero(place >= 0), MOST, 12)
    late = place[there] > np.median(sample.place[rows])
    told = tell_apart(_leading(found, there), late, sample.seed)
    if told is None or not told.differs:
        return []
    measured = f"a linear classifier tells rows of the first half from rows of the second {told}"
    moved = _moved_labels(sample, found.rows[there], late)
    if moved is not None:
        measured += f"; the shares of the classes differ by {percent(moved)} between the halves"
    if moved is not None and moved >= SORTED:
        title, change = "The file is sorted by label", "Nothing."
        meaning = "Splits are drawn at random: all of them have all classes."
    else:
        title = "The data change along the file"
        meaning = (
            "The rows are sorted, or what they are drawn from changes with time. Splits are drawn at random, "
            "so training is not harmed, but held-out figures say nothing of data that come later."
        )
        change = "If later data are what matters, judge the model on data that were recorded later."
    strong = told.auc >= STRONG and (moved is None or moved < SORTED)
    severity: Severity = "warning" if strong else "note"
    return [Finding("drift", title, measured, meaning, change, "", severity)]


def shift(sample: Sample) -> list[Finding]:
    """Whether test data that were not split off at random can be told from training data."""
    test = sample.split == TEST
    if sample.generated or not test.any() or (sample.place[test] >= 0).any() or len(sample.x) < LEAST:
        return []
    found = sample.once(space)
    train = sample.some(np.flatnonzero(found.split == TRAIN), MOST // 2, 13)
    there = np.concatenate([train, np.flatnonzero(found.split == TEST)])
    told = tell_apart(_leading(found, there), found.split[there] == TEST, sample.seed)
    if told is None or not told.differs:
        return []
    severity: Severity = "warning" if told.auc >= STRONG else "note"
    return [
        Finding(
            "shift",
            "Test data differ from training data",
            f"a linear classifier tells them apart {told}",
            "They were not drawn from the same data. Figures on test data are of another question than those "
            "on validation data.",
            "Nothing, if that is the question; else mix both and split at random.",
            "",
            severity,
        )
    ]


def _leading(found: Space, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """At most 32 directions: more would be learned by heart from so few rows."""
    return found.points[rows][:, :32]


def _moved_labels(sample: Sample, rows: NDArray[np.int64], late: NDArray[np.bool_]) -> float | None:
    """Half the sum of the differences between the shares of the classes, where all labels are known."""
    if sample.y is None or (sample.y[rows] < 0).any():
        return None
    y = sample.y[rows]
    first, second = (
        np.bincount(y[late == part], minlength=int(y.max()) + 1) / max(1, int((late == part).sum()))
        for part in (False, True)
    )
    return float(0.5 * np.abs(first - second).sum())
