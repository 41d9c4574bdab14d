"""What a table of runs says: which scores agree, and where their spread comes from."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaekit.studies.table import Row

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Shares:
    """Of the variance of a score over runs, the parts that methods, strengths and seeds make.

    total = methods + strengths + seeds, as sums of squares: of the means of methods around the mean, of the
    means of a method's strengths around the method's, and of runs around the mean of their strength. The
    three are 0 where all runs score alike.

    Args:
        methods, strengths, seeds: shares of the whole, which sum to one.
        runs: number of runs.
        methods_count, cells: number of methods, and of methods with a strength.
    """

    methods: float
    strengths: float
    seeds: float
    runs: int
    methods_count: int
    cells: int


def shares(values: Sequence[float], methods: Sequence[Hashable], cells: Sequence[Hashable]) -> Shares:
    """The parts of a score's variance.

    Args:
        values: of the score, one a run.
        methods: of each run.
        cells: method and strength of each run.

    Raises:
        ValueError: if there are no values, or a strength belongs to two methods.
    """
    if not values or not len(values) == len(methods) == len(cells):
        raise ValueError(f"got {len(values)} values of {len(methods)} methods and {len(cells)} strengths")
    owner = dict(zip(cells, methods, strict=True))
    if any(owner[cell] != method for cell, method in zip(cells, methods, strict=True)):
        raise ValueError("`cells` has one that belongs to two methods; expected strengths of one method each")
    v = np.asarray(values, dtype=np.float64)
    by_method, by_cell = _means(v, methods), _means(v, cells)
    total = float(((v - v.mean()) ** 2).sum())
    scale = 1 / total if total > 0 else 0.0
    return Shares(
        methods=scale * float(((by_method - v.mean()) ** 2).sum()),
        strengths=scale * float(((by_cell - by_method) ** 2).sum()),
        seeds=scale * float(((v - by_cell) ** 2).sum()),
        runs=len(v),
        methods_count=len(set(methods)),
        cells=len(set(cells)),
    )


def _means(values: Array, groups: Sequence[Hashable]) -> Array:
    """The mean of its group for every value."""
    members: dict[Hashable, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    found = np.empty_like(values)
    for indices in members.values():
        found[indices] = values[indices].mean()
    return found


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's coefficient: the correlation of ranks, ties at their mean; NaN where one is constant.

    >>> rank_correlation([1.0, 2.0, 3.0], [10.0, 100.0, 1000.0])
    1.0
    """
    a, b = _ranks(np.asarray(first, float)), _ranks(np.asarray(second, float))
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else float("nan")


def _ranks(values: Array) -> Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray(last - (counts - 1) / 2, dtype=np.float64)[inverse]


def score_names(table: Sequence[Row]) -> list[str]:
    """The columns that are scores, in the order in which they were taken."""
    names = dict.fromkeys(name for row in table for name in row if "/" in name)
    return [name for name in names if not name.startswith(("last.", "seconds."))]


def numbers(table: Sequence[Row], name: str) -> list[float]:
    """The values of a score, of the runs that have one."""
    return [float(row[name]) for row in table if row.get(name) is not None]


def strength_of(table: Sequence[Row]) -> dict[str, str | None]:
    """The argument of each method that is its strength: the first number that differs between its runs.

    None for a method whose runs differ in no number, as by their seeds alone.
    """
    found: dict[str, str | None] = {}
    for method in dict.fromkeys(row["method"] for row in table):
        mine = [row for row in table if row["method"] == method]
        names = dict.fromkeys(name for row in mine for name in row if name.startswith("arguments."))
        found[method] = next((name for name in names if _differs(mine, name)), None)
    return found


def _differs(table: Sequence[Row], name: str) -> bool:
    values = {row.get(name) for row in table if _is_number(row.get(name))}
    return len(values) > 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def strength(row: Row, strengths: Mapping[str, str | None]) -> float | None:
    """How strong a run's regulariser is, or None if its method has none."""
    name = strengths.get(row["method"])
    value = None if name is None else row.get(name)
    return float(value) if value is not None and _is_number(value) else None


def spread_of(table: Sequence[Row], name: str) -> Shares | None:
    """Where the spread of a score comes from; None if fewer than two runs have it."""
    strengths = strength_of(table)
    having = [row for row in table if row.get(name) is not None]
    if len(having) < 2:
        return None
    methods = [row["method"] for row in having]
    cells = [(row["method"], strength(row, strengths)) for row in having]
    return shares([float(row[name]) for row in having], methods, cells)


def median_and_range(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, smallest and largest."""
    return statistics.median(values), min(values), max(values)
