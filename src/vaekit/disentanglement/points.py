"""Codes and factors: what is accepted, how points are drawn, and how both are counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaekit.data.factors import Grid

Represent = Callable[[Tensor, torch.Generator], Tensor]
"""Points of the grid, (N, F) int64, to their codes, (N, d), on any device. The generator is of whatever is
drawn beside the factors: a colour, a background, a sample of the posterior."""

Array = NDArray[Any]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Values = Tensor | Array

Merge = Mapping[str, Mapping[int, int]]
"""Factor name -> value -> the value whose datum is the same: {"orientation": {39: 0}} for dSprites."""

DSPRITES_TWINS: dict[str, dict[int, int]] = {"orientation": {39: 0}}
"""Orientation k of dSprites is the angle 2 pi k / 39, so that 0 and 39 are one picture, though the data set's
own description says that all pictures differ. No code can tell them apart."""


def from_table(grid: Grid, codes: Values) -> Represent:
    """Codes of all points of a grid, encoded once, as a `Represent` that gathers them.

    Args:
        grid: whose points they are.
        codes: (len(grid), d), in the order of the grid's numbers.

    Raises:
        ValueError: if there are not as many codes as points, or one is not finite.
    """
    table = torch.as_tensor(codes)
    if table.ndim != 2 or len(table) != len(grid):
        raise ValueError(
            f"`codes` has shape {tuple(table.shape)}; expected ({len(grid)}, d), one row for every "
            f"point of {grid}"
        )
    refuse_wild(table)

    def gather(factors: Tensor, generator: torch.Generator) -> Tensor:
        del generator  # nothing is drawn beside the factors
        return table.index_select(0, grid.index_of(factors).to(table.device))

    return gather


def refuse_wild(codes: Values, what: str = "codes") -> None:
    """Refuse NaN and infinities.

    Raises:
        ValueError: if there are any; says in which latents.
    """
    finite = codes.isfinite() if isinstance(codes, Tensor) else np.isfinite(codes)
    if not bool(finite.all()):
        wild = (~finite).sum(0).tolist()
        where = ", ".join(f"{count} in column {j}" for j, count in enumerate(wild) if count)
        raise ValueError(
            f"`{what}` holds NaN or infinite values ({where}); expected finite ones: a model "
            "whose codes are not finite has diverged"
        )


def array_of(values: Values, what: str) -> Array:
    """A finite array (N, columns) on the CPU, in its own floating type.

    Raises:
        ValueError: for another shape, no rows or columns, or values that are not finite.
    """
    if isinstance(values, Tensor):
        narrow = values.is_floating_point() and values.element_size() < 4  # numpy has no bfloat16
        array = (values.float() if narrow else values).detach().cpu().numpy()
    else:
        array = np.asarray(values)
    if array.dtype.kind == "b":
        array = array.astype(np.int64)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"`{what}` has shape {array.shape}; expected (N, columns), with one or more of both")
    if array.dtype.kind not in "fiu":
        raise TypeError(f"`{what}` holds {array.dtype}; expected numbers")
    if array.dtype.kind == "f":
        refuse_wild(array, what)
    return array


class Points(NamedTuple):
    """Checked codes, (N, d), and the factor values of the same points, (N, F); `kept` are the columns of the
    given factors that vary, which are those of `factors`."""

    codes: Array
    factors: Array
    kept: list[int]
    notes: tuple[str, ...]


def points_of(codes: Values, factors: Values) -> Points:
    """Codes and factors that fit each other; constant factors are dropped and noted.

    Raises:
        ValueError: if they do not fit, or no factor varies.
    """
    z, v = array_of(codes, "codes"), array_of(factors, "factors")
    if len(z) != len(v):
        raise ValueError(
            f"`codes` has {len(z)} rows, `factors` {len(v)}; expected one of each for every point"
        )
    varies = moving(v)
    if not varies.any():
        raise ValueError(
            f"all {v.shape[1]} columns of `factors` are constant; expected one or more that vary"
        )
    notes = tuple(
        f"factor {k} is constant in these points, and left out" for k in np.flatnonzero(~varies).tolist()
    )
    return Points(z, v[:, varies], np.flatnonzero(varies).tolist(), notes)


def classes_of(factors: Array, test: Array | None = None) -> tuple[Integers, Integers, list[int]]:
    """Factor values numbered 0 .. V_k - 1 in their order: (train, test, number of values of each factor).

    Raises:
        ValueError: for a factor that has more values than half its points: it is continuous.
    """
    rows = len(factors)
    both = factors if test is None else np.concatenate((factors, test))
    numbered = np.empty(both.shape, np.int64)
    counts = []
    for k in range(both.shape[1]):
        values, numbered[:, k] = np.unique(both[:, k], return_inverse=True)
        if both.dtype.kind == "f" and len(values) > max(2, len(both) // 2):
            raise ValueError(
                f"column {k} of `factors` has {len(values)} values in {len(both)} points; expected a factor "
                "with few values: bin a continuous one with `discretise`, or take a score that has no classes"
            )
        counts.append(len(values))
    return numbered[:rows], numbered[rows:], counts


def moving(codes: Array) -> Array:
    """Which columns are not constant, (d,). A variance does not say: that of a constant is rarely quite 0."""
    return np.asarray((codes != codes[:1]).any(0))


class Sample(NamedTuple):
    """Points that were drawn for training and for testing."""

    codes: Array
    factors: Array
    test_codes: Array
    test_factors: Array


def draw(represent: Represent, grid: Grid, n: int, generator: torch.Generator) -> tuple[Array, Array]:
    """Codes (n, d) and factors (n, F) of points drawn uniformly with replacement.

    Raises:
        ValueError: if the codes are not finite, or of another number.
    """
    factors = grid.sample(n, generator)
    codes = represent(factors, generator)
    if len(codes) != n:
        raise ValueError(f"`represent` returned {len(codes)} codes for {n} points; expected one for each")
    return array_of(codes, "codes"), factors.cpu().numpy()


def merged(factors: Array, grid: Grid, merge: Merge) -> Array:
    """Factor values where those of the same datum are one: (N, F).

    Raises:
        ValueError: for a factor or value that the grid has not.
    """
    result = factors.copy()
    for name, pairs in merge.items():
        if name not in grid.names:
            raise ValueError(f"`merge` names the factor {name!r}; expected one of {', '.join(grid.names)}")
        k = grid.names.index(name)
        for value, other in pairs.items():
            if not (0 <= value < grid.sizes[k] and 0 <= other < grid.sizes[k]):
                raise ValueError(
                    f"`merge` takes {name} {value} for {other}; expected values in 0..{grid.sizes[k] - 1}"
                )
            result[factors[:, k] == value, k] = other
    return result


def discretise(values: Values, bins: int = 20) -> Integers:
    """Numbers of equal-width bins between the smallest and the largest value of each column: (N, d), from 0.

    Intervals are closed on the left; the largest value falls into the last one. An outlier widens all bins of
    its column. With `bins` = 20 it is the discretiser of Locatello et al. 2019, counted from 0 instead of 1.
    """
    array = array_of(values, "values")
    columns = [np.digitize(c, np.histogram_bin_edges(c, bins)[:-1]) - 1 for c in array.T]
    return np.stack(columns, 1).astype(np.int64)


def counts_of(first: Integers, second: Integers) -> Floats:
    """How often value a of column j meets value b of column k: (columns, columns', values, values')."""
    wide, high = int(first.max()) + 1, int(second.max()) + 1
    d, f = first.shape[1], second.shape[1]
    pair = np.arange(d)[:, None] * f + np.arange(f)
    cells = (pair * wide + first[:, :, None]) * high + second[:, None, :]
    found = np.bincount(cells.reshape(-1), minlength=d * f * wide * high)
    return found.reshape(d, f, wide, high).astype(np.float64)


def mutual_information(first: Integers, second: Integers) -> Floats:
    """I(first_j; second_k) of the empirical distribution, nats: (columns of first, columns of second).

    Args:
        first, second: numbers from 0, (N, columns).
    """
    joint = counts_of(first, second) / len(first)
    product = joint.sum(3, keepdims=True) * joint.sum(2, keepdims=True)
    ratio = np.divide(joint, product, out=np.ones_like(joint), where=joint > 0)
    return cast(Floats, np.maximum((joint * np.log(ratio)).sum((2, 3)), 0.0))


def entropy(numbers: Integers) -> Floats:
    """H of the empirical distribution of each column, nats: (columns,)."""
    result = np.empty(numbers.shape[1])
    for k, column in enumerate(numbers.T):
        p = np.bincount(column) / len(column)
        result[k] = -(p[p > 0] * np.log(p[p > 0])).sum()
    return result


def factor_information(codes: Array, classes: Integers, bins: int) -> tuple[Floats, Floats]:
    """I(binned code_j; factor_k), (d, F), and H(factor_k), (F,), nats."""
    return mutual_information(discretise(codes, bins), classes), entropy(classes)


def top_two(matrix: Floats) -> tuple[Floats, Floats]:
    """Largest and second largest entry of every column; where there is one row, the second is 0."""
    ordered = np.sort(matrix, axis=0)
    return ordered[-1], ordered[-2] if len(ordered) > 1 else np.zeros(matrix.shape[1])
