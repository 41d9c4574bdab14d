"""The folder of a study: what is finished, what is at work, and who works on what.

    study.json         which runs the study has, in their order
    records/HASH.json  the record of a run that is finished or has failed, written whole or not at all
    runs/HASH/         its run directory, where more than the record is kept
    arrays/HASH.safetensors  what a score of several runs needs of it
    collected.json     scores of several runs, which the table need not compute again
    work/HASH/         the run directory of a run at work: whoever takes it over goes on from its checkpoint
    work/stack-HASH/   a stack at work; when it is trained, the run directories of its runs
    claims             one byte for every hash, locked by the process that works on it

A claim is a lock of the operating system, which ends with the process that holds it, however that ends:
nothing has to be tidied up after a kill, and two `vaekit study` on one folder share the work. A run is
finished when its record stands there, and not before.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from vaekit.errors import UserError
from vaekit.files import disk_errors, read_json, read_tensors, write_json
from vaekit.runs import STATE
from vaekit.stacked import STACK
from vaekit.studies.call import Call, canonical
from vaekit.studies.unit import joint_hash

FORMAT = 1
STUDY, RECORDS, RUNS, WORK, CLAIMS = "study.json", "records", "runs", "work", "claims"
ARRAYS, COLLECTED = "arrays", "collected.json"
LEFT = "arrays.safetensors"
"""In a run directory: what scores of several runs need of it."""
_STACK = "stack-"

Keep = Literal["record", "weights", "all"]
"""What stays of a finished run. record: its scores and the last row of its curves, a few kilobytes. weights:
its run directory without the state to train on from. all: the whole run directory, some five times of it."""

Record = dict[str, Any]


class Store:
    """The folder of a study, for every process that works on it.

    Args:
        path: the folder, made by `Store.create`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # one descriptor a process: closing another one on this file would end the claims of the process
        self._claims: int | None = None

    @classmethod
    def create(cls, path: Path, title: str, about: str, calls: list[Call]) -> Store:
        """Make the folder, or go on in it: runs that a former study finished here need not be run again.

        Raises:
            UserError: if something else stands there, or the disk refuses.
        """
        if path.exists() and not (path / STUDY).is_file() and (not path.is_dir() or any(path.iterdir())):
            raise UserError(f"{path} exists and holds no study: choose another place with --out")
        with disk_errors(path, "create"):
            for name in (RECORDS, RUNS, WORK):
                (path / name).mkdir(parents=True, exist_ok=True)
        about_it = {"format": FORMAT, "title": title, "about": about, "runs": [call.hash for call in calls]}
        write_json(path / STUDY, about_it)
        return cls(path)

    # -- records -------------------------------------------------------------------------------------------

    def finished(self) -> set[str]:
        """Hashes of all runs that have a record."""
        with disk_errors(self.path, "read"), os.scandir(self.path / RECORDS) as entries:
            names = [entry.name for entry in entries]
        return {name.removesuffix(".json") for name in names if name.endswith(".json") and name[0] != "."}

    def has(self, hash_: str) -> bool:
        """Whether a run has a record."""
        return (self.path / RECORDS / f"{hash_}.json").exists()

    def read(self, call: Call) -> Record | None:
        """The record of a call, or None if it has none.

        Raises:
            UserError: if the record is damaged.
        """
        path = self.path / RECORDS / f"{call.hash}.json"
        if not path.exists():
            return None
        record = read_json(path)
        try:
            same = canonical(record["call"]) == canonical(call.content())
            complete = record["format"] == FORMAT and record["status"] in ("finished", "failed")
            values = [v for name in ("scores", "last", "seconds") for v in record[name].values()]
            complete = complete and all(value is None or isinstance(value, int | float) for value in values)
        except (KeyError, TypeError, ValueError, AttributeError):
            same = complete = False
        if not (same and complete):
            raise UserError(f"{path} is damaged, or no record of this run: remove it to run it again")
        return dict(record)

    def write(self, call: Call, record: Record) -> None:
        """Write the record of a call: from now on it is finished."""
        write_json(self.path / RECORDS / f"{call.hash}.json", {"format": FORMAT, **record})

    def forget(self, hash_: str) -> None:
        """Remove a record, so that the run is run again."""
        path = self.path / RECORDS / f"{hash_}.json"
        with disk_errors(path, "remove"):
            path.unlink(missing_ok=True)
            (self.path / ARRAYS / f"{hash_}.safetensors").unlink(missing_ok=True)

    def arrays(self, hash_: str) -> dict[str, Tensor] | None:
        """What a run left for scores of several runs, or None.

        Raises:
            UserError: if it is damaged.
        """
        path = self.path / ARRAYS / f"{hash_}.safetensors"
        return read_tensors(path)[0] if path.is_file() else None

    # -- run directories -----------------------------------------------------------------------------------

    def workplace(self, call: Call) -> Path:
        """Where the run directory of a run at work lies, if it has been begun."""
        place, kept = self.path / WORK / call.hash, self.path / RUNS / call.hash
        if kept.exists() and not place.exists():  # killed between the two moves of `put_away`
            with disk_errors(kept, "move"):
                os.rename(kept, place)
        for trained in self.path.glob(f"{WORK}/{_STACK}*/{call.hash}"):
            folder = trained.parent
            if not (folder / STACK).exists() and not place.exists():  # all of the stack is trained
                with disk_errors(trained, "move"):
                    os.rename(trained, place)
                with suppress(OSError):  # another process may have moved the last one meanwhile
                    if all(path.name.startswith(".") for path in folder.iterdir()):
                        shutil.rmtree(folder)
        return place

    def put_away(self, call: Call, record: Record, keep: Keep) -> None:
        """Write the record of a finished run, and keep of its run directory what is to be kept."""
        place, kept = self.path / WORK / call.hash, self.path / RUNS / call.hash
        with disk_errors(place, "move"):
            if (place / LEFT).exists():
                (self.path / ARRAYS).mkdir(exist_ok=True)
                os.replace(place / LEFT, self.path / ARRAYS / f"{call.hash}.safetensors")
            if keep != "record" and record["status"] == "finished":
                if keep == "weights":
                    for state in place.rglob(STATE):
                        state.unlink()
                if kept.exists():
                    shutil.rmtree(kept)
                os.rename(place, kept)
        self.write(call, record)
        self.sweep(call.hash)

    def sweep(self, hash_: str) -> None:
        """Remove the run directory of a run that is no longer at work."""
        with disk_errors(self.path / WORK, "remove"):
            shutil.rmtree(self.path / WORK / hash_, ignore_errors=True)
            for draft in (self.path / WORK).glob(f".{hash_}.*"):
                shutil.rmtree(draft, ignore_errors=True)

    def begun(self, hash_: str) -> bool:
        """Whether a run at work, or one whose weights were kept, has a run directory of its own already."""
        return (self.path / WORK / hash_).exists()

    # -- stacks --------------------------------------------------------------------------------------------

    def stack(self, calls: Sequence[Call]) -> Path:
        """The folder of a stack at work, if it has been begun."""
        return self.path / WORK / f"{_STACK}{joint_hash(calls)}"

    def stacks(self) -> list[tuple[str, list[str]]]:
        """Stacks that are being trained, or were when their worker was killed: hash, and hashes of the runs,
        none where it is damaged."""
        found = []
        for path in sorted((self.path / WORK).glob(f"{_STACK}*/{STACK}")):
            try:
                names = [str(call["name"]) for call in read_json(path)["calls"]]
            except (UserError, KeyError, TypeError):
                names = []
            found.append((path.parent.name.removeprefix(_STACK), names))
        return found

    def forget_stack(self, hash_: str) -> None:
        """Remove a stack, unless another process is at it; its runs begin anew.

        Whoever has claimed it calls `remove_stack`: a lock of the operating system is of the process, so that
        the end of a second claim would be that of the first.
        """
        with self.claim(hash_) as mine:
            if mine:
                self.remove_stack(hash_)

    def remove_stack(self, hash_: str) -> None:
        """Remove a stack that this process has claimed; its runs begin anew."""
        shutil.rmtree(self.path / WORK / f"{_STACK}{hash_}", ignore_errors=True)

    # -- claims --------------------------------------------------------------------------------------------

    @contextmanager
    def claim(self, hash_: str) -> Iterator[bool]:
        """Whether this process has the run for itself; nobody else gets it until the end of the block.

        Raises:
            UserError: where the operating system or the disk knows no locks.
        """
        try:
            import fcntl
        except ImportError as error:
            raise UserError("a study needs file locks, which this operating system has not") from error
        if self._claims is None:
            with disk_errors(self.path / CLAIMS, "open"):
                self._claims = os.open(self.path / CLAIMS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        # a lock may lie anywhere beyond the end of a file: 60 bits of the hash keep runs apart
        place = int(hash_[:15], 16)
        try:
            fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            yield False
            return
        except OSError as error:
            raise UserError(
                f"cannot lock {self.path / CLAIMS}: {error.strerror}: put the study on a disk with file locks"
            ) from error
        try:
            yield True
        finally:
            fcntl.lockf(self._claims, fcntl.LOCK_UN, 1, place)
