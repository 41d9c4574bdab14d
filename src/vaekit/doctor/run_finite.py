"""Numbers that are none: where they began, by the record, the weights and the steps themselves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from vaekit.checkpoint import Tensors
from vaekit.doctor.finding import Finding
from vaekit.doctor.run_command import again, slower
from vaekit.errors import UnsupportedError, UserError
from vaekit.randomness import own_stream
from vaekit.runs import Run, build_system
from vaekit.trainer import Fit, Progress, Training

SECONDS = 30.0
"""How long steps are made again to find the first one that left the finite numbers."""

EXTREME = 1e4
"""A weight of this size: networks start with weights below 1, and Adam moves one by about its learning rate a
step, so that 0.001 takes ten million steps to it."""


def where_it_began(run: Run, *, seconds: float = SECONDS) -> list[Finding]:
    """The first value that is not finite: its epoch by the record, its step and place by a repetition.

    A run that failed keeps the state of its last checkpoint. Training goes on from there bit for bit on the
    same machine, so the steps are made again, at most `seconds` long, and every one is looked at.

    Args:
        run: any; nothing in it is changed.
        seconds: how long to search.
    """
    rows = run.metrics()
    row = next((row for row in rows if _bad(row)), None)
    broken = _broken_weights(run)
    if row is None and not broken and run.record.get("status") != "failed":
        return []
    traced = None if run.record.get("status") == "finished" and row is None else _again(run, seconds)
    if row is None and not broken and traced is None:
        return []  # it failed for another reason: the disk, the memory
    measured = []
    if row is not None:
        names = ", ".join(_bad(row))
        measured.append(f"Epoch {row.get('epoch')} is the first with values that are not finite: {names}.")
    if broken:
        measured.append(f"Weights that are not finite: {_listed(broken)}.")
    if traced is not None:
        measured.append(traced)
    return [
        Finding(
            key="not_finite",
            title="Training left the finite numbers",
            measured=" ".join(measured),
            meaning="From that step on every gradient is NaN: the weights after it are worth nothing. The "
            "usual causes are a learning rate that is too large, and extreme values in the data.",
            change="Lower the learning rate, or limit the gradient's norm with --clip 1; look for "
            "extreme values with `vaekit doctor DATA`.",
            command=again(run, slower(run) | {"clip": 1.0}),
            severity="problem",
        )
    ]


def extreme_weights(run: Run, weights: Tensors) -> list[Finding]:
    """Weights far beyond what a network that trains well has: more than `EXTREME` in absolute value."""
    sizes = {
        name: float(value.abs().max())
        for name, value in weights.items()
        if value.is_floating_point() and value.numel()
    }
    found = {name: size for name, size in sizes.items() if size > EXTREME}
    if not found:
        return []
    name = max(found, key=lambda key: found[key])
    return [
        Finding(
            key="extreme_weights",
            title="Weights are extreme",
            measured=f"{len(found)} of {len(sizes)} weight tensors hold a number above {EXTREME:g}; the "
            f"largest is {found[name]:.3g}, in {name}.",
            meaning="Training has diverged, though no value is infinite yet: what the model computes "
            "hangs on "
            "rounding.",
            change="Lower the learning rate, or limit the gradient's norm with --clip 1.",
            command=again(run, slower(run) | {"clip": 1.0}),
            severity="problem",
        )
    ]


def _bad(row: dict[str, Any]) -> list[str]:
    """Names of the values of a row that are not finite; the record has null for them."""
    return [
        name
        for name, value in row.items()
        if "/" in name and (value is None or (isinstance(value, float) and not math.isfinite(value)))
    ]


def weights_of(run: Run) -> Tensors:
    """The weights that the run hands out; of one that has none yet, those of its last checkpoint."""
    from vaekit.files import read_tensors

    if run.weights.is_file():
        return read_tensors(run.weights)[0]
    tensors, _ = run.state()
    for prefix in ("best/", "model/"):
        found = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        if found:
            return found
    return {}


def _broken_weights(run: Run) -> list[str]:
    tensors = weights_of(run)
    return [name for name, v in tensors.items() if v.is_floating_point() and not bool(v.isfinite().all())]


class _Found(Exception):
    """Carries where the search ended: a sentence, or nothing where the time was up."""


def _again(run: Run, seconds: float) -> str | None:
    """Make the steps after the last checkpoint again; one sentence on the first that left the numbers."""
    try:
        splits = run.data()
        tensors, about = run.state()
        training = Training(**{**run.record["training"], "compile": False})
        with own_stream("cpu", training.seed):
            system = build_system(run.recipe, run.spec, run.record["arguments"])
            deadline = time.monotonic() + seconds
            modules = system.modules()

            def look(at: Progress, batches: int, means: Callable[[], dict[str, float]]) -> bool:
                bad = [name for name, value in means().items() if not math.isfinite(value)]
                worse = [
                    f"{part}.{name}"
                    for part, module in modules.items()
                    for name, value in module.named_parameters()
                    if not bool(value.isfinite().all())
                ]
                if bad or worse:
                    terms = [name for name in bad if not name.endswith("loss")] or bad
                    say = [f"The terms {_listed(terms)} are the first"] if terms else []
                    say += [f"after it {_listed(worse)} {'is' if len(worse) == 1 else 'are'} not finite"]
                    if not worse:
                        say[1:] = ["the parameters were still finite after it"]
                    raise _Found(
                        f"Made again from the last checkpoint, it is step {at.step}: {'; '.join(say)}."
                    )
                if time.monotonic() > deadline:
                    raise _Found("")
                return False

            fit = Fit(system, splits, training, save=lambda *_: None, show=look)
            fit.restore(tensors, about, run.metrics(), run.path)
            fit.run()
    except _Found as found:
        return str(found) or None
    except (UserError, UnsupportedError, ValueError, TypeError):
        return None  # without the data, or with another version: the record has to do
    return None


def _listed(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
