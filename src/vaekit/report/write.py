"""From a run directory to its report: every figure that can be made of it, in one file."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError, UserError
from vaekit.files import write_text
from vaekit.metrics.passes import home_of
from vaekit.models import Classifier, Model
from vaekit.randomness import own_stream, quiet
from vaekit.report import (
    between,
    codebooks,
    copying,
    effects,
    factors,
    groups,
    latents,
    marginals,
    pictures,
    samples,
    texts,
)
from vaekit.report import columns as vectors
from vaekit.report.codes import encode
from vaekit.report.curves import curves
from vaekit.report.history import history
from vaekit.report.material import Material
from vaekit.report.page import report_html
from vaekit.report.parts import Figure

SEED = 0
MOST = 2000
"""Held-out data that the figures look at."""


class RunLike(Protocol):
    """What a report needs of a run; `vaekit.runs.Run` is one."""

    path: Path
    record: dict[str, Any]
    spec: Spec

    def model(self) -> Model:
        """The trained model, in eval mode."""

    def generator(self) -> Model:
        """The same, with its `generate` drawing from the run's later stages where there are any."""

    def data(self) -> Splits:
        """The data of the run."""

    def metrics(self) -> list[dict[str, Any]]:
        """One row an epoch."""

    def classifier(self) -> Classifier | None:
        """What tells the class of a datum, if the run has such a thing."""

    def stage(self, name: str) -> RunLike:
        """The run of a later stage."""


def write_report(run: RunLike, *, out: str | Path | None = None) -> Path:
    """Write the report of a run, whole or not at all.

    A part that cannot be made (the data are gone, the run has no weights yet, a likelihood cannot be drawn
    from) is left out, and the page says so. The same run gives the same pictures every time, and the random
    numbers of the caller are left alone.

    Args:
        run: the run.
        out: the file; by default report.html in the run directory.

    Returns:
        The path of the file.

    Raises:
        UserError: if the file cannot be written; what stood there before still does.
    """
    target = run.path / "report.html" if out is None else Path(out)
    notes: list[str] = []
    figures = _figures(run, notes)
    record: Mapping[str, Any] = {"spec": run.spec.to_json(), **run.record}
    status = record.get("status")
    if status not in (None, "finished"):
        notes.insert(0, f"This run is {status}, not finished: what follows is as far as it got.")
    page = report_html(
        f"{record.get('recipe', 'A model')} on {run.spec.name}",
        record,
        run.metrics(),
        figures,
        record.get("evaluation"),
        notes=notes,
        commands=_commands(run.path, status, bool(record.get("evaluation")), bool(run.spec.factors)),
    )
    write_text(target, page)
    return target


def _figures(run: RunLike, notes: list[str]) -> list[Figure]:
    best = (run.record.get("best") or {}).get("epoch")
    course = history(run.metrics(), best if isinstance(best, int) else None)
    found = [*([] if course is None else [course]), *_stage_curves(run, notes)]
    try:
        model, splits = run.model(), run.data()
    except UserError as error:
        notes.append(f"The pictures are left out: {error}")
        return found
    held, data = splits.held_out
    where, _ = home_of(model)
    with quiet(model, where, SEED):
        codes = encode(model, data, MOST, run.generator())
        given = Material(run.spec, codes, splits.train, data, held, run.record, run.classifier())
        return [*found, *_made(_plan(given), where, notes)]


def _stage_curves(run: RunLike, notes: list[str]) -> list[Figure]:
    """The training curves of the run's later stages."""
    found: list[Figure] = []
    for number, part in enumerate(run.record.get("stages") or []):
        name = str(part.get("name"))
        try:
            stage = run.stage(name)
        except UserError as error:
            notes.append(f"The curves of the stage {name} are left out: {error}")
            continue
        rows, key = stage.metrics(), f"stage-{number}"
        made = [
            curves(rows, None, key=key, title=f"Training of the stage {name}"),
            history(rows, None, key=f"{key}-history", title=f"When each latent of {name} came into use"),
        ]
        found += [figure for figure in made if figure is not None]
    return found


Make = Callable[[], Figure]


def _plan(m: Material) -> Sequence[tuple[str, Make]]:
    """The figures of a run in the order of the page: the place to add one."""
    x = m.codes.batch["x"]
    pixels = pictures.Pixels.of(m.spec, x)
    if pixels is not None:
        return [*_of_pictures(m, pixels), *_of_latents(m, pixels)]
    return [*_of_vectors(m, vectors.Columns.of(m.spec, x)), *_of_latents(m, None)]


