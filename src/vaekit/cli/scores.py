"""`vaekit evaluate RUN --scores PRESET`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from vaekit.cli.progress import say
from vaekit.data import ground_truth_of
from vaekit.disentanglement import NAMES, Scores
from vaekit.errors import UserError, nearest
from vaekit.metrics import disentanglement
from vaekit.runs import Run


def score_run(
    run: Run,
    preset: str,
    *,
    only: Sequence[str] = (),
    seed: int = 0,
    representation: Literal["mean", "sampled"] = "mean",
    merge: bool = False,
) -> Scores:
    """The scores of disentanglement of a run; if all of them were asked for, they are kept in its record.

    Args:
        run: a finished one, on data with known factors.
        preset: "modern" or "locatello2019".
        only: names of some scores.
        seed: of all that is drawn.
        representation: means of the posterior, or draws from it.
        merge: count values of a factor whose data are the same as one.

    Raises:
        UserError: if the data have no known factors, a score is not known, or the codes cannot be scored.
    """
    if not 0 <= seed < 2**63:
        raise UserError(f"--seed is {seed}; expected 0 .. 2^63 - 1")
    for name in only:
        if name not in NAMES:
            raise UserError(f"--only has {name!r}{nearest(name, list(NAMES))}")
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
            progress=lambda what: say(f"{preset}: {what}"),
        )
    except ValueError as error:
        raise UserError(f"{run.path} cannot be scored: {error}") from error
    if not only:
        kept = dict(run.record.get("disentanglement") or {})
        what = [preset, representation, *(["merged"] if merge else [])]
        run.update(disentanglement={**kept, " ".join(what): found.to_json()})
    return found
