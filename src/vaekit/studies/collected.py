"""Scores that compare runs with each other: taken of a study's finished runs, when its table is made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from torch import Tensor

from vaekit import disentanglement
from vaekit.errors import UserError
from vaekit.files import read_json, write_json
from vaekit.studies.call import Call, canonical
from vaekit.studies.store import COLLECTED, Store
from vaekit.studies.unit import joint_hash

Figures = dict[str, float]
Compared = Callable[[Sequence[Mapping[str, Tensor]], Mapping[str, Any]], list[Figures]]


def udr(left: Sequence[Mapping[str, Tensor]], options: Mapping[str, Any]) -> list[Figures]:
    """The unsupervised disentanglement ranking of models that differ in their seeds alone.

    `udr` of a run is the median over its partners; `used` the number of its latents in use.

    Args:
        left: what `vaekit.studies.scores.udr` left of each run.
        options: its settings.
    """
    rates = [each["rates"].tolist() for each in left if "rates" in each]
    found = disentanglement.udr(
        [each["codes"] for each in left],
        rates if len(rates) == len(left) else None,
        relation=options["relation"],
    )
    used = found.details["used"]
    return [
        {"udr": value, "used": float(len(mine))}
        for value, mine in zip(found.values.values(), used, strict=True)
    ]


COLLECTED_SCORES: dict[str, Compared] = {"udr": udr}
"""Name of a score -> what is made of the tensors that it left of runs which differ in their seeds alone."""


def collected(calls: Sequence[Call], store: Store) -> dict[str, Figures]:
    """Hash of a finished run -> "label/figure" -> number, of the scores that compare runs.

    Runs that differ in anything but their seeds are not compared; one that has no partner has no figure.
    What was computed once for the same runs is read from the store.

    Args:
        calls: finished ones.
        store: the folder of the study.

    Raises:
        UserError: if what a run left is damaged.
    """
    cells: dict[str, list[Call]] = {}
    for call in calls:
        if any(options["take"] in COLLECTED_SCORES for options in call.scores.values()):
            said = {name: value for name, value in call.content().items() if name != "seed"}
            cells.setdefault(canonical(said), []).append(call)
    if not cells:
        return {}
    known = _known(store)
    kept: dict[str, dict[str, Figures]] = {}
    found: dict[str, Figures] = {}
    for members in cells.values():
        for label, options in members[0].scores.items():
            if options["take"] not in COLLECTED_SCORES or len(members) < 2:
                continue
            key = hashlib.sha256(f"{label} {joint_hash(members)}".encode()).hexdigest()[:32]
            kept[key] = known.get(key) or _compared(label, options, members, store)
            for hash_, figures in kept[key].items():
                found.setdefault(hash_, {}).update(figures)
    if kept != known:
        with suppress(UserError):  # where nothing can be written, it is computed again the next time
            write_json(store.path / COLLECTED, kept)
    return found


def _compared(
    label: str, options: Mapping[str, Any], calls: Sequence[Call], store: Store
) -> dict[str, Figures]:
    mine = {}
    for call in calls:
        if (arrays := store.arrays(call.hash)) is not None:
            head = f"{label}/"
            mine[call.hash] = {k.removeprefix(head): v for k, v in arrays.items() if k.startswith(head)}
    if len(mine) < 2:
        return {}
    figures = COLLECTED_SCORES[options["take"]](list(mine.values()), options)
    return {
        hash_: {f"{label}/{name}": value for name, value in each.items()}
        for hash_, each in zip(mine, figures, strict=True)
    }


def _known(store: Store) -> dict[str, dict[str, Figures]]:
    try:
        found = read_json(store.path / COLLECTED) if (store.path / COLLECTED).is_file() else {}
    except UserError:
        return {}
    return found if isinstance(found, dict) else {}
