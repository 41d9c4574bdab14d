"""Which runs of a study are trained as one stack, and why the others are not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Any

from vaekit.checks import whole
from vaekit.errors import ArgumentError, UnsupportedError
from vaekit.stacked import Call as Member
from vaekit.stacked import groups, why_alone
from vaekit.stacked.refusals import refuse_settings
from vaekit.studies.call import Call, canonical
from vaekit.studies.data import splits_of
from vaekit.studies.store import Store
from vaekit.studies.unit import Unit
from vaekit.trainer import Training

MOST_MODELS = 64
"""In one stack, where nothing else is said: of the study's convolutional networks, some 10 GB on a GPU."""

ONLY_ONE = "no other run of the study is of its shape"


def most_of(stacked: bool | int) -> int:
    """Models in a stack at most: 1 where there are to be no stacks.

    Raises:
        ArgumentError: for a number below 2.
    """
    if isinstance(stacked, bool):
        return MOST_MODELS if stacked else 1
    try:
        return whole("stacked", stacked, least=2)
    except (TypeError, ValueError) as error:
        raise ArgumentError(str(error)) from error


def units_of(calls: Sequence[Call], most: int, store: Store) -> list[Unit]:
    """The calls in units, every call in one: stacks that were begun first, then in the order of the study.

    Args:
        calls: that are to be carried out.
        most: models in a stack at most; 1 for no stacks.
        store: where stacks may have been begun. Those that cannot go on as they are, since the study or
            `most` is another one, are begun anew.
    """
    left = {call.hash: call for call in calls}
    units = []
    for hash_, names in store.stacks():
        if 1 < len(names) <= most and all(name in left for name in names):
            units.append(Unit(tuple(left.pop(name) for name in names)))
        else:
            store.forget_stack(hash_)
    if most == 1:
        return units + [Unit((call,)) for call in left.values()]
    alike: dict[str, list[Call]] = {}
    for call in left.values():
        if store.begun(call.hash):  # by itself, or only to be scored: it goes on so
            units.append(Unit((call,)))
            continue
        key = {"recipe": call.recipe, "data": call.data, "place": call.place, "training": call.training}
        alike.setdefault(canonical(key), []).append(call)
    for members in alike.values():
        units += _units(members, most)
    return units


def _units(calls: Sequence[Call], most: int) -> list[Unit]:
    """Units of calls of one recipe on the same data, trained in the same way."""
    if why := _refused(calls[0].training):
        return [Unit((call,), why) for call in calls]
    spec = splits_of(calls[0]).spec
    members = [Member(call.seed, call.arguments) for call in calls]
    found = []
    for group in groups(calls[0].recipe, members, spec):
        if len(group) == 1:
            why = why_alone(calls[0].recipe, members[group[0]], spec) or ONLY_ONE
            found.append(Unit((calls[group[0]],), why))
            continue
        for part in _evenly(group, most):
            found.append(Unit(tuple(calls[number] for number in part)))
    return found


def _refused(training: Any) -> str | None:
    """Why this training cannot be that of a stack, or None."""
    settings = {name: value for name, value in training.items() if value is not None}
    try:
        refuse_settings(Training(**{"epochs": 1, "batch_size": 1, **settings}))
    except UnsupportedError as error:
        return str(error).removesuffix(": leave it out")
    return None


def _evenly(numbers: Sequence[int], most: int) -> list[list[int]]:
    """Parts of at most `most`, as equal as can be: 65 are 33 and 32, not 64 and one alone."""
    count = math.ceil(len(numbers) / most)
    rest = iter(numbers)
    sizes = [len(numbers) // count + (i < len(numbers) % count) for i in range(count)]
    return [list(islice(rest, size)) for size in sizes]
