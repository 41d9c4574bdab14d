"""Data that fit into memory: arrays on one device, batched by index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import final

import torch
from torch import Tensor

from vaekit.data.batch import (
    Batch,
    Data,
    Splits,
    batch_count,
    checked_index,
    epoch_order,
    known_rows,
    moved,
    noise_seed,
    partly_known,
    take_seed,
)
from vaekit.data.decode import Decoder
from vaekit.data.spec import Spec

__all__ = ["ArrayData", "Batch", "Data", "Splits"]


@final
class ArrayData:
    """Arrays on a device as they are: uint8 stays uint8 until it is in a batch.

    Args:
        spec: what the data say of themselves.
        x: stored values, (N, *shape). In a `unit` set uint8 values are levels, 0 .. levels-1.
        y: labels, (N,) integers, if there are any; -1 where a label is unknown. Labelled data are then spread
            evenly over the batches of an epoch.
        c: conditions, (N, *context), if there are any.
        factors: ground-truth factor values, (N, F) integers, if there are any.
        theta: continuous ground-truth parameters, (N, P), if there are any; rows of NaN where they are
            unknown. The known ones are then spread evenly over the batches, like labels.
        binarise: draw every pixel anew in every batch, on with probability equal to its grey level.
        visible: number of elements, the last ones of each row of `x`, that become the condition `c` instead
            (then `x` is (N, hidden + visible)); one binarised picture serves both.

    Raises:
        ValueError: if the arrays do not fit the spec or each other.
    """

    def __init__(
        self,
        spec: Spec,
        x: Tensor,
        y: Tensor | None = None,
        c: Tensor | None = None,
        factors: Tensor | None = None,
        binarise: bool = False,
        visible: int = 0,
        theta: Tensor | None = None,
    ) -> None:
        expected = (spec.dimensions + visible,) if visible else spec.shape
        if tuple(x.shape[1:]) != expected:
            raise ValueError(f"`x` holds data of shape {tuple(x.shape[1:])}; the spec expects {expected}")
        if len(x) == 0:
            raise ValueError("`x` is empty; expected one datum or more")
        if binarise and spec.kind != "binary":
            raise ValueError(f"`binarise` makes binary data, but the spec says {spec.kind}")
        if visible and c is not None:
            raise ValueError("`visible` elements are the condition; expected no `c` beside them")
        for name, array in (("y", y), ("c", c), ("factors", factors), ("theta", theta)):
            if array is not None and len(array) != len(x):
                raise ValueError(f"`{name}` has {len(array)} rows, `x` has {len(x)}: expected equal numbers")
        if c is not None and tuple(c.shape[1:]) != spec.context:
            raise ValueError(
                f"`c` holds conditions of shape {tuple(c.shape[1:])}; the spec expects {spec.context}"
            )
        self.spec = spec
        self.x = x.contiguous()
        self.y = None if y is None else y.long()
        self.theta = None if theta is None else theta.float()
        known = None if self.theta is None else known_rows(self.theta, spec)
        self.known = partly_known(self.y, spec) if known is None else known
        self.c = None if c is None else c.float()
        self.factors = None if factors is None else factors.long()
        self.binarise = binarise
        self.visible = visible

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        what = f"{len(self)} x {self.spec.shape}, {self.spec.kind}"
        return f"ArrayData({self.spec.name!r}, {what}, {self.device})"

    @property
    def device(self) -> torch.device:
        """Where the arrays lie."""
        return self.x.device

    def _map(self, change: Callable[[Tensor], Tensor]) -> ArrayData:
        y, c, factors, theta = (
            None if array is None else change(array) for array in (self.y, self.c, self.factors, self.theta)
        )
        return ArrayData(self.spec, change(self.x), y, c, factors, self.binarise, self.visible, theta)

    def to(self, device: torch.device | str) -> ArrayData:
        """The same data on another device."""
        return self._map(lambda array: array.to(device))

    def subset(self, index: Tensor | Sequence[int]) -> ArrayData:
        """The data of the given numbers, in this order."""
        numbers = checked_index(index, len(self)).to(self.device)
        return self._map(lambda array: array.index_select(0, numbers))

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
        order = None
        if shuffle:
            order = epoch_order(len(self), seed=seed, epoch=epoch, known=self.known).to(self.device)
        decode = Decoder(self.spec, self.binarise, self.visible)
        generator = torch.Generator(device) if self.binarise else None
        away = device != self.device
        for number in numbers:
            place = slice(number * size, (number + 1) * size)
            index = None if order is None else order[place]
            stored = {
                name: array[place].clone() if index is None else array.index_select(0, index)
                for name, array in self._arrays
            }
            if away:  # as stored: uint8 is a quarter of the traffic
                stored = {name: moved(array, device) for name, array in stored.items()}
            if generator is not None:
                generator.manual_seed(noise_seed(seed, epoch, number))
            yield {**stored, **decode(stored["x"], generator)}

    @property
    def _arrays(self) -> list[tuple[str, Tensor]]:
        known = (("y", self.y), ("c", self.c), ("factors", self.factors), ("theta", self.theta))
        named = (("x", self.x), *known)
        return [(name, array) for name, array in named if array is not None]

    def take(self, index: Tensor | Sequence[int], *, seed: int = 0) -> Batch:
        """The data of the given numbers, in this order, on the device of the data."""
        numbers = checked_index(index, len(self)).to(self.device)
        generator = torch.Generator(self.device).manual_seed(take_seed(seed)) if self.binarise else None
        stored = {name: array.index_select(0, numbers) for name, array in self._arrays}
        return {**stored, **Decoder(self.spec, self.binarise, self.visible)(stored["x"], generator)}