def _of_pictures(m: Material, pixels: pictures.Pixels) -> Iterator[tuple[str, Make]]:
    # a mean in between is what a noisy likelihood never draws: only there the two differ to the eye
    noisy = m.spec.kind in ("binary", "count", "categorical")
    shown = "the mean of the likelihood, not a draw of it"
    yield "reconstructions", lambda: pictures.reconstructions(pixels, m.codes, m.held)
    yield "samples", lambda: samples.samples(pixels, m.codes, noisy, shown)
    yield "nearest training data", lambda: copying.pictures_beside(pixels, m.codes, m.train, m.held)
    if m.walkable:
        yield "interpolations", lambda: between.pictures_between(pixels, m.codes, m.held)
        yield "traversals", lambda: pictures.traversals(pixels, m.codes)
        if m.codes.means.shape[1] == 2 and len(m.codes.shapes) == 1:
            yield "plane", lambda: pictures.plane(pixels, m.codes)


def _of_vectors(m: Material, table: vectors.Columns) -> Iterator[tuple[str, Make]]:
    if m.spec.vocabulary is not None:
        yield "reconstructions", lambda: texts.rebuilt_texts(m.spec, m.codes, m.held)
        yield "samples", lambda: texts.sampled_texts(m.spec, m.codes)
        yield "nearest training data", lambda: copying.texts_beside(m.spec, m.codes, m.train, m.held)
        if m.walkable:
            yield "interpolations", lambda: texts.texts_between(m.spec, m.codes, m.held)
        return
    yield "reconstructions", lambda: vectors.rebuilt(table, m.codes, m.held)
    yield "columns", lambda: vectors.histograms(table, m.codes, m.held)
    yield "nearest training data", lambda: copying.rows_beside(table, m.codes, m.train, m.held)
    if m.walkable:
        if not table.wide:
            yield "interpolations", lambda: between.rows_between(table, m.codes, m.held)
        yield "traversals", lambda: effects.effects(table, m.codes)


def _of_latents(m: Material, pixels: pictures.Pixels | None) -> Iterator[tuple[str, Make]]:
    if m.codes.discrete:
        yield "codes", lambda: codebooks.code_use(m.codes, m.held)
    if m.walkable:
        yield "map", lambda: latents.scatter(m.codes, m.spec, m.held)
        if m.has_classes:
            yield "classes", lambda: groups.classes(m.codes, m.spec, m.train, m.held)
    if m.classifier is not None and m.has_classes:
        classifier = m.classifier
        yield "confusion", lambda: groups.confusions(m.codes, m.spec, classifier, m.held)
    if m.walkable:
        if m.spec.factors and "factors" in m.codes.batch:
            yield "factors", lambda: factors.factor_map(m.codes, m.spec, m.record, m.held)
            if pixels is not None:
                yield "broken latents", lambda: factors.broken(pixels, m.codes, m.data, SEED)
        elif m.spec.theta and "theta" in m.codes.batch:
            yield "parameters", lambda: factors.parameter_map(m.codes, m.spec, m.held)
        yield "use", lambda: latents.use(m.codes, m.held)
        yield (
            "aggregate posterior",
            lambda: marginals.against_prior(m.codes, m.data, m.evaluation, m.held, SEED),
        )


def _made(plan: Sequence[tuple[str, Make]], where: torch.device, notes: list[str]) -> Iterator[Figure]:
    for name, make in plan:
        try:
            with own_stream(where, SEED):  # each figure has its own: leaving one out changes no other
                made = make()
            yield made
        except (UnsupportedError, NotImplementedError) as error:
            reason = str(error) or "this model does not offer what it needs"
            notes.append(f"The figure {name!r} is left out: {reason}")


def _commands(path: Path, status: Any, evaluated: bool, scored: bool) -> list[tuple[str, str]]:
    run = shlex.quote(str(path))
    found = [
        (f"vaekit explore {run}", "move through the latents by hand, in the browser"),
        (f"vaekit doctor {run}", "what is wrong with this model, and what to change"),
        (f"vaekit sample {run} -n 64", "new data from the prior"),
        (f"vaekit encode {run} test", "the latents of the test data, or of data of yours, as an array"),
        (f"vaekit reconstruct {run} test", "the test data, or data of yours, through the model and back"),
        (
            f"vaekit evaluate {run}",
            "measure again" if evaluated else "measure the likelihood on held-out data",
        ),
        *([(f"vaekit evaluate {run} --scores modern", "the scores of disentanglement")] if scored else []),
        (f"vaekit report {run}", "this page, again"),
    ]
    if status != "finished":
        found.insert(0, (f"vaekit resume {run}", "go on where the run stopped"))
    return found
