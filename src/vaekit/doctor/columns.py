"""Columns of a table that say nothing, or say the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vaekit.doctor import commands
from vaekit.doctor.finding import Finding
from vaekit.doctor.sample import Sample
from vaekit.doctor.words import listed, number, percent

MOST_ROWS = 20_000
MOST_COLUMNS = 1_000
"""Rows and columns among which dependent ones are looked for: the cost grows with their product."""
LEAST_ROWS = 50
"""With fewer rows nothing is said about the law of a column."""
NEARLY = 0.99
"""Share of one value from which on a column is nearly constant: a rule, no chance is involved."""
SAME = 0.9995
"""Correlation from which on two columns say the same. For independent Gaussian columns of 50 rows the odds of
|r| > 0.9995 are below 1e-70: no false alarm among any number of pairs."""
DEPENDENT = 1e-6
"""Share of a column's variance that the columns before it leave unexplained, below which it follows from
them. For independent Gaussian columns the share is Beta((n - D) / 2, D / 2), whose odds of such a value are
below 1e-60 where n is 50 and D up to n / 2; with fewer than 2 D rows nothing is said."""


def constant(sample: Sample) -> NDArray[np.bool_]:
    """Which elements of a datum have one value in all training rows: (D,)."""
    x = sample.x[sample.train]
    return np.asarray(x.min(axis=0) == x.max(axis=0)) if len(x) else np.zeros(x.shape[1], bool)


def constant_columns(sample: Sample) -> list[Finding]:
    """Columns with one value. A fact about the rows looked at; no chance is involved."""
    if not sample.table:
        return []
    found = np.flatnonzero(sample.once(constant))
    if not len(found):
        return []
    names = sample.names()
    return [
        Finding(
            "constant_columns",
            f"Constant columns: {listed([names[k] for k in found])}",
            f"{len(found)} of {sample.x.shape[1]} columns have one value in {sample.said(len(sample.train))}",
            "They tell nothing about a datum, and a Gaussian can put an arbitrarily high density on them, "
            "which spoils the likelihood of all columns.",
            "Leave them out.",
            commands.without_columns(sample, found.tolist()),
            "warning",
        )
    ]


def nearly_constant_columns(sample: Sample) -> list[Finding]:
    """Columns in which one value has a share of 99 % or more."""
    if not sample.table or sample.spec.kind not in ("real", "count") or len(sample.train) < LEAST_ROWS:
        return []
    x = sample.x[sample.train]
    shares = (x == np.median(x, axis=0)).mean(axis=0)  # a value with more than half of them is the median
    found = np.flatnonzero((shares >= NEARLY) & ~sample.once(constant))
    if not len(found):
        return []
    names = sample.names()
    each = [f"{names[k]} ({percent(shares[k])})" for k in found]
    return [
        Finding(
            "nearly_constant_columns",
            f"Nearly constant columns: {listed([names[k] for k in found])}",
            f"share of their most frequent value: {listed(each)}",
            "One value says nearly everything about such a column: a Gaussian spends its density there, and "
            "the rest are outliers.",
            "Leave them out, or turn them into 0 and 1 in data of their own.",
            commands.without_columns(sample, found.tolist()),
            "warning",
        )
    ]


def one_hot_groups(sample: Sample) -> list[tuple[int, int]]:
    """Runs of three or more neighbouring columns of 0 and 1 of which every row has exactly one 1.

    Independent columns of 50 rows are such a group with odds below 1e-17 (three columns that are 1 with
    probability 1/3: (4/9)^50).
    """
    x = sample.x
    if not sample.table or len(x) < LEAST_ROWS:
        return []
    binary = ((x == 0) | (x == 1)).all(axis=0) & ~sample.once(constant)
    groups, begin, width = [], 0, x.shape[1]
    while begin < width:
        end, total = begin, np.zeros(len(x))
        while end < width and binary[end] and (total + x[:, end] <= 1).all():
            total = total + x[:, end]
            end += 1
        if end - begin >= 3 and (total == 1).all():
            groups.append((begin, end))
            begin = end
        else:
            begin += 1
    return groups


def one_hot(sample: Sample) -> list[Finding]:
    """Classes written as several columns of 0 and 1."""
    groups = sample.once(one_hot_groups)
    if not groups:
        return []
    names = sample.names()
    each = [f"{names[a]} .. {names[b - 1]} ({b - a} classes)" for a, b in groups]
    only = len(groups) == 1 and groups[0] == (0, sample.x.shape[1])
    inside = [k for a, b in groups for k in range(a, b)]
    return [
        Finding(
            "one_hot",
            f"Classes are written as columns of 0 and 1: {listed(each)}",
            f"in each of {len(sample.x):,} rows exactly one column of the group is 1",
            "Taken one by one they are independent in p(x|z): samples will have no class, or two.",
            "Write the number of the class into one array and declare it categorical; a table that mixes it "
            "with other columns has to do without it.",
            commands.rewritten(sample, "x.argmax(axis=1)[:, None]", "classes", {"kind": "categorical"})
            if only else commands.without_columns(sample, inside),
            "warning",
        )
    ]  # fmt: skip


def _candidates(sample: Sample) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Columns that can depend on others, and their standardised values; not classes, not constants."""
    if not sample.table or not 2 <= sample.x.shape[1] <= MOST_COLUMNS:
        return None
    left = ~sample.once(constant)
    for begin, end in sample.once(one_hot_groups):
        left[begin:end] = False
    columns = np.flatnonzero(left)
    rows = sample.some(sample.train, MOST_ROWS, 2)
    if len(columns) < 2 or len(rows) < LEAST_ROWS:
        return None
    x = sample.x[np.ix_(rows, columns)].astype(np.float64)
    x -= x.mean(axis=0)
    deviation = np.sqrt((x**2).mean(axis=0))
    moving = deviation > 0  # constant among these rows
    return columns[moving], x[:, moving] / deviation[moving]


