"""Columns that name, number or date the rows, and columns that give the label away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vaekit.doctor import commands
from vaekit.doctor.columns import LEAST_ROWS, constant
from vaekit.doctor.finding import Finding
from vaekit.doctor.sample import TEST, TRAIN, Sample
from vaekit.doctor.words import listed, percent, share

MOST_COLUMNS = 200
MOST_ROWS = 4_000
ERROR, GUESS, LEAST_LABELLED = 0.01, 0.2, 200
"""A column tells the label where a rule of it alone errs on at most 1 % of rows that the rule has not seen,
and guessing the most frequent label errs on 20 % or more. A column that knows nothing does so on 100 such
rows with odds of 5e-9; with fewer than 200 labelled rows nothing is said."""
LEAST_GROUPS = 10
"""A column groups the rows where it has 10 different values or more, at most half as many as rows, and each
stands in one run of neighbouring rows. For 50 rows in random order the odds are below 1e-20."""
LEAST_STEPS = 24
"""A column is a clock where it never falls, or never rises, along the file, and moves 24 times or more. For
rows in random order the odds are below 2 / 25! = 1e-25."""


def _ordered(sample: Sample) -> NDArray[np.int64] | None:
    """Rows of one file in its order, or None where columns are not examined."""
    rows = np.flatnonzero(sample.place >= 0)
    if not sample.table or sample.spec.kind not in ("real", "count") or len(rows) < LEAST_ROWS:
        return None
    return rows[np.argsort(sample.place[rows], kind="stable")]


def _role(values: NDArray[np.float64], total: int) -> str:
    """id, group, time or nothing: what a column along a file looks like.

    Args:
        values: in the order of the file, (n,).
        total: number of rows of the whole file, of which these may be some.
    """
    steps = np.diff(values)
    monotone = bool((steps >= 0).all() or (steps <= 0).all())
    different = len(np.unique(values))
    if (values == np.rint(values)).all():
        # n numbers drawn from 2 n are all different with odds of about exp(-n / 4): 4e-6 for 50 rows
        if different == len(values) and (monotone or np.ptp(values) <= 2 * total):
            return "id"
        runs = 1 + int((steps != 0).sum())
        if LEAST_GROUPS <= different <= len(values) / 2 and runs == different:
            return "group"
    return "time" if monotone and int((steps != 0).sum()) >= LEAST_STEPS else ""


def _with_role(sample: Sample, role: str) -> list[int]:
    rows = _ordered(sample)
    if rows is None:
        return []
    values = sample.x[rows].astype(np.float64)
    return [k for k in range(values.shape[1]) if _role(values[:, k], sum(sample.sizes)) == role]


def id_columns(sample: Sample) -> list[Finding]:
    """Whole numbers of which none stands twice, and which fill their range by half or rise row by row."""
    found = _with_role(sample, "id")
    if not found:
        return []
    names = [sample.names()[k] for k in found]
    return [
        Finding(
            "id_columns",
            f"Columns that number the rows: {listed(names)}",
            f"whole numbers, all different in {sample.said(int((sample.place >= 0).sum()), 'rows')}",
            "They say which row it is, not what is in it; a model will spend latents on them.",
            "Leave them out.",
            commands.without_columns(sample, found),
            "warning",
        )
    ]


def time_columns(sample: Sample) -> list[Finding]:
    """Columns that only rise, or only fall, along the file."""
    found = _with_role(sample, "time")
    if not found:
        return []
    names = [sample.names()[k] for k in found]
    return [
        Finding(
            "time_columns",
            f"Columns that only rise or only fall along the file: {listed(names)}",
            f"no step in the other direction in {sample.said(int((sample.place >= 0).sum()), 'rows')}",
            "It is a clock, or the key by which the file was sorted. The model learns when or where a row "
            "was written, and held-out rows, which are drawn at random, lie between their neighbours in "
            "time.",
            "Leave it out. If later rows are what matters, judge the model on data that were recorded later.",
            commands.without_columns(sample, found),
            "warning",
        )
    ]


def groups(sample: Sample) -> list[Finding]:
    """Columns that put neighbouring rows into groups, such as patients, and groups in several splits."""
    found = _with_role(sample, "group")
    if not found:
        return []
    names = [sample.names()[k] for k in found]
    told = []
    for k, name in zip(found, names, strict=True):
        train, test = (sample.x[sample.split == part, k] for part in (TRAIN, TEST))
        inside = int(np.isin(test, train).sum())
        told.append(
            f"{name}: {share(inside, max(1, len(test)))} of the test rows are of a group with training rows"
        )
    return [
        Finding(
            "groups",
            f"Rows come in groups, by {listed(names)}",
            f"every value stands in one run of neighbouring rows; {'; '.join(told)}",
            "Rows of one group (a patient, a batch, a sort key) are likely to be alike. Held-out rows are "
            "drawn at random, from the groups of the training data: figures say nothing of new groups.",
            "Leave the column out, and judge the model on data of other groups.",
            commands.without_columns(sample, found),
            "warning",
        )
    ]


def label_leak(sample: Sample) -> list[Finding]:
    """Columns that tell the label by themselves."""
    if not sample.table or sample.y is None or sample.x.shape[1] > MOST_COLUMNS:
        return []
    rows = sample.some(np.flatnonzero(sample.y >= 0), MOST_ROWS, 4)
    rows = np.random.default_rng([sample.seed, 5]).permutation(rows)
    y = sample.y[rows]
    if len(rows) < LEAST_LABELLED or np.bincount(y).max() > (1 - GUESS) * len(y):
        return []
    from sklearn.tree import DecisionTreeClassifier

    half, classes = len(rows) // 2, len(np.unique(y))
    found, errors = [], []
    for k in np.flatnonzero(~sample.once(constant)):
        column = sample.x[rows, k].astype(np.float64)[:, None]
        tree = DecisionTreeClassifier(max_leaf_nodes=max(2, 4 * classes), min_samples_leaf=2, random_state=0)
        error = float((tree.fit(column[:half], y[:half]).predict(column[half:]) != y[half:]).mean())
        if error <= ERROR:
            found.append(int(k))
            errors.append(error)
    if not found:
        return []
    names = [sample.names()[k] for k in found]
    each = [f"{name} errs on {percent(error)}" for name, error in zip(names, errors, strict=True)]
    guess = 1 - np.bincount(y).max() / len(y)
    return [
        Finding(
            "label_leak",
            f"Columns that tell the label: {listed(names)}",
            f"a rule of one column alone, on {len(rows) - half:,} rows that it has not seen: {listed(each)} "
            f"(the most frequent label errs on {percent(float(guess))})",
            "The label, or something that follows from it, seems to be among the data: latents will separate "
            "the classes for no other reason.",
            "Leave it out, unless it was measured before the label was known.",
            commands.without_columns(sample, found),
            "warning",
        )
    ]
