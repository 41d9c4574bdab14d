"""The figures of a run as numbers: which there are, in which units, and one sentence on how to read each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Score:
    """One number of an evaluation.

    Args:
        name: under which it is recorded.
        title: for people.
        unit: its unit, or nothing.
        how: one sentence on how to read it.
        sizes: (name, words): recorded sample sizes that belong to it, and what they count.
        whole: whether it is a count.
    """

    name: str
    title: str
    unit: str
    how: str
    sizes: tuple[tuple[str, str], ...] = ()
    whole: bool = False


@dataclass(frozen=True)
class Line:
    """One number as the page shows it."""

    key: str
    title: str
    value: str
    error: str
    unit: str
    draws: str
    detail: str
    how: str

    @property
    def short(self) -> str:
        """The title where room is scarce."""
        return {"nll": "NLL"}.get(self.key, self.title)


_DATA = ("n", "data")
_PAIRS = ("mutual_information_n", "N = {}")
_NATS = "nats per datum"

SCORES = (
    Score(
        "elbo", "ELBO", _NATS,
        "The lower bound on the log-likelihood of held-out data, higher is better: minus distortion minus "
        "rate.",
        (_DATA,),
    ),
    Score(
        "distortion", "Distortion", _NATS,
        "What is lost on the way through the latents, lower is better: the expected \u2212log\u00a0p(x|z).",
        (_DATA,),
    ),
    Score(
        "rate", "Rate", _NATS,
        "What the latents say about a datum beyond the prior: near zero the model ignores its latents, and "
        "more rate buys less distortion.",
        (_DATA,),
    ),
    Score(
        "nll", "Negative log-likelihood", _NATS,
        "How surprising held-out data are to the model, lower is better and comparable between models of the "
        "same data; by importance sampling, which errs upwards.",
        (_DATA, ("nll_samples", "{} importance samples each"), ("nll_median_ess", "{} effective (median)")),
    ),
    Score(
        "bits_per_dim", "Bits per dimension", "bits",
        "The negative log-likelihood over D ln 2: how many bits an element costs on average; for real-valued "
        "data it is a density, and may be negative.",
    ),
    Score(
        "squared_error", "Squared error", "of an element",
        "How far reconstructions are from the data, as the mean squared difference: lower is better; where "
        "it is much lower on the training data, the model knows these by heart.",
        (_DATA,),
    ),
    Score(
        "error", "Classification error", "share of the data",
        "How often the class that the model tells is not the label: lower is better.",
        (("error_n", "{} data with labels"),),
    ),
    Score(
        "active_units", "Active latents", "",
        "How many latents move with the data, their posterior mean varying by more than 0.01: the others "
        "have collapsed to the prior.",
        (_DATA,), whole=True,
    ),
    Score(
        "mutual_information", "Mutual information", "nats",
        "What a draw of the latents tells about which datum it came from; its estimate cannot exceed ln N.",
        (_PAIRS, ("mutual_information_bound", "ln N = {}")),
    ),
    Score(
        "marginal_kl", "Marginal KL", "nats",
        "How far the codes of all data together are from the prior: large values mean that samples of the "
        "prior fall where no datum lies.",
        (_PAIRS,),
    ),
)  # fmt: skip

_SHOWN = {score.name for score in SCORES} | {size for score in SCORES for size, _ in score.sizes}


def lines(evaluation: Mapping[str, Any]) -> list[Line]:
    """The known numbers of an evaluation record, in reading order; what is missing is left out."""
    found = []
    for score in SCORES:
        value = finite(evaluation.get(score.name))
        if value is not None:
            found.append(_line(score, value, finite(evaluation.get(f"{score.name}_se")), evaluation))
    return found


def fallback(rows: Sequence[Mapping[str, Any]], best: int | None) -> tuple[dict[str, Any], int | None]:
    """ELBO, distortion and rate of the best epoch's validation, and that epoch."""
    for row in reversed(rows):
        if best is None or row.get("epoch") == best:
            values = {name: row.get(f"valid/{name}") for name in ("elbo", "distortion", "rate")}
            known = {name: value for name, value in values.items() if finite(value) is not None}
            if known:
                return known, row.get("epoch")
    return {}, None


def others(evaluation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Scalars of an evaluation that `lines` does not show: no number that was recorded is lost."""
    known = _SHOWN | {f"{score.name}_se" for score in SCORES} | {"latents", "notes", "of", "split"}
    uses = evaluation.get("codes")
    codes = [
        (
            f"perplexity of the codes of {name}",
            f"{plain(use['perplexity'])} of {plain(use['codes'])}; {plain(use['used'])} occur",
        )
        for name, use in (uses.items() if isinstance(uses, Mapping) else ())
    ]
    return codes + [
        (name.replace("_", " "), plain(value))
        for name, value in evaluation.items()
        if name not in known and isinstance(value, str | int | float | bool)
    ]


def missing(evaluation: Mapping[str, Any]) -> list[str]:
    """What an evaluation left out, and why."""
    notes = evaluation.get("notes")
    titles = {score.name: score.title for score in SCORES}
    if not isinstance(notes, Mapping):
        return []
    return [
        f"No {titles.get(str(name), str(name).replace('_', ' '))}: {reason}" for name, reason in notes.items()
    ]


def plain(value: Any) -> str:
    """A value of a record for people: whole numbers with thin spaces, others with five digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f") if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return (
            f"{value:.5g}".replace("-", "\u2212", 1)
            if not value.is_integer() or abs(value) > 1e6
            else f"{value:g}"
        )
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    return "none" if value is None else str(value)


def number(value: float, error: float | None = None) -> str:
    """A measured value: two digits of its error are known, else four or five digits."""
    if value == 0:
        return "0"
    if error is not None and error > 0:
        digits = min(6, max(0, 1 - math.floor(math.log10(error))))
    else:
        digits = max(0, min(6, 3 - math.floor(math.log10(abs(value)))))
        digits = min(digits, 3)
    text = f"{value:.{digits}f}" if abs(value) >= 1e-3 and abs(value) < 1e6 else f"{value:.3g}"
    return text.replace("-", "\u2212")


def finite(value: Any) -> float | None:
    """A recorded number, or None for anything else."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None


def _counted(size: float, around: Mapping[str, Any]) -> str:
    """How many data, of how many, of which split."""
    every, split = finite(around.get("of")), around.get("split")
    share = f" of {plain(int(every))}" if every is not None and every > size else ""
    return f"{plain(int(size))}{share} {split + ' ' if isinstance(split, str) else ''}data"


def _line(score: Score, value: float, error: float | None, around: Mapping[str, Any]) -> Line:
    details = []
    for name, words in score.sizes:
        size = finite(around.get(name))
        if size is not None and name == "n":
            details.append(_counted(size, around))
        elif size is not None:
            details.append(words.format(plain(int(size)) if size.is_integer() else f"{size:.3g}"))
    shown = f"{value:.0f}" if score.whole else number(value, error)
    every = finite(around.get("latents"))
    if score.whole and every is not None:
        shown += f" of {every:.0f}"
    return Line(
        key=score.name,
        title=score.title,
        value=shown,
        error="" if error is None else "± " + (f"{error:.2g}" if error < 100 else f"{error:.0f}"),
        unit=score.unit,
        draws=next((detail for detail in details if "importance" in detail), ""),
        detail=", ".join(details),
        how=score.how,
    )
