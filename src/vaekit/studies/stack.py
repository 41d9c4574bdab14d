"""Several runs of a study as one stack: trained together, then scored and put away one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch

from vaekit.errors import UserError
from vaekit.stacked import Call as Member
from vaekit.stacked import Unstackable, resume_stacked, train_stacked
from vaekit.studies.call import Call
from vaekit.studies.data import splits_of
from vaekit.studies.store import Keep, Store
from vaekit.studies.unit import Event, Tell, Unit, joint_hash
from vaekit.studies.work import CHECKPOINT_SECONDS, Stop, arguments_of, one_line, settings_of, work
from vaekit.trainer import Progress

OTHERS_DONE = "what it would be stacked with is trained already"


def carry_out(
    store: Store, unit: Unit, keep: Keep, device: str, tell: Tell, stop: Stop | None = None
) -> None:
    """Carry out what was handed out at once.

    Args:
        store: the folder of the study.
        unit: a run, or several for one stack.
        keep, device, stop: see `work`.
        tell: hears of every run when it is finished, has failed or was taken by another process, and of runs
            that cannot be trained as one stack, or not as one so large.

    Raises:
        KeyboardInterrupt: if it was stopped; it goes on the next time.
        UserError: if the store itself cannot be written.
    """
    if len(unit.calls) == 1:
        tell(Event(unit.calls, work(store, unit.calls[0], keep, device, stop, unit.why)))
        return
    refused = None
    with ExitStack() as held:
        mine = []
        for call in unit.calls:
            if not held.enter_context(store.claim(call.hash)):
                tell(Event((call,), "taken"))
            elif store.has(call.hash):
                store.sweep(call.hash)
                tell(Event((call,), "taken"))
            else:
                mine.append(call)
        fresh = tuple(call for call in mine if not store.workplace(call).exists())
        if len(fresh) == 1:
            refused = Event(fresh, "apart", OTHERS_DONE)
        elif fresh:
            refused = _trained(store, fresh, device, stop)
        for call in mine:
            if refused is None or call not in fresh:
                # its run is there, trained: what is left to do is what is done of any run
                tell(Event((call,), work(store, call, keep, device, stop)))
    if refused is not None:
        tell(refused)


def _trained(store: Store, calls: tuple[Call, ...], device: str, stop: Stop | None) -> Event | None:
    """Train a stack, or go on with it: afterwards the run of every call lies where `work` finds it.

    Returns:
        None; or what is to be told of the calls, that could not be trained together.
    """
    with store.claim(joint_hash(calls)):
        try:
            _run(store, calls, device, stop)
        except Exception as error:
            # whatever a stack dies of, by itself a run may live, or say what is wrong with it
            store.remove_stack(joint_hash(calls))
            large = isinstance(error, torch.OutOfMemoryError | MemoryError)
            why = error.why if isinstance(error, Unstackable) else one_line(error)
            return Event(calls, "large" if large else "apart", why)
    return None


def _run(store: Store, calls: Sequence[Call], device: str, stop: Stop | None) -> None:
    def show(at: Progress, batches: int, fetch: Callable[[], dict[str, float]]) -> bool:
        return stop is not None and stop()

    splits, folder = splits_of(calls[0]), store.stack(calls)
    if folder.exists():
        try:
            resume_stacked(folder, data=splits, device=device, show=show)
            return
        except UserError:
            store.remove_stack(joint_hash(calls))  # nothing can go on from it
    settings = settings_of(calls[0], splits)
    del settings["accumulate"], settings["patience"]  # those of no stack; grouping has seen to it
    train_stacked(
        calls[0].recipe, splits, calls=[Member(c.seed, arguments_of(c), c.hash) for c in calls], out=folder,
        device=device, show=show, checkpoint_seconds=CHECKPOINT_SECONDS, **settings,
    )  # fmt: skip
