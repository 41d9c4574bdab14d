"""Whether what the reconstruction leaves over still has structure that a latent could carry."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

_CERTAIN = 4.0
"""Standard errors: a direction without structure passes for one with it once in 30,000."""


@dataclass(frozen=True)
class Left:
    """What further latents could carry.

    Args:
        nats: the gain per datum, summed over directions.
        directions: number of directions with more variance than noise.
        largest: the largest variance along a direction, in units of the noise.
    """

    nats: float
    directions: int
    largest: float


def structure_left(train: Tensor, held_out: Tensor, most: int) -> Left:
    """How many nats per datum a linear latent for each of the residuals' main directions would gain.

    In probabilistic PCA with unit noise, a latent along a direction in which the data have the variance v
    gains 1/2 (v - 1 - ln v) nats per datum where v > 1, and is driven to its prior where v <= 1 (Tipping and
    Bishop 1999; Lucas et al. 2019, "Don't blame the ELBO"). Residuals are divided by their own standard
    deviations, element by element; without structure, v <= 1 along every direction. Directions are those of
    the training data's residuals, their variance is that of held-out ones, which nothing was fitted to; what
    does not exceed 1 by four of its standard errors counts as none. So this is a lower bound: non-linear
    structure is not seen.

    Args:
        train: residuals, (N, D).
        held_out: residuals, (M, D).
        most: largest number of directions.
    """
    spread = train.std(0) if len(train) > 1 else train.new_zeros(train.shape[1])
    # an element that hardly ever moves would be all of a direction for the few data in which it does
    floor = 0.5 * float(spread.square().mean().sqrt())
    if train.shape[1] < 2 or len(held_out) < 3 or floor <= 0 or not math.isfinite(floor):
        return Left(0.0, 0, 1.0)
    scale = spread.clamp_min(floor)
    first, second = ((part - part.mean(0)) / scale for part in (train, held_out))
    squares = (second @ _main_directions(first, most)).square()
    variances, errors = squares.mean(0), squares.std(0) / math.sqrt(len(second))
    above = variances[variances - _CERTAIN * errors > 1]
    gains = 0.5 * (above - 1 - above.log())
    return Left(float(gains.sum()), len(above), float(variances.max()))


def _main_directions(rows: Tensor, most: int) -> Tensor:
    """The directions of largest variance, (D, K), from whichever of the two products is smaller."""
    count = min(most, *rows.shape)
    if rows.shape[1] <= rows.shape[0]:
        _, axes = torch.linalg.eigh(rows.T @ rows)
        return cast(Tensor, axes)[:, -count:]
    values, vectors = torch.linalg.eigh(rows @ rows.T)
    kept = values[-count:] > 1e-10 * values[-1]
    found: Tensor = rows.T @ vectors[:, -count:][:, kept] / values[-count:][kept].sqrt()
    return found
