"""The unit of work: one run of a study, from its call to its record."""

from __future__ import annotations

import math
import shutil
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from vaekit import api
from vaekit.data.batch import Splits
from vaekit.errors import UserError
from vaekit.files import disk_errors, read_json, write_tensors
from vaekit.randomness import own_stream
from vaekit.runs import RECORD, Run, build_system, find_recipe, versions
from vaekit.studies.call import Call
from vaekit.studies.collected import COLLECTED_SCORES
from vaekit.studies.data import WORLDS, splits_of, truth_of
from vaekit.studies.scores import Trained, take
from vaekit.studies.store import LEFT, Keep, Record, Store
from vaekit.trainer import Progress

CHECKPOINT_SECONDS = 60.0
"""Seconds between states that a run goes on from when its worker is killed."""

Status = Literal["finished", "failed", "taken"]
Stop = Callable[[], bool]


def work(
    store: Store,
    call: Call,
    keep: Keep = "record",
    device: str = "auto",
    stop: Stop | None = None,
    apart: str | None = None,
) -> Status:
    """Carry out one run, or go on with it where a former worker stopped.

    Args:
        store: the folder of the study.
        call: the run.
        keep: what stays of it.
        device: where it is trained.
        stop: asked after every step; where it says so, the run ends with a checkpoint.
        apart: in a study whose runs are stacked, why this one is not.

    Returns:
        finished or failed, with a record in the store; taken, if another process is at it or has done it.

    Raises:
        KeyboardInterrupt: if it was stopped; it goes on the next time.
        UserError: if the store itself cannot be written.
    """
    with store.claim(call.hash) as mine:
        if not mine:
            return "taken"
        if store.has(call.hash):
            store.sweep(call.hash)  # its worker was killed between the record and the tidying
            return "taken"
        place = store.workplace(call)
        begun, record = time.monotonic(), failed(call, None)
        try:
            record |= _carried_out(call, place, device, stop, apart)
        except Exception as error:
            # whatever a run dies of is its own: the study goes on, and the record says it
            record["error"] = one_line(error)
            record["traceback"] = traceback.format_exc()
            record["seconds"] = {"total": round(time.monotonic() - begun, 3)}
        store.put_away(call, record | _how(place, apart), keep)
        return "finished" if record["status"] == "finished" else "failed"


def one_line(error: BaseException) -> str:
    """What went wrong, in one line; errors that are no message for users say their kind."""
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}".rstrip(": ")


def failed(call: Call, error: str | None) -> Record:
    """The record of a run that has come to nothing, or not come to anything yet."""
    return {
        "call": call.content(), "method": call.method, "status": "failed", "scores": {}, "last": {},
        "seconds": {}, "error": error, "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }  # fmt: skip


def _carried_out(call: Call, place: Path, device: str, stop: Stop | None, apart: str | None) -> Record:
    """What the record of a run gains by training and scoring it."""
    splits = splits_of(call)
    run = _trained(call, place, splits, device, stop)
    seconds = {"training": run.record["seconds"]}
    where = api.pick_device(device)
    trained = Trained(run.model().to(where), splits, truth_of(call), run.classifier())
    scores: dict[str, float | None] = {}
    arrays: dict[str, Tensor] = {}
    former = run.record.get("scored", {})
    for label, options in call.scores.items():
        begun = time.monotonic()
        if former.get(label) == options and options["take"] not in COLLECTED_SCORES:
            # a run that was kept, and is asked for more scores
            scores |= {k: v for k, v in run.record["scores"].items() if k.startswith(f"{label}/")}
            continue
        figures, left = take(label, options, trained)
        scores, arrays = scores | figures, arrays | left
        seconds[label] = round(time.monotonic() - begun, 3)
    if arrays:
        write_tensors(place / LEFT, arrays)
    rows = run.metrics()
    last = {
        name: value for name, value in (rows[-1] if rows else {}).items()
        if isinstance(value, int | float) and name != "seconds"
    }  # fmt: skip
    if apart is not None:
        run.update(apart=apart)
    run.update(scores=scores, scored=call.scores, data={**run.record["data"], **_source(call)})
    return {
        "status": "finished", "scores": scores, "last": last, "seconds": seconds, "device": str(where),
        "arguments": run.record["arguments"],
    }  # fmt: skip


def _begun(place: Path, splits: Splits) -> Run | None:
    """What a former worker has left; it is removed where nothing can go on from it."""
    if not place.exists():
        return None
    try:
        run = Run.open(place, data=splits)
        if not _ended(run):
            run.state()
        return run
    except UserError:
        with disk_errors(place, "remove"):
            shutil.rmtree(place)
        return None


def _ended(run: Run) -> bool:
    """Whether there is nothing left to train: it has its weights, or failed in a stack."""
    status = run.record.get("status")
    return (status == "finished" and run.weights.exists()) or (status == "failed" and "stacked" in run.record)


def _how(place: Path, apart: str | None) -> Record:
    """Of a run: the models of the stack that it was trained in, or why it was trained apart, or neither."""
    found: Record = {}
    with suppress(UserError):  # where there is none
        found = read_json(place / RECORD)
    stack = found.get("stacked")
    return {"stacked": stack and int(stack["models"]), "apart": apart or found.get("apart")}


def _trained(call: Call, place: Path, splits: Splits, device: str, stop: Stop | None) -> Run:
    def show(at: Progress, batches: int, fetch: Callable[[], dict[str, float]]) -> bool:
        return stop is not None and stop()

    begun = _begun(place, splits)
    if begun is not None and _ended(begun):
        if begun.record["status"] == "failed":
            raise UserError(begun.record["error"])
        return begun
    if begun is not None:
        return api.resume(place, data=splits, device=device, show=show)
    return api.train(
        call.recipe, splits, out=place, seed=call.seed, device=device, show=show,
        checkpoint_seconds=CHECKPOINT_SECONDS, **settings_of(call, splits), **arguments_of(call),
    )  # fmt: skip


def settings_of(call: Call, splits: Splits) -> dict[str, Any]:
    """The settings of a call's training as `vaekit.train` takes them."""
    settings = dict(call.training)
    if settings["steps"] is not None and settings["epochs"] is None:
        # exactly so many steps: the default number of epochs would end the training of a large set before
        size = settings["batch_size"] or _batch_size(call, splits)
        settings["epochs"] = math.ceil(settings["steps"] / math.ceil(len(splits.train) / size))
    return settings


def arguments_of(call: Call) -> dict[str, Any]:
    """The arguments of a call's recipe as it takes them."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in call.arguments.items()}


def _batch_size(call: Call, splits: Splits) -> int:
    with own_stream():
        return build_system(find_recipe(call.recipe), splits.spec, dict(call.arguments), "meta").batch_size


def _source(call: Call) -> dict[str, Any]:
    """Where the data came from, so that `vaekit evaluate` finds them again."""
    options = {k: v for k, v in call.data.items() if k not in ("name", "fingerprint") and v is not None}
    source = None if call.data["name"] in WORLDS else call.place or call.data["name"]
    return {"source": source, "options": options}
