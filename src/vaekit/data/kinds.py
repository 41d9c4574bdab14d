"""What values a set holds: inferred, or checked against what the user says. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaekit.data.spec import Kind
from vaekit.errors import UserError

Array = NDArray[Any]
_ROWS_AT_ONCE = 1 << 24  # values looked at in one go: bounds the memory on mapped files
_EXACT = 1 << 24  # integers up to here are exact in float32


@dataclass(frozen=True)
class Values:
    """What a scan of all values found."""

    low: float
    high: float
    whole: bool  # every value is an integer
    binary: bool  # every value is 0 or 1


def pieces(x: Array) -> Iterator[tuple[int, Array]]:
    """(first row, rows) of an array, a bounded number of values at a time."""
    step = max(1, _ROWS_AT_ONCE // max(1, int(np.prod(x.shape[1:]))))
    for begin in range(0, len(x), step):
        yield begin, x[begin : begin + step]


def _refuse(
    name: str, begin: int, part: Array, wrong: NDArray[np.bool_], problem: str, remedy: str
) -> UserError:
    """The error that names the first wrong value and its position (row first, counted from 0)."""
    position = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    value = part[position].item()
    place = ", ".join(map(str, (begin + position[0], *position[1:])))
    return UserError(f"{name}: {problem.format(value=value)} at position ({place}); {remedy}")


def scan(x: Array, name: str) -> Values:
    """Range and nature of all values.

    Raises:
        UserError: for values that are no numbers, NaN or infinite (the first one and its position is named).
    """
    if x.dtype.kind not in "buif":
        raise UserError(
            f"{name}: the values are of type {x.dtype}; expected booleans, integers or real numbers"
        )
    low, high, whole, binary = np.inf, -np.inf, True, True
    for begin, part in pieces(x):
        if part.dtype.kind == "f" and not np.isfinite(np.min(part) + np.max(part)):
            wrong = ~np.isfinite(part)
            if wrong.any():
                remedy = "remove or fill such values first (vaekit does not guess them)"
                raise _refuse(name, begin, part, wrong, "the value is {value}", remedy)
        bottom, top = float(part.min()), float(part.max())
        low, high = min(low, bottom), max(high, top)
        if whole and part.dtype.kind == "f":
            whole = bool((part == np.rint(part)).all())
        binary = binary and whole and bottom >= 0 and top <= 1
    return Values(low, high, whole, binary)


def infer(x: Array, found: Values) -> tuple[Kind, int | None]:
    """(kind, levels): {0, 1} is binary; uint8 is unit with 256 levels; other integers from 0 are counts;
    floats in [0, 1] are unit; the rest is real."""
    if found.binary:
        return "binary", None
    if x.dtype == np.uint8:
        return "unit", 256
    if x.dtype.kind in "iu" and found.low >= 0:
        return "count", None
    if x.dtype.kind == "f" and found.low >= 0 and found.high <= 1:
        return "unit", None
    return "real", None


def check(x: Array, found: Values, kind: Kind, name: str) -> int | None:
    """Hold the values against a declared kind; returns the levels.

    Raises:
        UserError: naming the first value that contradicts the kind and its position.
    """
    if kind == "unit" and x.dtype == np.uint8:
        return 256
    limits = {"binary": (0, 1), "unit": (0, 1), "real": (-np.inf, np.inf), "count": (0, np.inf)}
    low, high = limits.get(kind, (0, np.inf))
    words = {"binary": "0 or 1", "unit": "values in [0, 1]", "count": "0, 1, 2, ..."}.get(
        kind, "0, 1, ... classes-1"
    )
    whole = kind in ("binary", "count", "categorical")
    if found.low < low or found.high > high or (whole and not found.whole):
        for begin, part in pieces(x):
            wrong = (part < low) | (part > high)
            if whole and part.dtype.kind == "f":
                wrong |= part != np.rint(part)
            if wrong.any():
                remedy = "change the values, or give another `kind`"
                raise _refuse(
                    name,
                    begin,
                    part,
                    wrong,
                    f"{{value}} contradicts kind {kind!r} (expected {words})",
                    remedy,
                )
    if kind == "categorical":
        return max(2, int(found.high) + 1)
    return None


def stored_type(x: Array, found: Values, kind: Kind, name: str) -> np.dtype[Any]:
    """The type that values are kept in: bytes where they suffice, else 32 bits.

    Raises:
        UserError: for values that float32 cannot hold.
    """
    if kind == "binary" or (kind == "unit" and x.dtype == np.uint8):
        return np.dtype(np.uint8)
    if kind in ("count", "categorical"):
        if found.high > _EXACT:
            raise UserError(
                f"{name}: the largest value is {found.high:.0f}; expected {kind} values up to {_EXACT}"
            )
        return np.dtype(np.uint8 if found.high < 256 else np.int32)
    largest = float(np.finfo(np.float32).max)
    if max(-found.low, found.high) > largest:
        for begin, part in pieces(x):
            wrong = np.abs(part.astype(np.float64)) > largest
            if wrong.any():
                raise _refuse(
                    name, begin, part, wrong, "{value} does not fit into 32-bit numbers", "rescale the values"
                )
    return np.dtype(np.float32)
