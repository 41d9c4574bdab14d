"""Carry out a study: hand out its runs, take back what comes, and lose none."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from vaekit.checks import whole
from vaekit.errors import ArgumentError, UserError
from vaekit.studies.call import Call
from vaekit.studies.pool import Event, Here, Pool
from vaekit.studies.store import Keep, Store
from vaekit.studies.study import Study
from vaekit.studies.work import failed

Engine = Literal["local", "ray"]
"""local: processes on this machine. ray: a Ray cluster, or Ray on this machine."""

MOST_LOSSES = 5
"""Workers that a run may lose before it counts as failed: it is then no accident."""

_EVERY = 0.25  # seconds between two looks


@dataclass
class Progress:
    """Where a study is.

    Args:
        total: runs of the study.
        done: finished ones, those of former times included.
        failed: failed ones, likewise.
        running: at work.
        lost: workers that died.
        before: runs that were done or had failed when this began.
        began: a moment of `time.monotonic`.
    """

    total: int
    done: int = 0
    failed: int = 0
    running: int = 0
    lost: int = 0
    before: int = 0
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


Show = Callable[[Progress], None]


class Interrupted(KeyboardInterrupt):
    """A study that was stopped on purpose, and goes on when it is started again."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} was stopped; start the study again to go on")
        self.path = path


def run(
    study: Study,
    out: str | Path,
    *,
    workers: int | None = None,
    on: Engine = "local",
    keep: Keep = "record",
    retry: bool = False,
    device: str = "auto",
    show: Show | None = None,
) -> Progress:
    """Carry out the runs of a study that have no record yet.

    Args:
        study: which.
        out: its folder; what a former study finished there is not run again.
        workers: runs at a time; by default one for every core, or for every CPU of the cluster. 0 runs them
            in this process.
        on: local or ray.
        keep: what stays of a finished run: its record, its weights, or all of its run directory.
        retry: run again what has failed.
        device: cpu, cuda, mps, or auto.
        show: called four times a second, and at the end.

    Returns:
        Where the study is: all of its runs are finished or have failed.

    Raises:
        UserError: if the folder cannot be used, or the engine is not there.
        Interrupted: after Ctrl-C; runs at work have left a checkpoint.
    """
    count = _checked(workers, on, keep)
    store = Store.create(Path(out), study.title, study.about, list(study.calls))
    waiting, progress = _open(store, study, retry)
    if show is not None:
        show(progress)
    if not waiting:
        return progress
    pool = _pool(on, store, keep, device, count)
    losses: Counter[str] = Counter()
    try:
        while waiting or pool.running:
            while waiting and pool.running < pool.size:
                pool.start(waiting.popleft())
            progress.running = pool.running
            if show is not None:
                show(progress)
            for event in pool.wait(_EVERY):
                _heard(event, store, waiting, progress, losses)
    except KeyboardInterrupt as stop:
        pool.stop()
        raise Interrupted(store.path) from stop
    except BaseException:
        pool.close()
        raise
    pool.close()
    progress.running = 0
    if show is not None:
        show(progress)
    return progress


def _checked(workers: int | None, on: str, keep: str) -> int | None:
    for name, value, choices in (("on", on, get_args(Engine)), ("keep", keep, get_args(Keep))):
        if value not in choices:
            raise ArgumentError(f"`{name}` is {value!r}; expected one of {', '.join(choices)}")
    if workers is None:
        return None
    try:
        return whole("workers", workers, least=0)
    except (TypeError, ValueError) as error:
        raise ArgumentError(str(error)) from error


def _open(store: Store, study: Study, retry: bool) -> tuple[deque[Call], Progress]:
    """The runs that are to be done, and where the study is."""
    known = store.finished()
    progress = Progress(len(study.calls))
    waiting: deque[Call] = deque()
    for call in study.calls:
        record = store.read(call) if call.hash in known else None
        if record is not None:
            store.sweep(call.hash)  # what a kill between record and tidying left
        if record is not None and record["status"] == "failed" and retry:
            store.forget(call.hash)
            record = None
        if record is None:
            waiting.append(call)
        elif record["status"] == "failed":
            progress.failed += 1
        else:
            progress.done += 1
    progress.before = progress.done + progress.failed
    return waiting, progress


def _pool(on: Engine, store: Store, keep: Keep, device: str, workers: int | None) -> Pool:
    if on == "ray":
        from vaekit.studies.on_ray import OnRay

        return OnRay(store, keep, device, workers)
    if workers == 0:
        return Here(store, keep, device)
    from vaekit.studies.local import Local

    return Local(store, keep, device, workers or _cores())


def _cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not everywhere
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _heard(
    event: Event, store: Store, waiting: deque[Call], progress: Progress, losses: Counter[str]
) -> None:
    """Count what came back; what is still to be done waits again, behind all others."""
    call = event.call
    if event.what == "broken":
        raise UserError(event.why)
    if event.what == "taken":
        record = store.read(call)
        if record is None:  # another `vaekit study` on this folder is at it
            waiting.append(call)
            time.sleep(_EVERY)
            return
        event = Event(call, "failed" if record["status"] == "failed" else "finished")
    if event.what == "lost":
        progress.lost += 1
        losses[call.hash] += 1
        if losses[call.hash] < MOST_LOSSES:
            waiting.append(call)
            return
        with store.claim(call.hash) as mine:
            if not mine:
                waiting.append(call)
                return
            if store.read(call) is None:
                why = f"{event.why}, {MOST_LOSSES} times in a row: it may need more memory than there is"
                store.put_away(call, failed(call, why), "record")
        event = Event(call, "failed")
    if event.what == "failed":
        progress.failed += 1
    else:
        progress.done += 1
