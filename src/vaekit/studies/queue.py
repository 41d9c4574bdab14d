"""What of a study is to be done, and where it stands: runs that are lost wait again, none is there twice."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

from vaekit.errors import UserError
from vaekit.studies.call import Call
from vaekit.studies.grouping import units_of
from vaekit.studies.kept import kept_runs, take_over
from vaekit.studies.store import Store
from vaekit.studies.unit import Event, Unit, joint_hash
from vaekit.studies.work import failed

MOST_LOSSES = 5
"""Workers that a run may lose before it counts as failed: it is then no accident."""

TAKEN_EVERY = 0.25  # seconds between two questions whether another process is done


@dataclass
class Progress:
    """Where a study is.

    Args:
        total: runs of the study.
        done: finished ones, those of former times included.
        failed: failed ones, likewise.
        running: at work, those of a stack counted one by one.
        lost: workers that died.
        before: runs that were done or had failed when this began.
        kept: runs that are scored and not trained, since a run of the same training was kept.
        began: a moment of `time.monotonic`.
    """

    total: int
    done: int = 0
    failed: int = 0
    running: int = 0
    lost: int = 0
    before: int = 0
    kept: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float | None:
        """Runs in a second since this began, or None before the first has come back."""
        came = self.done + self.failed - self.before
        return came / max(1e-9, time.monotonic() - self.began) if came else None

    @property
    def left(self) -> float | None:
        """Seconds that the remaining runs will take at this rate, or None."""
        return None if self.rate is None else (self.total - self.done - self.failed) / self.rate


@final
class Queue:
    """The units that wait to be handed out.

    Args:
        store: the folder of the study.
        calls: of the study.
        retry: run again what has failed.
        most: models in a stack at most; 1 for no stacks.
    """

    def __init__(self, store: Store, calls: Sequence[Call], retry: bool, most: int) -> None:
        self.store = store
        self.progress = Progress(len(calls))
        self.losses: Counter[str] = Counter()
        waiting = [call for call in calls if self._is_open(call, retry)]
        self.progress.before = self.progress.done + self.progress.failed
        kept = kept_runs(store) if waiting else {}
        for call in waiting:
            if call.trained in kept:
                take_over(store, kept[call.trained], call)
                self.progress.kept += 1
        units = units_of(waiting, most, store)
        self.why = {unit.calls[0].hash: unit.why for unit in units if unit.why is not None}
        self.waiting = deque(units)

    def _is_open(self, call: Call, retry: bool) -> bool:
        record = self.store.read(call)
        if record is None:
            return True
        self.store.sweep(call.hash)  # what a kill between record and tidying left
        if record["status"] == "failed" and retry:
            self.store.forget(call.hash)
            return True
        self._count(record["status"])
        return False

    def _count(self, status: str) -> None:
        if status == "failed":
            self.progress.failed += 1
        else:
            self.progress.done += 1

    def next(self) -> Unit:
        """The unit whose turn it is."""
        return self.waiting.popleft()

    def heard(self, event: Event) -> None:
        """Count what came back; what is still to be done waits again, behind all others.

        Raises:
            UserError: if nothing can go on.
        """
        match event.what:
            case "broken":
                raise UserError(event.why)
            case "taken":
                self._taken(event.calls)
            case "lost":
                self.progress.lost += 1
                self._lost(event)
            case "apart":
                self._again(event.calls, apart=event.why)
            case "large":
                self._halve(event.calls, event.why)
            case _:
                for _ in event.calls:
                    self._count(event.what)

    def _again(self, calls: Sequence[Call], apart: str | None = None) -> None:
        """Hand out again: together, or each by itself."""
        if apart is None:
            self.waiting.append(Unit(tuple(calls), self.why.get(calls[0].hash) if len(calls) == 1 else None))
            return
        for call in calls:
            self.why[call.hash] = apart
            self.waiting.append(Unit((call,), apart))

    def _halve(self, calls: Sequence[Call], why: str) -> None:
        """Hand out a stack in two halves: it was too large, as it seems."""
        middle = (len(calls) + 1) // 2
        for half in (calls[:middle], calls[middle:]):
            self._again(half, apart=why if len(half) == 1 else None)

    def _taken(self, calls: Sequence[Call]) -> None:
        rest = []
        for call in calls:
            record = self.store.read(call)
            if record is None:
                rest.append(call)
            else:
                self._count(record["status"])
        if rest:  # another `vaekit study` on this folder is at it
            self._again(rest)
            time.sleep(TAKEN_EVERY)

    def _lost(self, event: Event) -> None:
        calls = event.calls
        self.losses.update(call.hash for call in calls)
        if max(self.losses[call.hash] for call in calls) < MOST_LOSSES:
            self._again(calls)
            return
        why = f"{event.why}, {MOST_LOSSES} times in a row: it may need more memory than there is"
        if len(calls) > 1:
            for call in calls:
                del self.losses[call.hash]
            self.store.forget_stack(joint_hash(calls))
            self._halve(calls, why)
            return
        [call] = calls
        with self.store.claim(call.hash) as mine:
            if not mine:
                self._again(calls)
                return
            if self.store.read(call) is None:
                self.store.put_away(call, failed(call, why), "record")
        self._count("failed")
