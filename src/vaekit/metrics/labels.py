"""How well a model tells the class of a datum, and what Bayes' rule says of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.errors import UnsupportedError
from vaekit.metrics.passes import LOAD, Result, evaluating, fitting, loaded, split_batch
from vaekit.models import Classifier, LabelMarginal, Model
from vaekit.terms import log_class_weight
from vaekit.trace import Batch


@dataclass(frozen=True)
class ErrorRate(Result):
    """The share of data whose most probable class is not their label.

    Args:
        error: between 0 and 1.
        error_se: its standard error over the data, sqrt(e (1 - e) / n).
        n: number of data with a label.
        method: "classifier" for q(y|x), "bayes" for Bayes' rule with importance weights.
    """

    error: float
    error_se: float
    n: int
    method: str


def error_rate(
    model: Model,
    data: Data,
    *,
    classifier: Classifier | None = None,
    samples: int | None = None,
    seed: int = 0,
    limit: int | None = None,
) -> ErrorRate:
    """Classify data, and compare with their labels.

    Args:
        model: says where to and in which type; it classifies, if it is a `Classifier` and no other is given.
        data: with labels; those that are -1 are left out.
        classifier: what classifies in place of the model.
        samples: draws per datum and class for Bayes' rule; None asks q(y|x).
        seed: of the subset and of the draws.
        limit: use a random subset of this size.

    Raises:
        UnsupportedError: if nothing here classifies, or the data have no label.
    """
    asked = classifier if classifier is not None else model
    if not isinstance(asked, Classifier):
        raise UnsupportedError(
            f"{type(model).__name__} classifies nothing: train a recipe that does, such as m2 or m1_m2"
        )
    wrong = known = 0
    with evaluating(model, seed):
        for batch, _ in loaded(data, model, seed=seed, limit=limit, size=LOAD, labels=True):
            if "y" not in batch:
                break
            found = asked.classify(batch) if samples is None else _bayes(asked, batch, samples)
            labelled = batch["y"] >= 0
            wrong += int((labelled & (found.argmax(-1) != batch["y"])).sum())
            known += int(labelled.sum())
    if not known:
        raise UnsupportedError(f"{data.spec.name!r} has no labels to compare with: give data that have")
    error = wrong / known
    return ErrorRate(
        error, math.sqrt(error * (1 - error) / known), known, "classifier" if samples is None else "bayes"
    )


def bayes_classes(model: LabelMarginal, batch: Batch, *, samples: int = 1000, seed: int = 0) -> Tensor:
    """p(y|x) by Bayes' rule: p(y|x) ~ p(y) 1/S sum_s w_s(x, y), w = p(x, z|y) / q(z|x, y), z ~ q(z|x, y).

    The classifier q(y|x) has no part in it.

    Args:
        model: sums over labels.
        batch: `x` (B, *event); labels are not looked at.
        samples: S, draws per datum and class; the authors of M2 took 1,000.
        seed: of the draws.

    Returns:
        (B, C), float64.
    """
    with evaluating(model, seed):
        found = _bayes(model, batch, samples)
    return found.clone()  # out of inference mode: an ordinary tensor


def _bayes(model: Classifier, batch: Batch, samples: int) -> Tensor:
    if not isinstance(model, LabelMarginal):
        raise UnsupportedError(
            f"Bayes' rule needs the evidence of every class, and {type(model).__name__} has none: leave "
            "`samples` out, or take a model that sums over labels, such as m2"
        )
    rows, chunk = fitting(batch, samples, passes=model.passes)
    found = []
    for part in split_batch({"x": batch["x"]}, rows):
        total = torch.full((), -math.inf, dtype=torch.float64, device=part["x"].device)
        for begin in range(0, samples, chunk):
            weights = log_class_weight(model(part, min(chunk, samples - begin))).double()
            total = torch.logaddexp(total, weights.logsumexp(0))
        found.append(total.softmax(0).mT)
    return torch.cat(found)
