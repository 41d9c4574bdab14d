"""`vaekit train` and `vaekit resume`: training, evaluation, report and closing summary."""

from __future__ import annotations

import dataclasses
import inspect
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import tyro

from vaekit import api
from vaekit.cli.measure import measure, write_page
from vaekit.cli.parsing import argument_help, field_of, group, parse
from vaekit.cli.progress import Watch, say
from vaekit.cli.summary import figures, next_steps
from vaekit.cli.words import duration
from vaekit.errors import UserError
from vaekit.loggers import Following, Logger, LoggerName, kept_by, logger
from vaekit.parallel import rank_here
from vaekit.runs import Run, find_recipe
from vaekit.staged import Stopped

_SETTINGS = (
    "out", "seed", "epochs", "steps", "batch_size", "device", "precision", "accumulate", "clip", "patience",
    "weights", "checkpoint_seconds", "compile",
)  # fmt: skip
_DATA = (
    "size", "channels", "binarise", "context", "limit", "labels", "drop", "labelled", "labelled_seed", "kind",
    "standardise", "spacing", "placements", "pairs",
)  # fmt: skip


def train_command(arguments: list[str]) -> int:
    """Parse and carry out `vaekit train`."""
    name = _recipe_in(arguments)
    wanted = parse(_form(name), arguments, "vaekit train")
    if wanted.recipe != name:  # options stood before the recipe
        wanted = parse(_form(wanted.recipe), arguments, "vaekit train")
    _check_samples(wanted.ending.nll_samples)
    watch = Watch("Training", first=rank_here() == 0)
    ending = dict(vars(wanted.ending))
    log = Following(ending.pop("log") or (), hold=True)
    with watch.signals(), _told_how_to_resume(watch):
        run = api.train(
            wanted.recipe, wanted.data, **vars(wanted.settings), **changed(wanted.arguments),
            data_options=changed(wanted.data_options), show=watch.show, started=watch.started, loggers=log,
        )  # fmt: skip
    return _close(run, watch, log, **ending)


def resume_command(
    run: Path,
    /,
    *,
    epochs: int | None = None,
    device: str = "auto",
    report: bool = True,
    nll_samples: int | None = None,
    log: tuple[LoggerName, ...] | None = None,
) -> int:
    """Go on with a run that was stopped, bit for bit on the same machine.

    Args:
        run: the run directory.
        epochs: a new total, to train a finished run for longer.
        device: cpu, cuda, mps, or auto for the fastest that is there.
        report: write report.html; --no-report leaves it out.
        nll_samples: importance samples per datum; by default as many as take some seconds, 0 for none.
        log: trackers that hear the record of every epoch, one or several; those of the run go on.
    """
    _check_samples(nll_samples)
    watch = Watch("Resuming", first=rank_here() == 0)
    with watch.signals(), _told_how_to_resume(watch):
        followed = Following(_loggers(run, log), hold=True)
        done = api.resume(
            run, epochs=epochs, device=device, show=watch.show, started=watch.started, loggers=followed
        )
    return _close(done, watch, followed, report=report, nll_samples=nll_samples)


def _loggers(run: Path, asked: Sequence[str] | None) -> list[Logger]:
    """Those that the run had, and those that are asked for."""
    kept = kept_by(Run.open(run))
    return kept + [logger(name) for name in asked or () if name not in {one.name for one in kept}]


def _close(run: Run, watch: Watch, log: Following, *, report: bool, nll_samples: int | None) -> int:
    """Evaluate, write the report, tell the loggers, say how it went; of several processes, the first."""
    if not watch.first:
        return 0
    record = None
    try:
        record = _evaluated(run, watch, nll_samples)
    finally:
        log.close(run, record)
    page = write_page(run) if report else None
    print(figures(record, "test"))
    print()
    print(next_steps(run.path, run.spec, page))
    return 0


def _evaluated(run: Run, watch: Watch, samples: int | None) -> dict[str, Any]:
    best = run.record["best"]
    epochs = len(run.metrics())
    value = "" if best["value"] is None else f"; lowest validation loss {best['value']:.2f}"
    took = duration(run.record["seconds"])
    say(f"Trained {epochs} epochs in {took}{value}, weights of epoch {best['epoch']}")
    if watch.stop is not None:  # it came during the last step: the training is whole, the rest is not wanted
        where = shlex.quote(str(run.path))
        raise type(watch.stop)(f"the training is finished; `vaekit evaluate {where}` does the rest")
    record = measure(run, split="test", samples=samples, limit=None, seed=0)
    run.update(evaluation=record)
    return record


@contextmanager
def _told_how_to_resume(watch: Watch) -> Iterator[None]:
    try:
        yield
    except Stopped as stop:
        where = shlex.quote(str(stop.path))
        kind = KeyboardInterrupt if watch.stop is None else type(watch.stop)
        raise kind(f"stopped with a checkpoint; go on with `vaekit resume {where}`") from stop


# -- forms -------------------------------------------------------------------------------------------------


def _recipe_in(arguments: list[str]) -> str:
    """The recipe whose options can be used: the first word, or a recipe's name among the words."""
    from vaekit import recipes

    if arguments and not arguments[0].startswith("-"):
        return arguments[0]
    return next((word for word in arguments if word in recipes.names), "vae")


def _form(name: str) -> type:
    """All options of `vaekit train` with one recipe, in groups."""
    from vaekit.data import names

    if name in dict(names()):
        raise UserError(f"{name!r} is a data set; the recipe comes first: `vaekit train vae {name}`")
    recipe = find_recipe(name)
    arguments = list(inspect.signature(recipe).parameters)[1:]
    groups = {
        "arguments": (f"{name} options", group("Arguments", recipe, arguments)),
        "settings": ("training options", group("Settings", api.train, _SETTINGS, {"out": Path | None})),
        "data_options": ("data options", data_form()),
        "ending": ("closing options", group("Closing", resume_command, ("report", "nll_samples", "log"))),
    }
    helps = argument_help(api.train)
    fields: list[Any] = [
        field_of("recipe", str, f"{helps['recipe']} See `vaekit list recipes`.", "vae", place=True),
        field_of("data", str, "name of a data set (`vaekit list data`), or a path.", "digits", place=True),
    ]
    for field, (title, made) in groups.items():
        kind: Any = made
        about = Annotated[kind, tyro.conf.arg(name=title.removesuffix(" options"))]
        fields.append((field, about, dataclasses.field(default_factory=kind)))
    form = dataclasses.make_dataclass("Train", fields, frozen=True)
    form.__doc__ = f"Train a recipe on data, evaluate it and write a report.\n\n{_about(recipe)}"
    return form


def _about(recipe: Any) -> str:
    """The first paragraph of the recipe's page: its name and its equation."""
    page = inspect.getdoc(inspect.getmodule(recipe)) or inspect.getdoc(recipe) or ""
    return f"{recipe.__name__}: {page.splitlines()[0] if page else ''}"


def data_form() -> type:
    """What `vaekit.data.load` can be told on a command line."""
    from vaekit.data import load

    return group("DataOptions", load, _DATA, {"labels": str | None, "drop": tuple[str, ...]})


def changed(options: Any) -> dict[str, Any]:
    """The options that differ from their defaults: only they are passed on and recorded."""
    return {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(options)
        if getattr(options, field.name) != field.default
    }


def _check_samples(samples: int | None) -> None:
    if samples is not None and samples < 0:
        raise UserError(f"--nll-samples is {samples}; expected 0 or more")
