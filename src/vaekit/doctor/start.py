"""What to start with: likelihood, network, latents, epochs, and the command that trains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vaekit.doctor import commands
from vaekit.doctor.finding import Finding
from vaekit.doctor.neighbours import nearest, two_nn
from vaekit.doctor.rows import QUERIES, space
from vaekit.doctor.sample import TRAIN, Sample
from vaekit.doctor.values import heavy_tails, outliers
from vaekit.doctor.words import number, percent
from vaekit.networks import resolve
from vaekit.randomness import own_stream
from vaekit.runs import build_system, find_recipe
from vaekit.staged import default_epochs

MOST_ROWS = 1_500
FEW = 2
"""Training data for each linear dimension that 95 % of the variance need, below which there are too few: a
rule."""
LEAST_DATA = 100
LATENTS = (1, 2, 4, 6, 8, 10, 12, 16, 24, 32, 48, 64)
NETWORKS = {
    "mlp": "A fully connected network of 400 hidden units",
    "conv": "The convolutional network of its size",
    "resnet": "The residual network of its size",
}
AT_ENDS = 0.3
"""Share of values within 5 % of 0 or 1 from which on a continuous Bernoulli is offered: around a grey of 1/2
its deviation is 0.29 and cannot be smaller, which no picture of smooth greys has."""


@dataclass(frozen=True)
class Spread:
    """How many directions the data spread in.

    Args:
        participation: (sum l)^2 / sum l^2 of the variances l along the principal directions.
        most: directions that hold 95 % of the variance.
        intrinsic: dimension by `two_nn`, if it can be had.
        rows: that this was measured on.
    """

    participation: float
    most: int
    intrinsic: float | None
    rows: int


def spread_of(x: NDArray[np.float64], intrinsic: float | None) -> Spread | None:
    """The spread of rows, (n, D); None where all are equal."""
    centred = x - x.mean(axis=0)
    gram = centred.T @ centred if x.shape[1] <= len(x) else centred @ centred.T
    variances = np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0)
    total = variances.sum()
    if total <= 0:
        return None
    most = int(np.searchsorted(np.cumsum(variances) / total, 0.95 - 1e-12)) + 1
    return Spread(float(total**2 / (variances**2).sum()), most, intrinsic, len(x))


def measured_spread(sample: Sample) -> Spread | None:
    """The spread of the training data, as a model sees them."""
    found = sample.once(space)
    points = found.points[found.split == TRAIN]
    asked = sample.some(np.arange(len(points)), QUERIES, 16)
    near = nearest(points[asked], points, apart=False)
    rows = sample.some(sample.train, MOST_ROWS, 17)
    return spread_of(sample.seen(rows), None if near is None else two_nn(near)) if len(rows) > 1 else None


def latents_for(spread: Spread, dimensions: int) -> int:
    """Half as many again as the intrinsic dimension, rounded up to a usual number, but not more than the
    linear directions need: what is not used is switched off by the rate, what is missing cannot be had."""
    wanted = 1.5 * (spread.intrinsic or spread.participation)
    most = max(1, min(spread.most, dimensions - 1 if dimensions > 1 else 1))
    chosen = next((n for n in LATENTS if n >= wanted), LATENTS[-1])
    return min(chosen, most)


def likelihood_of(sample: Sample) -> tuple[str, str]:
    """(name, why) of the likelihood to start with."""
    kind = sample.spec.kind
    if kind == "binary":
        return "bernoulli", "the values are 0 and 1"
    if kind == "count":
        return "poisson", "the values are counts"
    if kind == "categorical":
        return "categorical", "the values are classes"
    if kind == "real":
        if outliers(sample) or heavy_tails(sample):
            return "laplace", "there are values far away from the others"
        return "gaussian", "the values are real numbers"
    seen = sample.seen(sample.some(sample.train, MOST_ROWS, 18))
    ends = float(((seen < 0.05) | (seen > 0.95)).mean())
    if ends >= AT_ENDS:
        return "continuous_bernoulli", f"{percent(ends)} of the values lie within 5 % of 0 or 1"
    return "gaussian", f"only {percent(ends)} of the values lie within 5 % of 0 or 1, the others between"


def few_data(sample: Sample) -> list[Finding]:
    """Too few training data for the directions that they spread in. A rule; no chance is involved."""
    count = sample.sizes[TRAIN]
    spread = sample.once(measured_spread)
    most = 0 if spread is None else spread.most
    if count >= max(LEAST_DATA, FEW * most):
        return []
    reason = (
        f"95 % of the variance of {spread.rows:,} of them lie in {most} directions" if spread else "all equal"
    )
    small = {"latents": 2, "hidden": (32,)} if resolve("auto", sample.spec.shape) == "mlp" else {"latents": 2}
    return [
        Finding(
            "few_data",
            f"{count:,} training data are few",
            f"{count:,} training data of {sample.spec.dimensions:,} values; {reason}",
            "A network of any size learns them by heart; the held-out figures of so few data are uncertain, "
            "too.",
            "Collect more if you can, or keep the model small and stop early.",
            commands.train(sample, {**small, "patience": 20}),
            "warning",
        )
    ]


def start(sample: Sample) -> list[Finding]:
    """Always one note: the recipe to start with."""
    spread = sample.once(measured_spread)
    likelihood, why = likelihood_of(sample)
    latents = 2 if spread is None else latents_for(spread, sample.spec.dimensions)
    arguments: dict[str, Any] = {"latents": latents, "likelihood": likelihood}
    # the network's own width: neither digits nor tables did better with a smaller or larger one
    network = NETWORKS[resolve("auto", sample.spec.shape)]
    with own_stream("cpu", 0):
        system = build_system(find_recipe("vae"), sample.spec, arguments, torch.device("cpu"))
    count, size = sample.sizes[TRAIN], system.batch_size
    epochs = default_epochs(system, count, size)
    weights = sum(parameter.numel() for parameter in system.model.parameters())
    return [
        Finding(
            "start",
            f"Start with vae: {likelihood} likelihood, {latents} latents, {epochs:,} epochs",
            _measured(spread),
            f"{likelihood.replace('_', ' ').capitalize()}, because {why}. {latents} latents: half as many "
            "again as the dimension, but not more than linear directions; latents that are not needed fall "
            f"asleep. {network}: {weights:,} weights in all. {epochs:,} epochs are "
            f"{epochs * -(-count // size):,} steps of {min(size, count)} data.",
            "Train it, then let `vaekit doctor RUN` look at the run.",
            commands.train(sample, {**arguments, "epochs": epochs}),
            "note",
        )
    ]


def _measured(spread: Spread | None) -> str:
    if spread is None:
        return "all training data are equal"
    words = (
        f"95 % of the variance lies in {spread.most} linear directions, spread as evenly as "
        f"{number(round(spread.participation, 1))} equal ones would be ({spread.rows:,} training data)"
    )
    if spread.intrinsic is not None:
        words += f"; between neighbours the data have {number(round(spread.intrinsic, 1))} dimensions (TwoNN)"
    return words
