"""Data larger than memory: read from disk while the trainer works on the batch before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaekit.data.batch import (
    Batch,
    batch_count,
    checked_index,
    epoch_order,
    moved,
    noise_seed,
    partly_known,
    take_seed,
)
from vaekit.data.decode import Decoder
from vaekit.data.spec import Spec


class Source(Protocol):
    """Stored values on disk."""

    def __len__(self) -> int:
        """Number of data."""

    def read(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Data of the given numbers, (B, ...); called by several threads at once."""


@final
class MappedArray:
    """An array as a source, memory-mapped or not.

    Args:
        array: (N, ...).
        shape: of one datum as it is handed out.
        axes: permutation of the axes of a batch, if any.
        dtype: of the values as they are handed out.
        offset, scale: constants per column; values become (value - offset) / scale.
    """

    def __init__(
        self,
        array: NDArray[Any],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        axes: tuple[int, ...] | None = None,
        offset: NDArray[np.float64] | None = None,
        scale: NDArray[np.float64] | None = None,
    ) -> None:
        self.array, self.shape, self.dtype, self.axes = array, shape, dtype, axes
        self.offset, self.scale = offset, scale

    def __len__(self) -> int:
        return len(self.array)

    def read(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Rows of the given numbers, read from disk in the order in which they lie there."""
        if isinstance(self.array, np.memmap):
            order = np.argsort(index, kind="stable")
            found = self.array[index[order]]
            values = np.empty_like(found)
            values[order] = found
        else:
            values = self.array[index]
        if self.axes is not None:
            values = values.transpose(self.axes)
        if self.offset is not None and self.scale is not None:
            values = (values - self.offset) / self.scale
        return np.ascontiguousarray(values.reshape(-1, *self.shape), dtype=self.dtype)


@final
class Thresholded:
    """A source of grey levels as one of binary pixels: on from `level` upwards."""

    def __init__(self, source: Source, level: float) -> None:
        self.source, self.level = source, level

    def __len__(self) -> int:
        return len(self.source)

    def read(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Data of the given numbers, in {0, 1}."""
        return (self.source.read(index) >= self.level).astype(np.uint8)


@final
class StreamData:
    """Data on disk, read and decoded ahead by threads.

    Reading files and decoding pictures release Python's lock, so threads are enough.

    Args:
        spec: what the data say of themselves.
        source: the stored values.
        index: which of them, in which order; all by default.
        y, c, factors: as for `ArrayData`, one row for each number of `index`, in memory.
        binarise: draw every pixel anew in every batch, on with probability equal to its grey level.
        visible: number of elements of a datum that become the condition; `columns` brings them to the end.
        columns: order of the elements of a flat datum, hidden ones first.
        workers: number of threads.
        ahead: number of batches in work beyond the one that is handed out.

    Raises:
        ValueError: if the parts do not fit each other.
    """

    def __init__(
        self,
        spec: Spec,
        source: Source,
        *,
        index: NDArray[np.int64] | None = None,
        y: Tensor | None = None,
        c: Tensor | None = None,
        factors: Tensor | None = None,
        binarise: bool = False,
        visible: int = 0,
        columns: NDArray[np.int64] | None = None,
        workers: int = 2,
        ahead: int = 4,
    ) -> None:
        self.index = np.arange(len(source)) if index is None else np.asarray(index, dtype=np.int64)
        if len(self.index) == 0:
            raise ValueError("`index` is empty; expected one datum or more")
        for name, array in (("y", y), ("c", c), ("factors", factors)):
            if array is not None and len(array) != len(self.index):
                raise ValueError(
                    f"`{name}` has {len(array)} rows, the data {len(self.index)}: expected equal numbers"
                )
        if workers < 1 or ahead < 1:
            raise ValueError(f"`workers` is {workers} and `ahead` is {ahead}; expected 1 or more")
        self.spec, self.source = spec, source
        self.y = None if y is None else y.long()
        self.known = partly_known(self.y, spec)
        self.c = None if c is None else c.float()
        self.factors = None if factors is None else factors.long()
        self.binarise, self.visible, self.columns = binarise, visible, columns
        self.workers, self.ahead = workers, ahead

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        return f"StreamData({self.spec.name!r}, {len(self)} x {self.spec.shape}, {self.spec.kind}, on disk)"

    @property
    def device(self) -> torch.device:
        """Where `take` puts its batch: the CPU."""
        return torch.device("cpu")

    def subset(self, index: Tensor | Sequence[int]) -> StreamData:
        """The data of the given numbers, in this order."""
        numbers = checked_index(index, len(self)).cpu()
        y, c, factors = (
            None if array is None else array[numbers] for array in (self.y, self.c, self.factors)
        )
        return StreamData(
            self.spec,
            self.source,
            index=self.index[numbers.numpy()],
            y=y,
            c=c,
            factors=factors,
            binarise=self.binarise,
            visible=self.visible,
            columns=self.columns,
            workers=self.workers,
            ahead=self.ahead,
        )

    def _stored(self, numbers: Tensor, pin: bool) -> Batch:
        values = self.source.read(self.index[numbers.numpy()])
        if self.columns is not None:
            values = values.reshape(len(values), -1)[:, self.columns]
        batch = {"x": torch.from_numpy(values)}
        for name, array in (("y", self.y), ("c", self.c), ("factors", self.factors)):
            if array is not None:
                batch[name] = array[numbers]
        return {name: array.pin_memory() for name, array in batch.items()} if pin else batch

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
        order = torch.arange(len(self))
        if shuffle:
            order = epoch_order(len(self), seed=seed, epoch=epoch, known=self.known)
        decode = Decoder(self.spec, self.binarise, self.visible)
        generator = torch.Generator(device) if self.binarise else None
        pin = device.type == "cuda"
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="vaekit-data")
        try:
            waiting: deque[Future[Batch]] = deque()
            left = iter(numbers)
            for number in numbers:
                while len(waiting) <= self.ahead and (following := next(left, None)) is not None:
                    part = order[following * size : (following + 1) * size]
                    waiting.append(pool.submit(self._stored, part, pin))
                stored = waiting.popleft().result()
                stored = {name: moved(array, device) for name, array in stored.items()}
                if generator is not None:
                    generator.manual_seed(noise_seed(seed, epoch, number))
                yield {**stored, **decode(stored["x"], generator)}
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def take(self, index: Tensor | Sequence[int], *, seed: int = 0) -> Batch:
        """The data of the given numbers, in this order."""
        stored = self._stored(checked_index(index, len(self)).cpu(), pin=False)
        generator = torch.Generator().manual_seed(take_seed(seed)) if self.binarise else None
        return {**stored, **Decoder(self.spec, self.binarise, self.visible)(stored["x"], generator)}
