"""Binary images kept as bits, each with its ground-truth factors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from vaekit.data.batch import Batch, batch_count, checked_index, epoch_order, moved
from vaekit.data.spec import Spec


@final
class PackedGrid:
    """Binary images of a factor grid at one bit a pixel, unpacked per batch on the device where they lie.

    Args:
        spec: with `factors`, and a number of elements that 8 divides.
        packed: bits of the images, (M, elements / 8) uint8; bit k of byte j is element 8 j + k.
        points: the grid point of each row of `packed`, (M,) integers; row m is point m by default. The last
            factor of the spec runs fastest.

    Raises:
        ValueError: if the parts do not fit each other.
    """

    def __init__(self, spec: Spec, packed: Tensor, points: Tensor | None = None) -> None:
        if spec.factors is None or spec.kind != "binary":
            raise ValueError(
                f"a grid needs binary data and `factors`; the spec says {spec.kind}, {spec.factors}"
            )
        if packed.dtype != torch.uint8 or packed.ndim != 2 or 8 * packed.shape[1] != spec.dimensions:
            raise ValueError(
                f"`packed` is {tuple(packed.shape)} of {packed.dtype}; expected (N, D / 8) of uint8 for D = "
                f"{spec.dimensions}"
            )
        if points is not None and len(points) != len(packed):
            raise ValueError(
                f"`points` has {len(points)} rows, `packed` {len(packed)}: expected equal numbers"
            )
        if len(packed) == 0:
            raise ValueError("the grid is empty; expected one datum or more")
        self.spec, self.packed, self.points = spec, packed, points
        sizes = list(spec.factors.values())
        strides = [math.prod(sizes[k + 1 :]) for k in range(len(sizes))]
        self._steps = torch.tensor([sizes, strides], device=packed.device)

    def __len__(self) -> int:
        return len(self.packed)

    def __repr__(self) -> str:
        return f"PackedGrid({self.spec.name!r}, {len(self)} x {self.spec.shape}, binary, {self.device})"

    @property
    def device(self) -> torch.device:
        """Where the bits lie."""
        return self.packed.device

    def to(self, device: torch.device | str) -> PackedGrid:
        """The same data on another device."""
        points = None if self.points is None else self.points.to(device)
        return PackedGrid(self.spec, self.packed.to(device), points)

    def subset(self, index: Tensor | Sequence[int]) -> PackedGrid:
        """The data of the given numbers, in this order."""
        numbers = checked_index(index, len(self)).to(self.device)
        points = numbers if self.points is None else self.points.index_select(0, numbers)
        return PackedGrid(self.spec, self.packed.index_select(0, numbers), points)

    def _stored(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Bits and grid points of the given numbers."""
        points = numbers if self.points is None else self.points.index_select(0, numbers)
        return self.packed.index_select(0, numbers), points.long()

    def _decoded(self, bits: Tensor, points: Tensor) -> Batch:
        if bits.device.type == "cpu":
            x = torch.from_numpy(np.unpackbits(bits.numpy(), axis=1, bitorder="little")).float()
        else:
            shift = torch.arange(8, dtype=torch.uint8, device=bits.device)
            x = (bits[:, :, None] >> shift & 1).float()
        sizes, strides = self._steps.to(bits.device, non_blocking=True)
        factors = points[:, None].div(strides, rounding_mode="floor").remainder(sizes)
        return {"x": x.view(-1, *self.spec.shape), "factors": factors}

    def batches(
        self,
        size: int,
        *,
        seed: int,
        epoch: int = 0,
        start: int = 0,
        shuffle: bool = True,
        device: torch.device | str = "cpu",
    ) -> Iterator[Batch]:
        """One epoch of batches; see `Data.batches`."""
        numbers = batch_count(len(self), size, start)
        return self._produce(numbers, size, seed, epoch, shuffle, torch.device(device))

    def _produce(
        self, numbers: range, size: int, seed: int, epoch: int, shuffle: bool, device: torch.device
    ) -> Iterator[Batch]:
        order = epoch_order(len(self), seed=seed, epoch=epoch) if shuffle else torch.arange(len(self))
        order = order.to(self.device)
        for number in numbers:
            bits, points = self._stored(order[number * size : (number + 1) * size])
            yield self._decoded(moved(bits, device), moved(points, device))  # bits are the smaller load

    def take(self, index: Tensor | Sequence[int], *, seed: int = 0) -> Batch:
        """The data of the given numbers, in this order, on the device of the data.

        Nothing in these images is random: `seed` is part of the protocol and has no effect.
        """
        return self._decoded(*self._stored(checked_index(index, len(self)).to(self.device)))
