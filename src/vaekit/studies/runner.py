"""Carry out a study: hand out its runs, take back what comes, and lose none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from vaekit.checks import whole
from vaekit.errors import ArgumentError
from vaekit.studies.grouping import most_of
from vaekit.studies.pool import Here, Pool
from vaekit.studies.queue import Progress, Queue
from vaekit.studies.store import Keep, Store
from vaekit.studies.study import Study

Engine = Literal["local", "ray"]
"""local: processes on this machine. ray: a Ray cluster, or Ray on this machine."""

_EVERY = 0.25  # seconds between two looks

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
    stacked: bool | int = False,
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
        stacked: train runs of one shape together (`vaekit.stacked`), with the same result to rounding: at
            most so many as one, or True for at most 64. Others are trained by themselves, and their rows say
            why.
        show: called four times a second, and at the end.

    Returns:
        Where the study is: all of its runs are finished or have failed.

    Raises:
        UserError: if the folder cannot be used, or the engine is not there.
        Interrupted: after Ctrl-C; runs at work have left a checkpoint.
    """
    count, most = _checked(workers, on, keep), most_of(stacked)
    store = Store.create(Path(out), study.title, study.about, list(study.calls))
    queue = Queue(store, study.calls, retry, most)
    progress = queue.progress
    if show is not None:
        show(progress)
    if not queue.waiting:
        return progress
    pool = _pool(on, store, keep, device, count)
    try:
        while queue.waiting or pool.running:
            while queue.waiting and pool.running < pool.size:
                pool.start(queue.next())
            progress.running = sum(map(len, pool.at_work))
            if show is not None:
                show(progress)
            for event in pool.wait(_EVERY):
                queue.heard(event)
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
