"""The data of a study: what a call says of them, and the data themselves."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from vaekit.data.batch import Splits
from vaekit.data.catalogue import ENTRIES
from vaekit.data.factors import FactorData, Stored
from vaekit.data.ground import ground_truth_of
from vaekit.data.identity import fingerprint
from vaekit.data.loading import load
from vaekit.errors import UserError, nearest
from vaekit.studies.call import Call, canonical
from vaekit.studies.values import Options, Parameters
from vaekit.worlds import mini_sprites

WORLDS = {"mini_sprites": mini_sprites}
"""Generated ground truth that `vaekit.load` does not know by name: name -> function that draws it."""

OPTIONS = (
    "size", "channels", "binarise", "context", "seed", "limit", "labelled", "labelled_seed", "kind",
    "standardise", "spacing", "placements", "pairs",
)  # fmt: skip
"""Arguments of `vaekit.load` that a study may say."""

LATER = ("pairs",)
"""Those that came later: where nothing is said of them they are left out, and hashes stay what they were."""


def resolved(said: dict[str, Any], folder: Path | None) -> tuple[Options, str | None]:
    """The data of a call in full, and where they lie on this machine if they are read from a path.

    Args:
        said: `name`, the name of a set or a path, and options of `vaekit.load`.
        folder: which relative paths start from; by default the working directory.

    Raises:
        ValueError: for an option that there is not.
        UserError: for data that are not there or cannot be used.
    """
    name = said["name"]
    options = {option: value for option, value in said.items() if option != "name"}
    if not isinstance(name, str):
        raise ValueError(f"`data` is {name!r}; expected the name of a set, or a path")
    if name in WORLDS:
        if options:
            raise ValueError(f"the data {name!r} have no setting {next(iter(options))!r}: leave it out")
        return {"name": name}, None
    full = Parameters(load, f"the data {name!r}", OPTIONS).whole(options)
    full = {name: value for name, value in full.items() if name not in LATER or value is not None}
    if name in ENTRIES:
        return {"name": name, **full}, None
    path = Path(name).expanduser()
    path = path if folder is None or path.is_absolute() else folder / path
    if not path.exists():
        known = [*ENTRIES, *WORLDS]
        raise UserError(f"there are no data {name!r}, and no such path{nearest(name, known)}")
    place = str(path.resolve())
    found = _fingerprint(canonical({"name": place, **full}))
    return {"name": path.stem, "fingerprint": found, **full}, place


def splits_of(call: Call) -> Splits:
    """The data of a call; the last ones that were asked for stay in memory.

    Raises:
        UserError: if they are not to be had, or are no longer what they were.
    """
    name = call.data["name"]
    if name in WORLDS:
        return _world(name).splits()
    options = {key: value for key, value in call.data.items() if key != "fingerprint"}
    data = canonical({**options, "name": call.place or name})
    if "fingerprint" in call.data and _fingerprint(data) != call.data["fingerprint"]:
        raise UserError(f"the data at {call.place} changed since the study was read: start it again")
    return _loaded(data)


def truth_of(call: Call) -> FactorData | None:
    """The ground truth that the data of a call are made from, or None if there is none."""
    if call.data["name"] in WORLDS:
        return _world(call.data["name"])
    splits = splits_of(call)
    return None if splits.spec.factors is None else ground_truth_of(splits)


@lru_cache(maxsize=1)  # a worker's next run is mostly on the same data, and large sets fill the memory
def _loaded(data: str) -> Splits:
    options = json.loads(data)
    return load(options.pop("name"), **options)


@lru_cache
def _fingerprint(data: str) -> str:
    return fingerprint(_loaded(data))


@lru_cache(maxsize=1)
def _world(name: str) -> Stored:
    return WORLDS[name]()
