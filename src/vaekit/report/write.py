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
from vaekit.models import Model
from vaekit.randomness import own_stream, quiet
from vaekit.report import columns as vectors
from vaekit.report import effects, latents, pictures
from vaekit.report.codes import Codes, encode
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
        commands=_commands(run.path, status, bool(record.get("evaluation"))),
    )
    write_text(target, page)
    return target


def _figures(run: RunLike, notes: list[str]) -> list[Figure]:
    try:
        model, splits = run.model(), run.data()
    except UserError as error:
        notes.append(f"The pictures are left out: {error}")
        return []
    held = "test" if len(splits.test) else "validation"
    data = splits.test if len(splits.test) else splits.valid
    where, _ = home_of(model)
    with quiet(model, where, SEED):
        codes = encode(model, data, MOST, run.generator())
        return list(_made(_plan(run.spec, codes, held), where, notes))


def _plan(spec: Spec, codes: Codes, held: str) -> Sequence[tuple[str, Callable[[], Figure]]]:
    """The figures of a run in the order of the page: the place to add one."""
    x = codes.batch["x"]
    pixels = pictures.Pixels.of(spec, x)
    plan: list[tuple[str, Callable[[], Figure]]]
    if pixels is not None:
        # a mean in between is what a noisy likelihood never draws: only there the two differ to the eye
        noisy = spec.kind in ("binary", "count", "categorical")
        shown = "the mean of the likelihood, not a draw of it"
        plan = [
            ("reconstructions", lambda: pictures.reconstructions(pixels, codes, held)),
            ("samples", lambda: pictures.samples(pixels, codes, noisy, shown)),
        ]
        if codes.discrete or not codes.shapes:
            return plan  # there is no way between two codes, and nothing to show of no latents
        plan.append(("traversals", lambda: pictures.traversals(pixels, codes)))
        if codes.means.shape[1] == 2 and len(codes.shapes) == 1:
            plan.append(("plane", lambda: pictures.plane(pixels, codes)))
    else:
        table = vectors.Columns.of(spec, x)
        plan = [
            ("columns", lambda: vectors.histograms(table, codes, held)),
            ("reconstructions", lambda: vectors.rebuilt(table, codes, held)),
        ]
        if codes.discrete or not codes.shapes:
            return plan
        plan.append(("traversals", lambda: effects.effects(table, codes)))
    return [
        *plan,
        ("map", lambda: latents.scatter(codes, spec, held)),
        ("use", lambda: latents.use(codes, held)),
    ]


def _made(
    plan: Sequence[tuple[str, Callable[[], Figure]]], where: torch.device, notes: list[str]
) -> Iterator[Figure]:
    for name, make in plan:
        try:
            with own_stream(where, SEED):  # each figure has its own: leaving one out changes no other
                made = make()
            yield made
        except (UnsupportedError, NotImplementedError) as error:
            reason = str(error) or "this model does not offer what it needs"
            notes.append(f"The figure {name!r} is left out: {reason}")


def _commands(path: Path, status: Any, evaluated: bool) -> list[tuple[str, str]]:
    run = shlex.quote(str(path))
    found = [
        (f"vaekit sample {run} -n 64", "new data from the prior"),
        (f"vaekit encode {run} test", "the latents of the test data, or of data of yours, as an array"),
        (f"vaekit reconstruct {run} test", "the test data, or data of yours, through the model and back"),
        (f"vaekit report {run}", "this page, again"),
    ]
    if status != "finished":
        found.insert(0, (f"vaekit resume {run}", "go on where the run stopped"))
    again = "measure again" if evaluated else "measure the likelihood on held-out data"
    return [*found[:-1], (f"vaekit evaluate {run}", again), found[-1]]
