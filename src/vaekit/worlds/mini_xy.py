"""MINI_XY: two squares of 2 x 2 pixels, one in each channel of 16 x 16; 4,096 binary images of four factors.

XYSquares in small: 8 places along each axis, 2 pixels apart, so that all places of a square are equally far
from each other.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from vaekit.data.arrays import ArrayData
from vaekit.data.factors import Stored
from vaekit.data.squares import Squares


def mini_xy() -> Stored:
    """The whole grid of x_R, y_R, x_G, y_G, each 8."""
    drawn = Squares("mini_xy", size=2, side=16, channels=2)
    spec = replace(drawn.spec, note=f"{drawn.spec.note}; every point of the grid of factors, once")
    index = torch.arange(len(drawn.grid))
    return Stored(ArrayData(spec, drawn.at(index).byte(), factors=drawn.grid.factors_of(index)))
