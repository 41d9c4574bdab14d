"""What the values of a column are like: classes, outliers, heavy tails."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vaekit.doctor import commands
from vaekit.doctor.columns import LEAST_ROWS, constant, one_hot_groups
from vaekit.doctor.finding import Finding
from vaekit.doctor.sample import Sample
from vaekit.doctor.words import listed, number, percent

MOST_ROWS = 20_000
FEW_VALUES = 20
"""A column of whole numbers with at most so many different ones is taken for classes or grades: a rule."""
OUTLIER, TAIL, MANY, FEW = 10.0, 6.0, 0.005, 5
"""Distances from the median in robust deviations: the distance of the quantiles at 5 and 95 % over 3.29,
which is the deviation of a Gaussian and covers several modes. A Gaussian column has a value beyond 10 with
odds of 1.5e-23 a row, so that none is expected in 1e20; five values or more beyond 6, and more than 0.5 %,
are tails and no outliers (a Gaussian has 2e-9)."""


def discrete_columns(sample: Sample) -> list[Finding]:
    """Columns of whole numbers with few different ones, among columns that have more."""
    if not sample.table or sample.spec.kind != "real" or len(sample.x) < LEAST_ROWS:
        return []
    x = sample.x
    whole = x.dtype.kind in "biu" or (x == np.rint(x)).all(axis=0)
    whole = np.broadcast_to(whole, x.shape[1]) & ~sample.once(constant)
    for begin, end in sample.once(one_hot_groups):
        whole[begin:end] = False
    kinds = {int(k): len(np.unique(x[:, k])) for k in np.flatnonzero(whole)}
    found = [k for k, different in kinds.items() if different <= FEW_VALUES]
    if not found or len(found) == x.shape[1]:  # nothing but grades: `whole_numbers` says so
        return []
    names = sample.names()
    return [
        Finding(
            "discrete_columns",
            f"Columns of classes or grades: {listed([names[k] for k in found])}",
            f"different values, all whole: {listed([f'{names[k]} {kinds[k]}' for k in found])}",
            "They are taken as real numbers, whose density can become arbitrarily large at a few points: the "
            "likelihood says less than it seems, and samples lie between the classes.",
            "Leave them out, or name one as --labels.",
            commands.without_columns(sample, found),
            "warning",
        )
    ]


def _distances(sample: Sample) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Training rows, and how far each value lies from its column's median, in robust deviations."""
    if not sample.table or sample.spec.kind != "real" or len(sample.train) < LEAST_ROWS:
        return None
    rows = sample.some(sample.train, MOST_ROWS, 3)
    x = sample.x[rows].astype(np.float64)
    low, middle, high = np.quantile(x, [0.05, 0.5, 0.95], axis=0)
    deviation = (high - low) / 3.29
    flat = deviation <= 0  # nearly all values are the same: no scale to measure by
    distance = np.abs(x - middle) / np.where(flat, 1.0, deviation)
    distance[:, flat] = 0.0
    return rows, distance


def outliers(sample: Sample) -> list[Finding]:
    """Single values that lie far away from all others of their column."""
    found = _distances(sample)
    if found is None:
        return []
    rows, distance = found
    far = distance > OUTLIER
    far[:, _tails(distance)] = False
    if not far.any():
        return []
    names, count = sample.names(), int(far.any(axis=1).sum())
    order = np.argsort(np.where(far, distance, 0.0), axis=None)[::-1][:3]
    worst = []
    for row, k in zip(*np.unravel_index(order, far.shape), strict=True):
        if far[row, k]:
            place = f" in row {sample.place[rows[row]]}" if sample.place[rows[row]] >= 0 else ""
            value = number(float(sample.x[rows[row], k]))
            worst.append(f"{names[k]} = {value}{place} ({distance[row, k]:,.0f} deviations)")
    columns = np.flatnonzero(far.any(axis=0))
    return [
        Finding(
            "outliers",
            f"Outliers in {listed([names[k] for k in columns])}",
            f"{count:,} of {sample.said(len(rows))} hold a value more than {OUTLIER:g} robust deviations "
            f"from the median (rows are counted from 0): {'; '.join(worst)}",
            "Single rows decide how a column is standardised and what a Gaussian has to explain.",
            "Look at these rows: repair or remove what is wrong. A Laplace likelihood minds the rest less.",
            commands.train(sample, {"likelihood": "laplace"}),
            "warning",
        )
    ]


def _tails(distance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Columns with many values far away."""
    counts = (distance > TAIL).sum(axis=0)
    return np.flatnonzero((counts >= FEW) & (counts > MANY * len(distance)))


def heavy_tails(sample: Sample) -> list[Finding]:
    """Columns with many values far away from the others."""
    found = _distances(sample)
    if found is None:
        return []
    rows, distance = found
    shares, tails = (distance > TAIL).mean(axis=0), _tails(distance)
    if not len(tails):
        return []
    names = sample.names()
    positive = [k for k in tails if sample.x[:, k].min() >= 0]
    logarithm = (
        f" {listed([names[k] for k in positive])} {'is' if len(positive) == 1 else 'are'} never below 0: "
        "take the logarithm (of 1 + x) before."
        if positive
        else ""
    )
    return [
        Finding(
            "heavy_tails",
            f"Heavy tails in {listed([names[k] for k in tails])}",
            f"share of values more than {TAIL:g} robust deviations from the median, on "
            f"{sample.said(len(rows))}: {listed([f'{names[k]} {percent(shares[k])}' for k in tails])} (a "
            "Gaussian: 2e-9)",
            "A Gaussian with one variance has no place for them: a few values dominate the loss.",
            f"Take a Laplace likelihood, whose tails are heavier.{logarithm}",
            commands.train(sample, {"likelihood": "laplace"}),
            "warning",
        )
    ]
