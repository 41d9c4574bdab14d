"""The algebra of studies: lists of points, and how lists are made of lists.

A point says some settings of a run, by their paths: {"recipe": "beta_vae", "arguments.beta": 4.0}. A nested
table stands for the paths through it: {"arguments": {"beta": 4.0}} is {"arguments.beta": 4.0}. A study is
such a list, in which every point says enough to be run.

>>> product(chain(fixed({"recipe": "vae"}), fixed({"recipe": "beta_vae"})), sweep({"seed": [0, 1]}))
[{'recipe': 'vae', 'seed': 0}, {'recipe': 'vae', 'seed': 1},
 {'recipe': 'beta_vae', 'seed': 0}, {'recipe': 'beta_vae', 'seed': 1}]

The five operations are those of the lists of hyper-parameters of disentanglement_lib (F. Locatello et al.,
Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations, ICML 2019, arXiv
1811.12359).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vaekit.errors import UserError

Point = dict[str, Any]
Points = list[Point]

MOST = 1_000_000
"""Points that a list may have: more is a mistake, found before it fills the memory."""


def fixed(settings: Mapping[str, Any]) -> Points:
    """One point.

    >>> fixed({"recipe": "beta_vae", "arguments": {"beta": 4.0}})
    [{'recipe': 'beta_vae', 'arguments.beta': 4.0}]
    """
    return [flat(settings)]


def sweep(values: Mapping[str, Any]) -> Points:
    """One point for every value; with several settings, for every combination, the last one running fastest.

    >>> sweep({"arguments.beta": [1.0, 4.0], "seed": [0, 1]})
    [{'arguments.beta': 1.0, 'seed': 0}, {'arguments.beta': 1.0, 'seed': 1},
     {'arguments.beta': 4.0, 'seed': 0}, {'arguments.beta': 4.0, 'seed': 1}]

    Raises:
        UserError: for a setting without values.
    """
    return product(*(_each(path, found) for path, found in _lists(values, "sweep")))


def zipped(values: Mapping[str, Any]) -> Points:
    """The first values of all settings together, then the second ones, and so on.

    >>> zipped({"arguments.lambda_od": [1.0, 2.0], "arguments.lambda_d": [10.0, 20.0]})
    [{'arguments.lambda_od': 1.0, 'arguments.lambda_d': 10.0},
     {'arguments.lambda_od': 2.0, 'arguments.lambda_d': 20.0}]

    Raises:
        UserError: for lists of unequal lengths.
    """
    lists = _lists(values, "zip")
    lengths = {path: len(found) for path, found in lists}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"`{path}` has {length}" for path, length in lengths.items())
        raise UserError(f"zip takes lists of one length; {told} values: make them equal, or take sweep")
    columns = (_each(path, found) for path, found in lists)
    return [merged(row) for row in zip(*columns, strict=True)]


def chain(*lists: Points) -> Points:
    """One list after the other."""
    _refuse_more_than_most(sum(map(len, lists)))
    return list(itertools.chain.from_iterable(lists))


def product(*lists: Points) -> Points:
    """Every point of the first list joined with every point of the next ones, the last one running fastest.

    Raises:
        UserError: if two of them say the same setting, or there are too many points.
    """
    _refuse_more_than_most(math.prod(map(len, lists)))
    return [merged(points) for points in itertools.product(*lists)]


def flat(settings: Mapping[str, Any], prefix: str = "") -> Point:
    """Settings by their paths; `data = "digits"` is short for `data.name`.

    Raises:
        UserError: if one is said twice, as data and as data.name.
    """
    return merged(_flattened(settings, prefix))


def merged(points: Iterable[Point]) -> Point:
    """One point that says what all of them say.

    Raises:
        UserError: if two of them say the same setting.
    """
    whole: Point = {}
    for point in points:
        for path, value in point.items():
            if path in whole:
                raise UserError(
                    f"`{path}` is said twice, as {shown(whole[path])} and as {shown(value)}: expected one "
                    "place for every setting, so that none is overruled unseen"
                )
            whole[path] = value
    return whole


def shown(value: Any) -> str:
    """A value as it stands in messages."""
    return repr(getattr(value, "value", value))


def _flattened(settings: Mapping[str, Any], prefix: str) -> Iterable[Point]:
    for key, value in settings.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{path}.")
        else:
            yield {"data.name" if path == "data" else path: value}


def _lists(values: Mapping[str, Any], name: str, prefix: str = "") -> list[tuple[str, Sequence[Any]]]:
    """Path and values of every setting of a sweep."""
    found: list[tuple[str, Sequence[Any]]] = []
    for own, value in values.items():
        key = f"{prefix}{own}"
        if isinstance(value, Mapping):
            found += _lists(value, name, f"{key}.")
            continue
        if isinstance(value, str) or not isinstance(value, Sequence) or not len(value):
            raise UserError(
                f"`{key}` of {name} is {shown(value)}; expected a list of one or more values, such as [1]"
            )
        found.append((key, value))
    return found


def _each(path: str, values: Sequence[Any]) -> Points:
    """One point for each value of a setting; the values of `data` may be tables."""
    return [flat({path: value}) for value in values]


def _refuse_more_than_most(count: int) -> None:
    if count > MOST:
        raise UserError(f"this list has {count:,} points; expected at most {MOST:,}: split the study")