def same_columns(sample: Sample) -> list[Finding]:
    """Pairs of columns whose correlation is 1 or -1, or nearly."""
    found = _candidates(sample)
    if found is None:
        return []
    columns, x = found
    r = np.triu(x.T @ x / len(x), k=1)
    first, second = np.nonzero(np.abs(r) >= SAME)
    if not len(first):
        return []
    names = sample.names()
    each = [
        f"{names[columns[a]]} and {names[columns[b]]} (r = {r[a, b]:.5f})"
        for a, b in zip(first, second, strict=True)
    ]
    copies = sorted({int(columns[b]) for b in second})
    return [
        Finding(
            "same_columns",
            f"Columns that say the same: {listed([names[k] for k in copies])}",
            f"correlation on {sample.said(len(x))}: {listed(each)}",
            "One follows from the other. What they share counts twice in the reconstruction, and the noise "
            "between them can get an arbitrarily high density.",
            "Leave one of each pair out.",
            commands.without_columns(sample, copies),
            "warning",
        )
    ]


def dependent_columns(sample: Sample) -> list[Finding]:
    """Columns that are a linear combination of columns before them, beyond what `same_columns` names."""
    found = _candidates(sample)
    if found is None:
        return []
    columns, x = found
    r = x.T @ x / len(x)
    copies = np.triu(np.abs(r) >= SAME, k=1).any(axis=0)
    x, columns = x[:, ~copies], columns[~copies]
    if len(x) < 2 * x.shape[1] or len(columns) < 3:
        return []
    left = _unexplained(x)
    dependent = np.flatnonzero(left < DEPENDENT)
    if not len(dependent):
        return []
    names = sample.names()
    each = [f"{names[columns[k]]} ({number(float(left[k]))})" for k in dependent]
    return [
        Finding(
            "dependent_columns",
            f"Columns that follow from others: {listed([names[columns[k]] for k in dependent])}",
            f"share of their variance that the columns before leave open, on {sample.said(len(x))}: "
            f"{listed(each)}",
            "Each is a sum of other columns with fixed weights, such as a total. It adds no information, and "
            "its noise of nearly 0 can get an arbitrarily high density.",
            "Leave them out: they can be computed afterwards.",
            commands.without_columns(sample, columns[dependent].tolist()),
            "warning",
        )
    ]


def _unexplained(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(D,) share of each standardised column's variance that is left by the columns before it.

    Modified Gram-Schmidt; a column that is explained leaves no direction.
    """
    left = np.empty(x.shape[1])
    x = x / np.sqrt((x**2).sum(axis=0))
    for k in range(x.shape[1]):
        left[k] = float(x[:, k] @ x[:, k])
        if left[k] < DEPENDENT:
            continue
        direction = x[:, k] / np.sqrt(left[k])
        x[:, k + 1 :] -= np.outer(direction, direction @ x[:, k + 1 :])
    return left
