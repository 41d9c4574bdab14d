"""`train_stacked` and `resume_stacked`: many runs from one training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaekit.api import Precision, free_place, load_splits, pick_device
from vaekit.checkpoint import Tensors
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError, UserError, arguments_of
from vaekit.files import disk_errors, read_json, read_tensors, write_json, write_tensors
from vaekit.randomness import own_stream
from vaekit.runs import FORMAT, RECORD, Recipe, Run, build_system, find_recipe, refuse_occupied
from vaekit.stacked.calls import Call, names_of, refuse_calls
from vaekit.stacked.fit import StackedFit
from vaekit.stacked.noise import Streams
from vaekit.stacked.proof import refuse_disagreement
from vaekit.stacked.refusals import refuse_several
from vaekit.stacked.stack import Stack
from vaekit.staged import Stopped, default_epochs
from vaekit.system import System
from vaekit.trainer import Show, Training, Weights, astray

STACK, STATE = "stack.json", "stack.safetensors"


def train_stacked(
    recipe: str | Recipe = "beta_vae",
    data: Any = "digits",
    *,
    calls: Sequence[Call],
    out: str | Path | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    clip: float | None = None,
    weights: Weights = "auto",
    checkpoint_seconds: float = 600.0,
    shared_batches: bool = False,
    data_options: dict[str, Any] | None = None,
    show: Show | None = None,
    **arguments: Any,
) -> list[Run]:
    """Train many models of one recipe as one, and leave a run directory of each.

    The runs are those that `vaekit.train` leaves for the same calls, to rounding: every model has its own
    initial weights, batches and noise, and its own best weights. A run whose numbers became infinite has the
    status "failed" and no weights; the others go on. `seconds` is a run's share of the time.

    Args:
        recipe: the name of a recipe, or a function made by `vaekit.recipe`.
        data: the name of a data set, a path, an array, or `Splits`.
        calls: the models. They may differ in seeds and in numbers that weigh something, such as weights of
            terms and capacities; see `groups`.
        out: a folder for the runs, each under the name of its call; by default the next free name below
            `runs/`. As long as the training goes on it holds the state of all instead.
        epochs, steps, batch_size, device, precision, clip, weights, data_options: as for `vaekit.train`.
        checkpoint_seconds: seconds between states from which all can be resumed.
        shared_batches: let all models see the same batches (those of the first seed), with noise of one
            stream for all. Faster, and another protocol: no longer what single training gives, and models are
            compared on the same data in the same order.
        show: called after every step; see `vaekit.trainer.Fit`. Its means are over models.
        **arguments: of the recipe, that all calls have in common.

    Returns:
        The runs, in the order of the calls.

    Raises:
        UserError: if data, recipe, arguments or the place cannot be used; nothing is left behind.
        UnsupportedError: if the calls cannot be stacked; it says why.
        Stopped: if `show` or Ctrl-C stopped it; `resume_stacked` goes on.
    """
    build = find_recipe(recipe) if isinstance(recipe, str) else recipe
    refuse_several()
    with arguments_of("the calls"):
        refuse_calls(build, calls)
        names = names_of(calls)
    splits, source = load_splits(data, data_options or {})
    where = pick_device(device)
    full = [replace(call, arguments={**arguments, **call.arguments}, name=n)
            for call, n in zip(calls, names, strict=True)]  # fmt: skip
    maker = _Maker(build, splits.spec, full, where)
    stack = Stack(iter(maker), len(calls))
    size = stack.system.batch_size if batch_size is None else batch_size
    named = [replace(stack.system, epochs=epochs, scheduled=fixed) for epochs, fixed in maker.budgets]
    counts = {default_epochs(system, len(splits.train), size) for system in named}
    if epochs is None and len(counts) > 1:
        raise UnsupportedError(
            f"the calls would train for {' or '.join(map(str, sorted(counts)))} epochs by default, and a "
            "stack trains all for as long: set `epochs`"
        )
    with arguments_of("the training"):
        training = Training(
            epochs=max(counts) if epochs is None else epochs, batch_size=size, steps=steps,
            seed=calls[0].seed, precision=precision, clip=clip, weights=weights,
            checkpoint_seconds=checkpoint_seconds,
        )  # fmt: skip
    fit = _fit(maker, stack, splits, training, shared_batches, show)
    refuse_disagreement(stack, maker.last, next(fit.batches(0)), apart=not shared_batches)
    folder = free_place(f"{stack.calls[0]['recipe']}-stack", splits.spec.name) if out is None else Path(out)
    for path in (folder / STACK, *(folder / name for name in names)):
        if path.exists():
            raise UserError(
                f"{path} exists already: choose another place, or `resume_stacked({str(folder)!r})`"
            )
    record = {
        "format": FORMAT, "recipe": stack.calls[0]["recipe"],
        "calls": [{"name": c.name, "seed": c.seed, "arguments": dict(c.arguments)} for c in full],
        "spec": splits.spec.to_json(), "data": source, "training": asdict(training),
        "shared_batches": shared_batches, "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    with disk_errors(folder, "create"):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / STACK, record)
    return _finish(folder, record, build, splits, fit, maker)


def resume_stacked(
    out: str | Path,
    *,
    data: Splits | None = None,
    recipe: Recipe | None = None,
    device: str = "auto",
    show: Show | None = None,
) -> list[Run]:
    """Go on with a stack that was stopped.

    Args:
        out: its folder.
        data: the data, if they were in memory.
        recipe: the function that built the systems, if it is not one of vaekit's own.
        device: cpu, cuda, or auto.
        show: as for `train_stacked`.

    Raises:
        UserError: if there is none, or it cannot go on.
        Stopped: if it was stopped again.
    """
    folder = Path(out)
    if not (folder / STACK).is_file():
        raise UserError(
            f"{folder} holds no {STACK}: no stack is being trained there (the runs of one that has finished "
            "are ordinary runs)"
        )
    refuse_several()
    record = read_json(folder / STACK)
    try:
        calls = [Call(c["seed"], c["arguments"], c["name"]) for c in record["calls"]]
        build = find_recipe(record["recipe"]) if recipe is None else recipe
        training = Training(**record["training"])
        spec, shared = Spec.from_json(record["spec"]), bool(record["shared_batches"])
        refuse_calls(build, calls)
        # the record has what a run's has of its data
        splits = Run(folder, record, build, data).data()
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{folder / STACK} is damaged: {error}") from error
    maker = _Maker(build, spec, calls, pick_device(device))
    fit = _fit(maker, Stack(iter(maker), len(calls)), splits, training, shared, show)
    if (folder / STATE).exists():  # it may have been stopped before it was written
        fit.restore(*read_tensors(folder / STATE), folder / STATE)
    return _finish(folder, record, build, splits, fit, maker)


class _Maker:
    """Builds the systems as single training does, and keeps where their streams stand then."""

    def __init__(self, build: Recipe, spec: Spec, calls: Sequence[Call], device: torch.device) -> None:
        self.build, self.spec, self.calls, self.device = build, spec, calls, device
        self.budgets: set[tuple[int, bool]] = set()
        self.states: list[Tensor] = []
        self.hosts: list[Tensor] | None = [] if device.type == "cuda" else None
        self.last: System

    def __iter__(self) -> Iterator[System]:
        for call in self.calls:
            with own_stream(self.device, call.seed):
                system = build_system(self.build, self.spec, dict(call.arguments), self.device)
                self.states.append(
                    torch.get_rng_state() if self.hosts is None else torch.cuda.get_rng_state(self.device)
                )
                if self.hosts is not None:
                    self.hosts.append(torch.get_rng_state())
            self.last = system
            self.budgets.add((system.epochs, system.scheduled))
            yield system


def _fit(
    maker: _Maker, stack: Stack, splits: Splits, training: Training, shared: bool, show: Show | None
) -> StackedFit:
    seeds = [call.seed for call in maker.calls]
    return StackedFit(stack, splits, training, seeds, Streams(maker.states, maker.device), shared, show=show)


def _finish(
    folder: Path, record: dict[str, Any], build: Recipe, splits: Splits, fit: StackedFit, maker: _Maker
) -> list[Run]:
    """Train to the end, and write the runs."""

    def save(tensors: Tensors, about: dict[str, Any]) -> None:
        write_tensors(folder / STATE, tensors, about)

    fit.save = save
    try:
        fit.run()
        runs = [_run(folder, record, build, splits, fit, maker, m) for m in range(fit.stack.count)]
    except KeyboardInterrupt as stop:
        raise Stopped(folder, "vaekit.stacked.resume_stacked") from stop
    for path in (folder / STATE, folder / STACK):
        with disk_errors(path, "remove"):
            path.unlink(missing_ok=True)
    return runs


def _run(
    folder: Path,
    record: dict[str, Any],
    build: Recipe,
    splits: Splits,
    fit: StackedFit,
    maker: _Maker,
    model: int,
) -> Run:
    """The run directory of one model, as its own training would have left it."""
    call = maker.calls[model]
    path = folder / str(call.name)
    host = None if maker.hosts is None else maker.hosts[model]
    system, tensors, about = fit.state(model, host)
    training = replace(fit.training, seed=call.seed)
    if (path / RECORD).is_file():  # written before the stack was stopped while it wrote its runs
        run = Run.open(path, recipe=build, data=splits)
    else:
        refuse_occupied(path)
        run = Run.create(
            path, system=system, recipe=build, splits=splits, data=record["data"], training=training,
            state=tensors, about=about,
        )  # fmt: skip
    best = fit.bests[model]
    run.save_state(tensors, about, fit.rows[model])
    if best.failed is None:
        # what is handed out is the best state, which the checkpoint holds beside the last one
        system.model.load_state_dict(fit.weights(model))
        run.save_weights(system.model)
    run.update(
        status="finished" if best.failed is None else "failed",
        **({} if best.failed is None else {"error": astray(best.failed)}),
        device=str(maker.device), processes=1, started=record["started"], seconds=fit.seconds,
        best={"epoch": best.epoch, "value": best.value},
        stacked={
            "models": fit.stack.count, "shared_batches": fit.shared, "seconds": round(fit.at.seconds, 3),
        },
    )  # fmt: skip
    return run
