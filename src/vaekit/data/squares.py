"""XYSquares and its relatives: squares on a grid of places, drawn when they are asked for.

Where neighbouring places do not overlap, the pixelwise distance between any two of them is the same, so that
a pixelwise loss cannot order them. Squares that overlap (a `spacing` below their size) take that away.

References:
    Overlooked Implications of the Reconstruction Loss for VAE Disentanglement. Michlo, Klein, James, 2023,
    arXiv 2202.13341, and nmichlo/disent (`XYSquaresData`, `XColumnsData`, `XYSingleSquareData`,
    `XYObjectData`, `XYObjectShadedData`).
"""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from vaekit.data.factors import FactorData, Grid
from vaekit.data.spec import Spec

_CHANNELS = "RGB"
PLACES = 8
"""Most places along an axis by default, as in the sweep over spacings of the paper."""


def places_of(side: int, size: int, spacing: int, placements: int | None) -> tuple[int, int]:
    """(number of places along an axis, where the first begins); together they are central.

    Raises:
        ValueError: if the square, or that many places, do not fit.
    """
    if not 1 <= size <= side or spacing < 1:
        raise ValueError(
            f"`size` is {size} and `spacing` {spacing}; expected a square of 1..{side} pixels and steps of 1 "
            "or more"
        )
    room = (side - size) // spacing + 1
    count = min(PLACES, room) if placements is None else placements
    if not 1 <= count <= room:
        raise ValueError(
            f"`placements` is {count}; expected 1..{room}, as many as fit {side} pixels at a `spacing` of "
            f"{spacing}"
        )
    return count, (side - (size + (count - 1) * spacing)) // 2


def lines(begins: Tensor, ends: Tensor, side: int) -> Tensor:
    """Rows of pixels that are 1 from `begins` to before `ends`, 0 elsewhere: (N,) -> (N, side) float32."""
    pixel = torch.arange(side)
    return ((pixel >= begins[:, None]) & (pixel < ends[:, None])).float()


@final
class Squares(FactorData):
    """One square, or column, in each channel: all places of all of them; binary images.

    Factors are x_R, y_R, x_G, y_G, x_B, y_B (x and y alone for one channel; columns have no y). The square
    of channel c covers rows o + s y_c to o + s y_c + size - 1 and columns o + s x_c to o + s x_c + size - 1,
    with s the spacing and o such that the places are central.

    Args:
        name: of the set.
        spacing: pixels between neighbouring places; by default the size of the square.
        placements: places along each axis; by default 8, or as many as fit.
        size: side of the square in pixels, or width of the column.
        side: of the image.
        channels: 1 to 3.
        columns: whether squares are as high as the image.

    Raises:
        ValueError: for squares or places that do not fit.
    """

    def __init__(
        self,
        name: str = "xysquares",
        *,
        spacing: int | None = None,
        placements: int | None = None,
        size: int = 8,
        side: int = 64,
        channels: int = 3,
        columns: bool = False,
    ) -> None:
        step = size if spacing is None else spacing
        if not 1 <= channels <= 3:
            raise ValueError(f"`channels` is {channels}; expected 1, 2 or 3")
        count, begin = places_of(side, size, step, placements)
        axes = ("x",) if columns else ("x", "y")
        names = [axis if channels == 1 else f"{axis}_{c}" for c in _CHANNELS[:channels] for axis in axes]
        what = "columns" if columns else "squares"
        note = f"{what} of {size} pixels in {count} places, {step} apart, along each axis"
        factors = dict.fromkeys(names, count)
        points = math.prod(factors.values())
        self.spec = Spec(name, (channels, side, side), "binary", points, factors=factors, note=note)
        self.grid = Grid(factors)
        self.spacing, self.placements, self.size = step, count, size
        first = begin + step * torch.arange(count)
        self._lines = {torch.device("cpu"): lines(first, first + size, side)}

    def data_of(self, factors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See `FactorData.data_of`."""
        return self.decoded(self.grid.checked(factors))

    def decoded(self, stored: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The images of factors, drawn where these lie."""
        table = _on(self._lines, stored.device)
        channels, side = self.spec.shape[0], self.spec.shape[1]
        places = table.index_select(0, stored.flatten()).view(len(stored), channels, -1, side)
        across = places[:, :, 0, None, :]
        if places.shape[2] == 1:
            return across.expand(-1, -1, side, -1).contiguous()
        return places[:, :, 1, :, None] * across


@final
class Object(FactorData):
    """One square of several sizes and colours: XYObject, and with `shaded` XYObjectShaded.

    Sizes are 7, 9, 11, 13 and 15 pixels, each at x, y = spacing (place) + (15 - size) / 2. Colours are 6 hues
    (red, yellow, green, cyan, blue, magenta) in 4 shades: 255 k // 4 for k = 1..4. They are one factor of 24
    values, all hues of the darkest shade first; shaded, they are two, intensity and colour.

    Args:
        name: of the set.
        spacing: pixels between neighbouring places.
        shaded: whether intensity is a factor of its own.

    Raises:
        ValueError: for a spacing below 1.
    """

    def __init__(self, name: str = "xyobject", *, spacing: int = 2, shaded: bool = False) -> None:
        if spacing < 1:
            raise ValueError(f"`spacing` is {spacing}; expected 1 or more pixels")
        side, sizes = 64, torch.arange(7, 16, 2)
        count = (side - 15) // spacing + 1
        look = {"intensity": 4, "colour": 6} if shaded else {"colour": 24}
        factors = {"x": count, "y": count, "scale": len(sizes), **look}
        note = f"one square in {count} x {count} places, {spacing} apart, in 5 sizes and 24 colours"
        self.grid = Grid(factors)
        self.spec = Spec(name, (3, side, side), "unit", len(self.grid), 256, factors=factors, note=note)
        first = spacing * torch.arange(count)[:, None] + (15 - sizes) // 2
        hues = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]])
        shades = torch.tensor([255 * k // 4 for k in (1, 2, 3, 4)])
        cpu = torch.device("cpu")
        self._lines = {cpu: lines(first.flatten(), (first + sizes).flatten(), side)}  # place, then size
        self._colours = {cpu: (shades[:, None, None] * hues).flatten(0, 1).float() / 255}

    def data_of(self, factors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See `FactorData.data_of`."""
        return self.decoded(self.grid.checked(factors))

    def decoded(self, stored: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The images of factors, drawn where these lie."""
        table, colours = (_on(each, stored.device) for each in (self._lines, self._colours))
        x, y, scale = stored[:, :3].unbind(1)
        colour = stored[:, 3] if stored.shape[1] == 4 else stored[:, 3] * 6 + stored[:, 4]
        across, down = (table.index_select(0, place * 5 + scale) for place in (x, y))
        square = down[:, None, :, None] * across[:, None, None, :]
        return square * colours.index_select(0, colour)[:, :, None, None]


def _on(tables: dict[torch.device, Tensor], device: torch.device) -> Tensor:
    """A table on a device, copied there once."""
    if device not in tables:
        tables[device] = tables[torch.device("cpu")].to(device)
    return tables[device]
