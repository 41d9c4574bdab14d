"""`vaekit evaluate RUN --scores PRESET`, and `vaekit evaluate RUN --partners RUN ...`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from vaekit.cli.progress import say
from vaekit.cli.words import table
from vaekit.data import ground_truth_of
from vaekit.disentanglement import Scores
from vaekit.errors import UserError, nearest
from vaekit.metrics import disentanglement, udr
from vaekit.metrics.disentanglement import KNOWN
from vaekit.runs import Run


def score_run(
    run: Run,
    preset: str,
    *,
    only: Sequence[str] = (),
    seed: int = 0,
    representation: Literal["mean", "sampled"] = "mean",
    merge: bool = False,
    limit: int | None = None,
) -> Scores:
    """The scores of disentanglement of a run; if all of them were asked for, they are kept in its record.

    Args:
        run: a finished one, on data with known factors.
        preset: "modern" or "locatello2019".
        only: names of some scores.
        seed: of all that is drawn.
        representation: means of the posterior, or draws from it.
        merge: count values of a factor whose data are the same as one.
        limit: of `exact_mig`: a random subset of the grid.

    Raises:
        UserError: if the data have no known factors, a score is not known, or the codes cannot be scored.
    """
    if not 0 <= seed < 2**63:
        raise UserError(f"--seed is {seed}; expected 0 .. 2^63 - 1")
    for name in only:
        if name not in KNOWN:
            raise UserError(f"--only has {name!r}{nearest(name, list(KNOWN))}")
    if run.spec.factors is None:
        raise UserError(
            f"{run.path} was trained on {run.spec.name}, whose factors are not known: --scores need ground "
            "truth, such as dsprites or xysquares"
        )
    model, data = run.model(), ground_truth_of(run.data())
    try:
        found = disentanglement(
            model,
            data,
            preset=preset,
            seed=seed,
            representation=representation,
            names=only or None,
            merge=merge,
            limit=limit,
            progress=lambda what: say(f"{preset}: {what}"),
        )
    except ValueError as error:
        raise UserError(f"{run.path} cannot be scored: {error}") from error
    if not only:
        kept = dict(run.record.get("disentanglement") or {})
        what = [preset, representation, *(["merged"] if merge else [])]
        run.update(disentanglement={**kept, " ".join(what): found.to_json()})
    return found


def rank_runs(run: Run, partners: Sequence[Path], *, limit: int | None = None, seed: int = 0) -> str:
    """The unsupervised disentanglement ranking of a run and its partners, as a table.

    Args:
        run: a finished one.
        partners: runs of its kind, such as those of other seeds, on the same data.
        limit: number of held-out data that all of them encode; 1,000 if nothing is said.
        seed: of these data.

    Raises:
        UserError: if a partner was trained on other data, or the codes cannot be compared.
    """
    if limit is not None and limit < 2:
        raise UserError(f"--limit is {limit}; expected 2 or more")
    opened = [run, *map(Run.open, partners)]
    places = [one.path.resolve() for one in opened]
    if repeated := [one.path for i, one in enumerate(opened) if places[i] in places[:i]]:
        raise UserError(f"--partners names {repeated[0]} twice; expected other runs")
    for other in opened[1:]:
        if other.record["data"]["fingerprint"] != run.record["data"]["fingerprint"]:
            raise UserError(
                f"{other.path} was trained on other data than {run.path}: models are ranked that encode the "
                "same data"
            )
    data, models = run.data().test, [one.model() for one in opened]
    found = udr(models, data, n=1000 if limit is None else limit, seed=seed)
    lines = [
        (str(one.path), f"{value:.4f}  {len(used)} latents in use")
        for one, value, used in zip(opened, found.values.values(), found.details["used"], strict=True)
    ]
    notes = "".join(f"\n  note: {note}" for note in found.notes)
    return f"{table(lines, indent=0)}\nudr  [seed {seed}; {found.choices}]{notes}"
