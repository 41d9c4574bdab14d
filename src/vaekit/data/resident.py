"""Ground truth that lies in memory: bits of binary images, bytes of grey and coloured ones."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from torch import Tensor

from vaekit.data.factors import FactorData, Grid, drawn_by
from vaekit.data.spec import Spec


def unpacked(bits: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Binary images from their bits: (B, D / 8) uint8 -> {0, 1}, (B, *shape) float32.

    Bit k of byte j is element 8 j + k.
    """
    if bits.device.type == "cpu":
        x = torch.from_numpy(np.unpackbits(bits.numpy(), axis=1, bitorder="little")).float()
    else:
        shift = torch.arange(8, dtype=torch.uint8, device=bits.device)
        x = (bits[:, :, None] >> shift & 1).float()
    return x.view(-1, *shape)


def grid_of(spec: Spec, count: int, each: str) -> Grid:
    """The grid of a spec, if there are as many rows as points.

    Raises:
        ValueError: if the spec has no factors, or another number of points.
    """
    if spec.factors is None:
        raise ValueError(f"the spec of {spec.name} has no `factors`; expected ground truth")
    grid = Grid(spec.factors)
    if len(grid) != count:
        raise ValueError(f"got {count} {each}; expected {len(grid)}, one for each point of the grid")
    return grid


@final
class PackedImages(FactorData):
    """Binary images of a whole grid at one bit a pixel, unpacked per batch on the device where it goes.

    Args:
        spec: with `factors`, and a number of elements that 8 divides.
        packed: bits of the images in the order of the grid, (N, D / 8) uint8; see `unpacked`.

    Raises:
        ValueError: if the parts do not fit each other.
    """

    def __init__(self, spec: Spec, packed: Tensor) -> None:
        if spec.kind != "binary":
            raise ValueError(f"bits are binary data; the spec says {spec.kind}")
        if packed.dtype != torch.uint8 or packed.ndim != 2 or 8 * packed.shape[1] != spec.dimensions:
            raise ValueError(
                f"`packed` is {tuple(packed.shape)} of {packed.dtype}; expected (N, D / 8) of uint8 for D = "
                f"{spec.dimensions}"
            )
        self.spec, self.packed = spec, packed
        self.grid = grid_of(spec, len(packed), "rows of `packed`")

    @property
    def device(self) -> torch.device:
        """Where the bits lie."""
        return self.packed.device

    def to(self, device: torch.device | str) -> PackedImages:
        """The same data on another device."""
        return PackedImages(self.spec, self.packed.to(device))

    def data_of(self, factors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See `FactorData.data_of`."""
        return self.at(self.grid.index_of(self.grid.checked(factors).to(self.device)))

    def stored(self, index: Tensor) -> Tensor:
        """Bits: (N,) -> (N, D / 8) uint8."""
        return self.packed.index_select(0, index)

    def decoded(self, stored: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See `unpacked`."""
        return unpacked(stored, self.spec.shape)

    def parts(self, points: Tensor | None) -> tuple[Tensor | None, ...]:
        """The bits, and which points they are of."""
        return self.packed if points is None else self.stored(points), points


@final
class ByteImages(FactorData):
    """Grey or coloured images of a whole grid in 8 bits, as they are until they are in a batch.

    Args:
        spec: of kind `unit` with 256 levels, and with `factors`.
        x: bytes, (N, *shape) uint8, in the order of the grid; with several copies (N, copies, *shape).
        copies: number of images of each point. Which of them is seen is no factor: it is drawn, uniformly,
            at every visit.

    Raises:
        ValueError: if the parts do not fit each other.
    """

    def __init__(self, spec: Spec, x: Tensor, copies: int = 1) -> None:
        expected = spec.shape if copies == 1 else (copies, *spec.shape)
        if x.dtype != torch.uint8 or tuple(x.shape[1:]) != expected or spec.levels != 256:
            raise ValueError(
                f"`x` is {tuple(x.shape)} of {x.dtype} with {spec.levels} levels; expected (N, "
                f"{', '.join(map(str, expected))}) of uint8 with 256"
            )
        self.spec, self.x, self.copies, self.noisy = spec, x, copies, copies > 1
        self.grid = grid_of(spec, len(x), "images")

    @property
    def device(self) -> torch.device:
        """Where the bytes lie."""
        return self.x.device

    def to(self, device: torch.device | str) -> ByteImages:
        """The same data on another device."""
        return ByteImages(self.spec, self.x.to(device), self.copies)

    def data_of(self, factors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See `FactorData.data_of`."""
        return self.at(self.grid.index_of(self.grid.checked(factors).to(self.device)), generator)

    def stored(self, index: Tensor) -> Tensor:
        """Bytes, (N,) -> (N, *shape); with several copies the numbers themselves."""
        return index if self.noisy else self.x.index_select(0, index)

    def decoded(self, stored: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Bytes over 255, (N, *shape) float32 in [0, 1]."""
        if not self.noisy:
            return stored.float().div_(255)
        drawn = drawn_by(generator, self.spec.name)
        copy = torch.randint(self.copies, stored.shape, generator=drawn, device=drawn.device)
        rows = stored * self.copies + copy.to(stored.device)
        seen = self.x.flatten(0, 1).index_select(0, rows.to(self.device))
        return seen.to(stored.device).float().div_(255)

    def parts(self, points: Tensor | None) -> tuple[Tensor | None, ...]:
        """The bytes, and which points are seen."""
        return self.x, points
