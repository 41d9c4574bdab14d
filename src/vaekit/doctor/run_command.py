"""The command that trains a run again with something changed."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from vaekit.runs import Run, build_system
from vaekit.staged import default_epochs

_SETTINGS = ("steps", "seed", "precision", "accumulate", "clip", "patience", "compile", "weights")
_PLAIN = {"seed": 0, "precision": "float32", "accumulate": 1, "compile": False, "weights": "auto"}


def again(run: Run, changes: Mapping[str, Any], recipe: str | None = None) -> str:
    """`vaekit train ...` as the run was trained, but for some options; "" where no command can do it.

    Args:
        run: trained on a named data set or a path, with a recipe of vaekit's own; else there is no command.
        changes: option -> value, of the recipe, the training or the data; an option that the recipe does not
            have makes the command impossible.
        recipe: another recipe, which takes over the options that it shares with the run's.
    """
    from vaekit import recipes

    chosen = run.record["recipe"] if recipe is None else recipe
    source = run.record["data"].get("source")
    if source is None or chosen not in recipes.names:
        return ""
    known = _parameters(chosen)
    defaults = {name: parameter.default for name, parameter in known.items()}
    # an option of the same name may mean something else to another recipe: its type says so
    own = known if recipe is None else _parameters(run.record["recipe"])
    arguments = {
        name: value
        for name, value in run.record["arguments"].items()
        if name in known and name in own and known[name].annotation == own[name].annotation
    }
    training = run.record["training"]
    settings = {name: training.get(name) for name in _SETTINGS if training.get(name) != _PLAIN.get(name)}
    settings |= {"epochs": training.get("epochs"), "batch_size": training.get("batch_size")}
    usual = _usual(run) if recipe is None else {"batch_size": training.get("batch_size")}
    settings = {name: value for name, value in settings.items() if usual.get(name) != value}
    options = {name: v for name, v in arguments.items() if _plain(v) != _plain(defaults[name])}
    for name, value in changes.items():
        if name in defaults:
            options[name] = value
        elif name in (*_SETTINGS, "epochs", "batch_size"):
            settings[name] = value
        elif name in _DATA:
            pass
        else:
            return ""
    data = {k: v for k, v in run.record["data"].get("options", {}).items() if k in _DATA}
    data |= {name: value for name, value in changes.items() if name in _DATA}
    words = ["vaekit", "train", chosen, str(source)]
    for part in (options, settings, data):
        for name, value in part.items():
            words += option(name, value)
    return shlex.join(words)


_DATA = (
    "size", "channels", "binarise", "context", "limit", "labels", "labelled", "labelled_seed", "kind",
    "standardise", "spacing", "placements", "pairs",
)  # fmt: skip


def option(name: str, value: Any) -> list[str]:
    """An option as it is typed; nothing for None, which cannot be typed and is what leaving it out means."""
    dashed = f"--{name.replace('_', '-')}"
    if value is None:
        return []
    if isinstance(value, bool):
        return [dashed] if value else [f"--no-{name.replace('_', '-')}"]
    if isinstance(value, list | tuple):
        return [dashed, *map(str, value)]
    return [dashed, f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)]


def _parameters(recipe: str) -> dict[str, inspect.Parameter]:
    """Of a recipe of vaekit's own, without the data; of another, none."""
    from vaekit import recipes

    if recipe not in recipes.names:
        return {}
    return dict(list(inspect.signature(getattr(recipes, recipe)).parameters.items())[1:])


def _usual(run: Run) -> dict[str, int]:
    """Batch size and epochs where nobody says anything."""
    system = build_system(run.recipe, run.spec, run.record["arguments"], "meta")
    size = system.batch_size
    return {"batch_size": size, "epochs": default_epochs(system, run.spec.size, size)}


def slower(run: Run) -> dict[str, Any]:
    """A tenth of the learning rate, or the recipe's own if that is lower still: changes for `again`."""
    rate = run.record["arguments"].get("learning_rate")
    usual = _parameters(run.record["recipe"]).get("learning_rate")
    return {"learning_rate": min(rate / 10, usual.default)} if rate and usual is not None else {}


def longer(run: Run) -> str:
    """The command that trains a run for twice as long."""
    training = run.record["training"]
    if training.get("steps") is not None:
        return again(run, {"steps": 2 * training["steps"], "epochs": None})
    return of_run("resume", run, "--epochs", str(2 * int(training.get("epochs", 1))))


def of_run(command: str, run: Run, *options: str) -> str:
    """`vaekit COMMAND RUN ...`."""
    return shlex.join(["vaekit", command, str(run.path), *options])


def first(commands: Sequence[str]) -> str:
    """The first command that there is, or ""."""
    return next((command for command in commands if command), "")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
