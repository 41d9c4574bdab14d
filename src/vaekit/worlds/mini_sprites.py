"""MINI_SPRITES: a square or a disc on 16 x 16 pixels, on a grid of four factors; 1,440 grey pictures.

Pixel centres lie at (i + 0.5)/16; r = 0.12 + 0.10 k/4 for scale k in 0..4; centres at 0.25 + 0.5 i/11 for
position i in 0..11. The distance is max(|dx|, |dy|) of the square and sqrt(dx^2 + dy^2)/1.13 of the disc, and
pixel = sigmoid(32 (r - distance)).
"""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.data.arrays import ArrayData
from vaekit.data.factors import Grid, Stored
from vaekit.data.spec import Spec

SIDE = 16
FACTORS = {"shape": 2, "scale": 5, "x": 12, "y": 12}


def render(factors: Tensor) -> Tensor:
    """Grey pictures in (0, 1), (N, 1, 16, 16) float32, of grid points (N, 4) in the order of `FACTORS`."""
    shape, scale, x, y = (column[:, None, None].double() for column in factors.unbind(1))
    centre = (torch.arange(SIDE, dtype=torch.float64) + 0.5) / SIDE
    across = (centre[None, None, :] - (0.25 + 0.5 * x / 11)).abs()
    down = (centre[None, :, None] - (0.25 + 0.5 * y / 11)).abs()
    distance = torch.where(shape == 0, torch.maximum(across, down), torch.hypot(across, down) / 1.13)
    return torch.sigmoid(32 * (0.12 + 0.10 * scale / 4 - distance)).float()[:, None]


def mini_sprites(factors: tuple[str, ...] = tuple(FACTORS)) -> Stored:
    """The whole grid, or the part of it where the factors that are not named are at their middle.

    Args:
        factors: those that vary, in the order of `FACTORS`.

    Raises:
        ValueError: for a factor that there is not.
    """
    if unknown := set(factors) - set(FACTORS):
        raise ValueError(f"`factors` holds {sorted(unknown)}; expected some of {', '.join(FACTORS)}")
    grid = Grid({name: FACTORS[name] for name in FACTORS if name in factors})
    values = grid.factors_of(torch.arange(len(grid)))
    full = torch.tensor([size // 2 for size in FACTORS.values()]).repeat(len(grid), 1)
    full[:, [k for k, name in enumerate(FACTORS) if name in factors]] = values
    spec = Spec(
        "mini_sprites",
        (1, SIDE, SIDE),
        "unit",
        len(grid),
        factors=dict(zip(grid.names, grid.sizes, strict=True)),
        note="every point of the grid of factors, once",
    )
    return Stored(ArrayData(spec, render(full), factors=values))
