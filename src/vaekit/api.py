"""`train` and `resume`: the two calls that the command line and the estimator are made of."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from vaekit.checkpoint import pack_system
from vaekit.data.batch import Splits
from vaekit.errors import ArgumentError, UserError, arguments_of
from vaekit.loggers import Following, Logger, kept_by
from vaekit.parallel import team_here
from vaekit.randomness import own_stream
from vaekit.runs import Recipe, Run, build_system, find_recipe, refuse_occupied
from vaekit.staged import check_stages, default_epochs, finish, made, refuse_heirs
from vaekit.trainer import Fit, Progress, Show, Training, Weights

Precision = Literal["float32", "bfloat16"]


def train(
    recipe: str | Recipe = "vae",
    data: Any = "digits",
    *,
    out: str | Path | None = None,
    seed: int = 0,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    accumulate: int = 1,
    clip: float | None = None,
    patience: int | None = None,
    weights: Weights = "auto",
    checkpoint_seconds: float = 10.0,
    compile: bool = False,  # noqa: A002  (torch's own word for it)
    data_options: dict[str, Any] | None = None,
    show: Show | None = None,
    started: Callable[[Run], None] | None = None,
    loggers: Sequence[Logger | str] | Following = (),
    **arguments: Any,
) -> Run:
    """Train a recipe on data, and leave a run directory.

    Args:
        recipe: the name of a recipe, or a function made by `vaekit.recipe`.
        data: the name of a data set, a path, an array, or `Splits`.
        out: the run directory; by default the next free name below `runs/`.
        seed: of initial weights, order and noise.
        epochs: passes over the training set; by default what the recipe says, but at least 2,000 steps and at
            most two million data seen, unless a schedule of the recipe spans its epochs.
        steps: stop after this many steps, if earlier.
        batch_size: data per step; by default what the recipe says.
        device: cpu, cuda, mps, or auto for the fastest that is there.
        precision: bfloat16 runs the networks in mixed precision.
        accumulate: pieces that a batch is cut into, to save memory.
        clip: largest gradient norm of each player.
        patience: stop after this many epochs without a better held-out loss.
        weights: which are handed back: auto by their held-out loss where it means something, or last.
        checkpoint_seconds: seconds between states from which the run can be resumed.
        compile: compile the training step. It takes a minute, and pays on a GPU; on a CPU it rarely does.
        data_options: arguments of `vaekit.data.load`, such as {"size": 64}.
        show: called after every step; see `vaekit.trainer.Fit`.
        started: called once, with the run, before the first step.
        loggers: who hears the record of every epoch: names (tensorboard, mlflow, wandb), or loggers.
        **arguments: of the recipe.

    Returns:
        The run; `run.model()` is the trained model with its best weights, in eval mode.

    Raises:
        UserError: if data, recipe, arguments or the place of the run cannot be used; nothing is left behind.
        Stopped: if `show` or Ctrl-C stopped it; the run can be resumed.
    """
    build = find_recipe(recipe) if isinstance(recipe, str) else recipe
    if not 0 <= seed < 2**63:
        raise ArgumentError(f"`seed` is {seed}; expected 0 .. 2^63 - 1")
    log = _following(loggers)
    splits, source = load_splits(data, data_options or {})
    team = team_here(device)
    where = pick_device(device) if team is None else team.device
    with own_stream(where, seed):
        system = build_system(build, splits.spec, arguments, where)
        refuse_heirs(system)
        check_stages(system, splits, where)
        size = system.batch_size if batch_size is None else batch_size
        count = default_epochs(system, len(splits.train), size)
        with arguments_of("the training"):
            training = Training(
                epochs=count if epochs is None else epochs, batch_size=size, steps=steps, seed=seed,
                precision=precision, accumulate=accumulate, clip=clip, patience=patience, weights=weights,
                checkpoint_seconds=checkpoint_seconds, compile=compile,
            )  # fmt: skip
        fit = Fit(system, splits, training, save=lambda *_: None, show=show, team=team)

        def make() -> Run:
            path = free_place(system.call["recipe"], splits.spec.name) if out is None else Path(out)
            refuse_occupied(path)
            tensors, about = pack_system(system)
            run = Run.create(
                path, system=system, recipe=build, splits=splits, data=source, training=training,
                state=tensors, about={**about, "at": vars(Progress()), "seen": 0},
            )  # fmt: skip
            run.update(device=str(where), processes=1 if team is None else team.size)
            return run

        run = made(team, make, build, splits)
        return finish(run, fit, system, show, started, log)


def resume(
    path: str | Path,
    *,
    data: Splits | None = None,
    recipe: Recipe | None = None,
    epochs: int | None = None,
    device: str = "auto",
    show: Show | None = None,
    started: Callable[[Run], None] | None = None,
    loggers: Sequence[Logger | str] | Following | None = None,
) -> Run:
    """Go on with a run that was stopped, bit for bit on the same machine.

    Args:
        path: the run directory.
        data: the data, if they were in memory.
        recipe: the function that built the system, if it is not one of vaekit's own.
        epochs: a new total, to train a finished run for longer.
        device: cpu, cuda, mps, or auto.
        show: called after every step; see `vaekit.trainer.Fit`.
        started: called once, with the run, before the first step.
        loggers: as for `train`; None for those that the run had before, which go on where they were.

    Raises:
        UserError: if the run cannot go on.
        Stopped: if `show` or Ctrl-C stopped it; the run can be resumed.
    """
    run = Run.open(path, recipe=recipe, data=data)
    if run.record.get("status") == "imported":
        raise UserError(f"{run.path} was imported: it has weights, and no state of a training to go on from")
    settings = dict(run.record["training"])
    if epochs is not None:
        if settings["epochs"] > epochs:
            raise UserError(
                f"`epochs` is {epochs}, but the run is set to {settings['epochs']}: expected at least as many"
            )
        settings["epochs"] = epochs
    try:
        training = Training(**settings)
    except (TypeError, ValueError) as error:
        raise UserError(f"{run.path} is damaged: {error}") from error
    run.refuse_oversize()
    log = _following(kept_by(run) if loggers is None else loggers)
    splits = run.data()
    team = team_here(device)
    where = pick_device(device) if team is None else team.device
    run.writes = team is None or team.first
    with own_stream(where, training.seed):
        system = build_system(run.recipe, run.spec, run.record["arguments"], where)
        fit = Fit(system, splits, training, save=lambda *_: None, show=show, team=team)
        tensors, about = run.state()
        fit.restore(tensors, about, run.metrics(), run.path)
        if epochs is not None and fit.at.epoch < epochs and fit.at.step != training.steps:
            fit.at.done = False
        run.remove_drafts()
        run.update(status="running", training=settings, processes=1 if team is None else team.size)
        return finish(run, fit, system, show, started, log)


def _following(loggers: Sequence[Logger | str] | Following) -> Following:
    return loggers if isinstance(loggers, Following) else Following(loggers)


def pick_device(name: str) -> torch.device:
    """The device of a name; auto is the fastest that is there.

    Raises:
        UserError: if it is not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("cpu")
    try:
        device = torch.device(name)
        torch.zeros((), device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"`device` is {name!r}, which cannot be used here ({reason}): take cpu or auto"
        ) from error
    return device


def load_splits(data: Any, options: dict[str, Any]) -> tuple[Splits, dict[str, Any]]:
    """Splits as they are, or what `vaekit.data.load` makes of a name, path or array; and their record."""
    from vaekit.data import fingerprint, load
    from vaekit.data.catalogue import key_of

    if isinstance(data, Splits):
        if options:
            raise UserError("`data_options` are for data that are loaded; these splits are already made")
        return data, {"source": None, "options": {}, "fingerprint": fingerprint(data.train)}
    splits = load(data, **options)
    source = str(data) if isinstance(data, str | Path) else None
    named = isinstance(data, str) and key_of(data) is not None  # a name comes before a path, as in `load`
    if source is not None and not named and Path(source).exists():
        source = str(Path(source).resolve())
    return splits, {"source": source, "options": options, "fingerprint": fingerprint(splits.train)}


def free_place(recipe: str, data: str) -> Path:
    """The next free name below `runs/`."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{recipe}-{data}").strip("-.") or "run"
    for number in itertools.count(1):
        path = Path("runs") / f"{stem}-{number}"
        if not path.exists():
            return path
    raise AssertionError("unreachable")
