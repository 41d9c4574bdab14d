"""Points for training and for testing that fit each other."""

from __future__ import annotations

from typing import NamedTuple

from vaekit.disentanglement.points import Array, Values, array_of, points_of


class Tested(NamedTuple):
    """Checked points of training and of testing; factors that are constant in training are left out of
    both."""

    codes: Array
    factors: Array
    test_codes: Array
    test_factors: Array
    notes: tuple[str, ...]


def tested(codes: Values, factors: Values, test_codes: Values, test_factors: Values) -> Tested:
    """Check codes and factors of training and of testing.

    Raises:
        ValueError: if they do not fit, are not finite, or no factor varies.
    """
    points = points_of(codes, factors)
    z, v = array_of(test_codes, "test_codes"), array_of(test_factors, "test_factors")
    if len(z) != len(v):
        raise ValueError(f"`test_codes` has {len(z)} rows, `test_factors` {len(v)}; expected equal numbers")
    columns = len(points.kept) + len(points.notes)
    if z.shape[1] != points.codes.shape[1] or v.shape[1] != columns:
        raise ValueError(
            f"`test_codes` and `test_factors` have {z.shape[1]} and {v.shape[1]} columns; expected "
            f"{points.codes.shape[1]} and {columns}, as in training"
        )
    return Tested(points.codes, points.factors, z, v[:, points.kept], points.notes)
