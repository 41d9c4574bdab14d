"""The path of codes while one factor runs through its values: how straight it is, and along which axis.

References:
    Overlooked Implications of the Reconstruction Loss for VAE Disentanglement, N. Michlo, R. Klein, S. James,
    IJCAI 2023, arXiv 2202.13341; measures as in the authors' code (nmichlo/disent, `metrics`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.checks import whole
from vaekit.data.factors import Grid
from vaekit.disentanglement.distances import traversals
from vaekit.disentanglement.points import Represent


@dataclass(frozen=True)
class Straightness:
    """How much of the variance along a traversal lies in one direction; each in 0 .. 1.

    r(s) = (max s / sum s - 1/n) / (1 - 1/n) of n variances s.

    Args:
        linear_ratio: r of the variances along principal axes: 1 where the codes lie on a line.
        axis_ratio: r of the variances of latents: 1 where one latent alone moves.
        axis_alignment: axis_ratio / linear_ratio: 1 where the line is an axis.
    """

    linear_ratio: float
    axis_ratio: float
    axis_alignment: float


def straightness(
    represent: Represent, grid: Grid, *, seed: int = 0, repeats: int = 1024
) -> dict[str, Straightness]:
    """How straight, and how well aligned to a latent, the codes of traversals are.

    Args:
        represent: makes codes of two latents or more.
        grid: of the factors.
        seed: of the traversals.
        repeats: traversals of each factor, whose ratios are averaged; one that the codes do not follow at all
            counts as 0.

    Returns:
        Name of a factor -> its ratios; factors with one value are left out. "factors": their geometric means.

    Raises:
        ValueError: for codes of one latent, which have one direction.
    """
    found: dict[str, Straightness] = {}
    for name, codes in _codes(represent, grid, seed, repeats):
        n = codes.shape[2]
        if n < 2:
            raise ValueError("the codes have 1 latent, and so one direction; expected 2 latents or more")
        centred = codes - codes.mean(1, keepdim=True)
        covariance = centred.mT @ centred / (codes.shape[1] - 1)
        follows = (codes != codes[:, :1]).flatten(1).any(1)  # the variance of a constant is rarely quite 0
        axis, linear = (
            torch.where(follows, _one_sided(variances), 0.0)
            for variances in (
                covariance.diagonal(dim1=1, dim2=2),
                torch.linalg.eigvalsh(covariance).clamp_min(0),
            )
        )
        alignment = torch.where(linear > 0, axis / linear, 0.0)
        found[name] = Straightness(*(float(ratio.mean()) for ratio in (linear, axis, alignment)))
    whole_grid = list(found.values())
    names = ("linear_ratio", "axis_ratio", "axis_alignment")
    means = (math.prod(max(0.0, getattr(part, name)) for part in whole_grid) for name in names)
    found["factors"] = Straightness(*(mean ** (1 / len(whole_grid)) for mean in means))
    return found


def _one_sided(variances: Tensor) -> Tensor:
    """(R, n) -> (R,): 1 where one of n variances is all there is, 0 where they are equal."""
    n = variances.shape[1]
    return (variances.amax(1) / variances.sum(1) - 1 / n) / (1 - 1 / n)


def flatness(represent: Represent, grid: Grid, *, seed: int = 0, repeats: int = 1024) -> dict[str, float]:
    """The width of traversals over their length: 1 for steps in one direction along one latent.

    flatness = E max_ij |z_i - z_j|_2 / ((f - 1) E |z_i+1 - z_i|_1) over the f values of a factor. The steps
    go round, from the last value to the first, and the longest of the f is left out, so that a factor that
    comes back to its beginning is treated as one that does not.

    Args:
        represent: makes the codes.
        grid: of the factors.
        seed: of the traversals.
        repeats: traversals of each factor, over which width and length are averaged.

    Returns:
        Name of a factor -> its flatness, 0 where the codes do not follow it; factors with one value are left
        out. "factors": their mean.
    """
    found: dict[str, float] = {}
    for name, codes in _codes(represent, grid, seed, repeats):
        apart = torch.cdist(codes, codes, compute_mode="donot_use_mm_for_euclid_dist")
        width = apart.amax((1, 2)).mean()
        steps = (codes - codes.roll(-1, 1)).abs().sum(2)
        length = (steps.sum(1) - steps.amax(1)).mean()  # (f - 1) times their mean
        found[name] = float(width / length) if length > 0 else 0.0
    found["factors"] = sum(found.values()) / len(found)
    return found


def _codes(represent: Represent, grid: Grid, seed: int, repeats: int) -> Iterator[tuple[str, Tensor]]:
    """Factor name -> codes of its traversals, (repeats, size, d) float64."""
    whole("repeats", repeats)
    if max(grid.sizes) < 2:
        raise ValueError(f"every factor of {grid} has one value; expected a factor to traverse")
    generator = torch.Generator().manual_seed(seed)
    for name, size in zip(grid.names, grid.sizes, strict=True):
        if size > 1:
            points = traversals(grid, name, repeats, generator)
            yield (
                name,
                represent(points.flatten(0, 1), generator).double().cpu().unflatten(0, (repeats, size)),
            )
