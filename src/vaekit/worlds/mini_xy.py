"""MINI_XY: a square of 2 x 2 pixels in each of two channels of 16 x 16, at 8 x 8 places; 4,096 pictures.

The square of channel c covers rows 2 y_c and 2 y_c + 1 and columns 2 x_c and 2 x_c + 1. It is XYSquares in
small: two different places of a square share no pixel, so that all are equally far from each other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.data.arrays import ArrayData
from vaekit.data.factors import Grid, Stored
from vaekit.data.spec import Spec

SIDE, SQUARE = 16, 2
FACTORS = {"x_0": 8, "y_0": 8, "x_1": 8, "y_1": 8}


def render(factors: Tensor) -> Tensor:
    """Binary pictures, (N, 2, 16, 16) uint8, of grid points (N, 4) in the order of `FACTORS`."""
    place = torch.arange(SIDE) // SQUARE
    x, y = factors.unflatten(1, (2, 2)).unbind(2)
    rows, columns = (at[:, :, None] == place for at in (y, x))
    pictures: Tensor = rows[..., :, None] & columns[..., None, :]
    return pictures.to(torch.uint8)


def mini_xy() -> Stored:
    """The whole grid."""
    grid = Grid(FACTORS)
    values = grid.factors_of(torch.arange(len(grid)))
    spec = Spec(
        "mini_xy",
        (2, SIDE, SIDE),
        "binary",
        len(grid),
        factors=dict(FACTORS),
        note="every point of the grid of factors, once",
    )
    return Stored(ArrayData(spec, render(values), factors=values))
