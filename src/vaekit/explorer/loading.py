"""From a run directory to what is explored: the model, the data and the samplers that can be had."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.data.conditions import given_classes
from vaekit.errors import UnsupportedError, UserError
from vaekit.explorer.subject import SEED, Subject
from vaekit.explorer.whole import Whole, whole_spec
from vaekit.metrics.passes import home_of
from vaekit.models import Model
from vaekit.randomness import own_stream, quiet
from vaekit.report.codes import encode, evenly
from vaekit.runs import Run
from vaekit.stages import Composed

POINTS = 2000
"""Held-out data on the map at most."""

_CLASSES = 250  # to choose from at most
_NUMBERS = 250_000  # of all codes of the points, and of all conditions: about a megabyte each


def subject_of(run: Run) -> Subject:
    """Load what is explored.

    Raises:
        UserError: if the run has no weights yet, or its model has no latents.
    """
    notes: list[str] = []
    model = _model(run, notes)
    if not model.names:
        raise UserError(
            f"the model of {run.path} has no latents, so there is nothing to move: `vaekit sample` shows "
            "what it draws"
        )
    where, _ = home_of(model)
    if run.record.get("status") not in (None, "finished"):
        notes.append(f"This run is {run.record['status']}, not finished: the page shows how far it got.")
    held = _held(run, notes)
    contexts = None
    with quiet(model, where, SEED), torch.no_grad():
        if run.spec.context is not None:
            contexts = _contexts(run, None if held is None else held[1], notes)
        first = model.draw_latents(1, None if contexts is None else contexts[0][:1])
        shapes = {name: first[name].shape[1:] for name in model.names}
        discrete = frozenset(name for name in model.names if not first[name].is_floating_point())
        codes = None
        if held is not None:
            columns = max(sum(shape.numel() for shape in shapes.values()), 1)
            most = max(min(POINTS, _NUMBERS // columns), 50)
            with own_stream(where, SEED):
                codes = encode(model, held[1], most)
    samplers = dict(_samplers(run, model, shapes, notes))
    held_name = "" if held is None else held[0]
    shown, spec = (Whole(model, run.spec), whole_spec(run.spec)) if run.spec.quadrants else (model, run.spec)
    return Subject(run, spec, shown, shapes, discrete, codes, held_name, samplers, contexts, notes)


def _model(run: Run, notes: list[str]) -> Model:
    """The model itself, or that of a later stage on the data, which takes its place."""
    model = run.model()
    try:
        source = run.generator()
    except UserError as error:
        notes.append(f"The later stages are left out: {error}.")
        return model
    return model if isinstance(source, Composed) else source


def _held(run: Run, notes: list[str]) -> tuple[str, Data] | None:
    try:
        return run.data().held_out
    except UserError as error:
        notes.append(
            f"There are no points on the map, and the range of each slider follows from the prior: {error}."
        )
        return None


def _contexts(run: Run, data: Data | None, notes: list[str]) -> tuple[Tensor, list[str]]:
    """Every class where the condition is the label, else the conditions of some held-out data."""
    spec = run.spec
    context = spec.context or ()
    size = torch.Size(context).numel()
    labels: bool = run.record["data"]["options"].get("context") == "labels"
    if labels or (data is not None and given_classes(data)):
        count = min(size, _CLASSES, max(1, _NUMBERS // size))
        if count < size:
            notes.append(f"The page offers the first {count} of the {size:,} classes as a condition.")
        return torch.eye(count, size), spec.class_labels(size)[:count]
    if data is None:
        raise UserError(
            f"the model of {run.path} needs conditions, and the data that hold them cannot be had: put the "
            "data back where they were"
        )
    count = max(1, min(32, len(data), _NUMBERS // size))
    rows = evenly(len(data), count)
    return data.take(rows)["c"].cpu(), [f"condition of datum {row + 1}" for row in rows.tolist()]


def _samplers(
    run: Run, model: Model, shapes: dict[str, torch.Size], notes: list[str]
) -> Iterator[tuple[str, Model]]:
    """What draws codes of this model, the usual one first."""
    names = sorted(run.samplers(), key=lambda name: {"stages": 0, "prior": 1}.get(name, 2))
    for name in names:
        try:
            source = model if name == "prior" else run.generator(name)
            if name == "stages" and not isinstance(source, Composed):
                continue  # the stage is the model that is explored
            context = run.spec.context
            given = None if context is None else torch.zeros(1, *context)
            where, _ = home_of(source)
            with quiet(source, where, SEED):
                drawn = source.draw_latents(1, given)
            found = {key: value.shape[1:] for key, value in drawn.items()}
            if found != shapes:
                raise UnsupportedError("it draws other latents than this model has")
        except (UserError, UnsupportedError, NotImplementedError) as error:
            notes.append(f"The sampler {name!r} is left out: {error}.")
            continue
        yield name, source
