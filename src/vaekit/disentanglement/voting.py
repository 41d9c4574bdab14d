"""Batches of points that share the value of one factor, many batches at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from vaekit.data.factors import Grid
from vaekit.disentanglement.points import Represent, refuse_wild

_ROWS = 2**18  # points that are represented at once; part of what a seed means


def varying(grid: Grid) -> tuple[Tensor, tuple[str, ...]]:
    """Numbers of the factors with more than one value, and a note on the others.

    Raises:
        ValueError: if there is none.
    """
    constant = [name for name, size in zip(grid.names, grid.sizes, strict=True) if size == 1]
    if len(constant) == len(grid.names):
        raise ValueError(f"every factor of {grid} has one value; expected one or more that vary")
    notes = (f"constant factors are left out: {', '.join(constant)}",) if constant else ()
    return torch.tensor([k for k, size in enumerate(grid.sizes) if size > 1]), notes


def portions(count: int, batch: int) -> Iterator[int]:
    """How many batches of `batch` points are made at once, until there are `count`."""
    most = max(1, _ROWS // batch)
    for done in range(0, count, most):
        yield min(most, count - done)


def represented(represent: Represent, factors: Tensor, generator: torch.Generator) -> Tensor:
    """Codes of batches of points: (B, L, F) -> (B, L, d) float64.

    Raises:
        ValueError: if a code is not finite.
    """
    codes = represent(factors.flatten(0, 1), generator)
    refuse_wild(codes)
    return codes.double().reshape(*factors.shape[:2], -1)
