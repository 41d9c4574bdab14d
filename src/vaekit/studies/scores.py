"""What is measured of a trained model, by name: a new score is one function and one line of the table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from vaekit.data.batch import Splits
from vaekit.data.factors import FactorData
from vaekit.errors import UserError, nearest
from vaekit.metrics.disentanglement import KNOWN
from vaekit.metrics.evaluate import evaluate
from vaekit.metrics.ranking import codes_and_rates
from vaekit.models import Classifier, Model
from vaekit.studies.values import Parameters


@dataclass(frozen=True)
class Trained:
    """What a score looks at.

    Args:
        model: with the weights that the training hands back, in eval mode.
        splits: the data.
        truth: the ground truth behind them, if there is any.
        classifier: tells the classes of the data, if something does.
    """

    model: Model
    splits: Splits
    truth: FactorData | None
    classifier: Classifier | None = None


Taken = Mapping[str, float | Tensor | None]
"""Figures by their names; and tensors, which are kept beside the record for a score of several runs."""


def evaluation(
    trained: Trained,
    *,
    split: Literal["test", "valid"] = "test",
    samples: int = 0,
    limit: int | None = None,
    seed: int = 0,
) -> Taken:
    """The figures of `vaekit.metrics.evaluate`: bound, likelihood, use of the latents.

    Args:
        trained: the model and its data.
        split: which data.
        samples: importance samples for the likelihood; 0 leaves it out.
        limit: a random subset of this size.
        seed: of the subset and of all noise.
    """
    data = getattr(trained.splits, split)
    found = evaluate(
        trained.model, data, samples=samples, limit=limit, seed=seed, classifier=trained.classifier
    )
    return {name: found[name] for name in _FIGURES if name in found}


def disentanglement(
    trained: Trained,
    *,
    preset: Literal["modern", "locatello2019"] = "modern",
    seed: int = 0,
    representation: Literal["mean", "sampled"] = "mean",
    names: tuple[str, ...] | None = None,
) -> Taken:
    """The scores of `vaekit.metrics.disentanglement` against the known factors.

    Args:
        trained: the model and its data.
        preset: the choices behind the scores.
        seed: of the points that are drawn, the same for all models that are to be compared.
        representation: means of the posteriors, or one draw of each.
        names: which scores; all by default.
    """
    from vaekit.metrics import disentanglement as measure

    assert trained.truth is not None  # `take` has seen to it
    found = measure(
        trained.model, trained.truth, preset=preset, seed=seed, representation=representation, names=names
    )
    return dict(found.values)


def udr(
    trained: Trained,
    *,
    n: int = 1000,
    seed: int = 0,
    relation: Literal["lasso", "spearman"] = "lasso",
) -> Taken:
    """What the unsupervised disentanglement ranking asks of one model: its codes of held-out data.

    The ranking itself is made of the runs that differ in their seeds alone, see `vaekit.studies.collected`.

    Args:
        trained: the model and its data.
        n: number of data, the same ones for all models.
        seed: of these data.
        relation: how the latents of two models are compared; see `vaekit.disentanglement.udr`.
    """
    codes, rates = codes_and_rates(trained.model, trained.splits.test, n=n, seed=seed)
    return {"codes": codes} if rates is None else {"codes": codes, "rates": rates}


_FIGURES = (
    "elbo", "distortion", "rate", "nll", "bits_per_dim", "squared_error", "active_units",
    "mutual_information", "marginal_kl", "error",
)  # fmt: skip


SCORES: dict[str, Callable[..., Taken]] = {
    "evaluation": evaluation,
    "disentanglement": disentanglement,
    "udr": udr,
}
"""Name -> function of what was trained, whose keyword arguments are the settings that a file may say."""

NEEDS_TRUTH = ("disentanglement",)
"""Scores that ask for data with known factors."""


def settings_of(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a score in full.

    Raises:
        ValueError: for a setting that there is not, or one that the score would refuse.
    """
    whole = Parameters(SCORES[name], f"the score {name!r}").whole(said)
    for setting, least in (("seed", 0), ("samples", 0), ("limit", 1), ("n", 2)):
        if whole.get(setting) is not None and whole[setting] < least:
            raise ValueError(f"`{setting}` is {whole[setting]}; expected at least {least}")
    for figure in whole.get("names") or ():
        if figure not in KNOWN:
            raise ValueError(f"`names` holds {figure!r}{nearest(figure, list(KNOWN))}")
    return whole


def take(
    label: str, options: Mapping[str, Any], trained: Trained
) -> tuple[dict[str, float | None], dict[str, Tensor]]:
    """Take one score: "label/figure" -> number, None where it is not finite; and the tensors it leaves.

    Raises:
        UserError: if it needs ground truth, and there is none.
    """
    said = dict(options)
    name = said.pop("take")
    if name in NEEDS_TRUTH and trained.truth is None:
        raise UserError(
            f"the score {name!r} needs data with known factors, which {trained.splits.spec.name} lack"
        )
    found = SCORES[name](trained, **said)
    tensors = {f"{label}/{name}": v for name, v in found.items() if isinstance(v, Tensor)}
    figures = {f"{label}/{name}": v for name, v in found.items() if not isinstance(v, Tensor)}
    return {
        name: None if v is None or not math.isfinite(v) else float(v) for name, v in figures.items()
    }, tensors
