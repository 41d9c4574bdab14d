"""How the latents of a field stand to its factors: along the same axes, or turned against them."""

from __future__ import annotations

from statistics import mean
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.disentanglement import s_d
from vaekit.metrics.passes import evaluating
from vaekit.models import Model

CALIBRATED: dict[str, Any] = {
    "batch_size": 64, "latents": 2, "weight": "rising", "start": 1000, "likelihood": "gaussian",
    "hidden": (128, 128), "activation": "silu", "learning_rate": 1e-3,
}  # fmt: skip
"""Settings of `hierarchical_prior_vae` on 17 x 17 fields under which 3000 steps tell what is to be told."""


class Axes(NamedTuple):
    """What was found on held-out data.

    s_d: the score of Jacobsen and Duraisamy, of the means of q. matched: the same share of correlation where
    no two latents may follow one factor. linear: the smallest R^2 of a latent's mean given all factors by
    least squares. error: mean squared error of reconstruction from the means, per element.
    """

    s_d: float
    matched: float
    linear: float
    error: float


def axes_of(model: Model, data: Data) -> Axes:
    """How the first latent stands to theta, over all the data."""
    batch = data.take(range(len(data)))
    place = next(model.parameters()).device
    with evaluating(model, 0), torch.no_grad():
        codes = model.encode({name: value.to(place) for name, value in batch.items() if name != "theta"})
        rebuilt = model.decode({model.names[0]: codes[model.names[0]]}).mean.cpu()
    z, theta = codes[model.names[0]].double().cpu(), batch["theta"].double()
    score = s_d(z.numpy(), theta.numpy()).values
    error = float((rebuilt - batch["x"].cpu()).square().mean())
    return Axes(score["s_d"], score["s_d_matched"], explained(z, theta), error)


def explained(z: Tensor, theta: Tensor) -> float:
    """The smallest R^2 of a column of z (N, d) given theta (N, P) and a constant, by least squares."""
    given = torch.cat([theta, torch.ones_like(theta[:, :1])], 1)
    left = z - given @ torch.linalg.lstsq(given, z).solution
    return float((1 - left.square().sum(0) / (z - z.mean(0)).square().sum(0)).min())


def one_by_one(rows: list[Axes]) -> str:
    """S_D and R^2 of every seed, in words."""
    return ", ".join(f"{row.s_d:.2f} ({row.linear:.3f})" for row in rows)


def average(rows: list[Axes]) -> float:
    """The mean S_D."""
    return mean(row.s_d for row in rows)


def share(rows: list[Axes], above: float = 0.9) -> float:
    """The share of seeds whose S_D is above a bound."""
    return mean(float(row.s_d > above) for row in rows)
