"""What is measured of a trained model, by name: a new score is one function and one line of the table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vaekit.data.batch import Splits
from vaekit.data.factors import FactorData
from vaekit.errors import UserError
from vaekit.metrics.evaluate import evaluate
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


Taken = Mapping[str, float | None]


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


_FIGURES = (
    "elbo", "distortion", "rate", "nll", "bits_per_dim", "squared_error", "active_units",
    "mutual_information", "marginal_kl", "error",
)  # fmt: skip


SCORES: dict[str, Callable[..., Taken]] = {"evaluation": evaluation}
"""Name -> function of what was trained, whose keyword arguments are the settings that a file may say."""

NEEDS_TRUTH = ("disentanglement",)
"""Scores that ask for data with known factors."""


def parameters(name: str) -> Parameters:
    """The settings of a score."""
    return Parameters(SCORES[name], f"the score {name!r}")


def take(label: str, options: Mapping[str, Any], trained: Trained) -> dict[str, float | None]:
    """Take one score: "label/figure" -> number, None where it is not finite.

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
    return {
        f"{label}/{figure}": None if value is None or not math.isfinite(value) else float(value)
        for figure, value in found.items()
    }
