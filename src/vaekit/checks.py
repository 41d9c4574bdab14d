"""Checks of arguments: what was got, what was expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import get_args


def whole(argument: str, value: int, least: int = 1) -> int:
    """A whole number of at least `least`.

    Raises:
        TypeError: if it is no whole number.
        ValueError: if it is too small.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{argument}` is {value!r}; expected a whole number of at least {least}")
    if value < least:
        raise ValueError(f"`{argument}` is {value}; expected at least {least}")
    return value


def sizes(argument: str, values: Sequence[int], least: int = 0) -> tuple[int, ...]:
    """Whole numbers of at least 1, one for every layer, and at least `least` of them.

    Raises:
        TypeError: if it is one number, or one of them is no whole number.
        ValueError: if one is too small, or there are too few.
    """
    if isinstance(values, int | float | str):
        raise TypeError(
            f"`{argument}` is {values!r}; expected one number for every layer, such as (200, 200)"
        )
    if len(values) < least:
        raise ValueError(f"`{argument}` is {tuple(values)}; expected at least {least} layer")
    return tuple(whole(f"{argument}[{i}]", value) for i, value in enumerate(values))


def number(
    argument: str, value: float, *, least: float = -math.inf, above: float = -math.inf, most: float = math.inf
) -> float:
    """A finite number with least <= value <= most and value > above.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is not finite or outside the range.
    """
    limits = [f"at least {least:g}"] if least > -math.inf else []
    limits += [f"above {above:g}"] if above > -math.inf else []
    limits += [f"at most {most:g}"] if most < math.inf else []
    expected = " ".join(["a finite number", " and ".join(limits)]).strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"`{argument}` is {value!r}; expected {expected}")
    if not math.isfinite(value) or value < least or value <= above or value > most:
        raise ValueError(f"`{argument}` is {value}; expected {expected}")
    return value


def known(argument: str, value: object, names: object) -> None:
    """Refuse a value that is none of the names of a `Literal`.

    Raises:
        ValueError: if it is none of them.
    """
    if value not in get_args(names):
        offer = ", ".join(str(name) for name in get_args(names))
        raise ValueError(f"`{argument}` is {value!r}; expected one of {offer}")
