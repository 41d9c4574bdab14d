"""Runs that were kept with their weights, and are scored anew where a study asks for more of them."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from vaekit.errors import UserError
from vaekit.files import disk_errors, read_json
from vaekit.studies.call import Call, hash_of_trained
from vaekit.studies.store import RECORDS, RUNS, WORK, Store


def kept_runs(store: Store) -> dict[str, str]:
    """Of every run that was kept: hash of what was trained (`Call.trained`) -> hash of the call."""
    found = {}
    with disk_errors(store.path, "read"):
        names = [path.name for path in (store.path / RUNS).iterdir()]
    for name in names:
        with suppress(UserError, KeyError, TypeError, ValueError, AttributeError):  # it is no use then
            found[hash_of_trained(read_json(store.path / RECORDS / f"{name}.json")["call"])] = name
    return found


def take_over(store: Store, kept: str, call: Call) -> None:
    """Let a run that was kept be the run of another call, which trains the same.

    Files are linked where the disk can do that; none of them is changed in place.

    Args:
        store: the folder of the study.
        kept: hash of the call whose run it is.
        call: the other one, which finds it where it finds a run that was begun.
    """
    with store.claim(call.hash) as mine:
        place = store.path / WORK / call.hash
        if not mine or place.exists():
            return
        draft = place.with_name(f".{call.hash}.part")
        with disk_errors(place, "create"):
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(store.path / RUNS / kept, draft, copy_function=_linked)
            os.rename(draft, place)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
