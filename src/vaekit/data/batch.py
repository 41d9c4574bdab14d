"""Batches, the protocol that every source of them follows, and the random numbers behind them.

The content of batch number i is a pure function of the data, the size, the seed, the epoch and i: the order
    is a
permutation seeded by (seed, epoch), and randomness of the data is seeded by (seed, epoch, i). Neither depends
on what was drawn before, so a run that stops in the middle of an epoch continues exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaekit.data.spec import Spec

Batch = dict[str, Tensor]
"""`x` (B, *shape) float32; where there are any: labels `y` (B,) int64 (-1 where unknown), conditions `c`
(B, *context) float32, ground truth `factors` (B, F) int64 or `theta` (B, P) float32 (NaN where unknown), and
`partner` (B, *shape) that shares most factors with `x`."""


@runtime_checkable
class Data(Protocol):
    """What the trainer and the metrics need of a data set."""

    spec: Spec

    def __len__(self) -> int:
        """Number of data."""

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
        """One epoch of batches; the last may be smaller, none is dropped.

        Args:
            size: number of data per batch, B.
            seed: of the order and of the randomness in the data (dynamic binarisation).
            epoch: number of the epoch; another epoch has another order.
            start: number of batches to leave out at the beginning, without producing them.
            shuffle: a seeded permutation, or the order of the data.
            device: where the batches go. The order is the same everywhere; dynamic binarisation uses the
                device's own generator, so its draws differ between kinds of devices.
        """

    def take(self, index: Tensor | Sequence[int], *, seed: int = 0) -> Batch:
        """The data of the given numbers, in this order, on the device of the data."""


@dataclass(frozen=True)
class Splits:
    """Training, validation and test data of one set."""

    train: Data
    valid: Data
    test: Data

    @property
    def spec(self) -> Spec:
        """What the training data say of themselves."""
        return self.train.spec

    @property
    def held_out(self) -> tuple[str, Data]:
        """What a trained model is looked at with: test data, or validation data where there are none."""
        return ("test", self.test) if len(self.test) else ("validation", self.valid)


def mix(*numbers: int) -> int:
    """One well-spread seed in 0..2^63-1 from several integers (splitmix64 steps)."""
    state = 0
    for number in numbers:
        state = (state ^ (number & 0xFFFFFFFFFFFFFFFF)) + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        state = (state ^ state >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    # torch's CPU generator looks at the low 32 bits only: fold the high ones in.
    return (state ^ state >> 32) & 0x7FFFFFFFFFFFFFFF


_ORDER, _NOISE, _TAKE = 1, 2, 3  # keep the streams of one seed apart


def epoch_order(count: int, *, seed: int, epoch: int, known: Tensor | None = None) -> Tensor:
    """The permutation of one epoch: (count,) int64, on the CPU.

    Args:
        count: number of data.
        seed, epoch: of the permutation.
        known: whether the label of each datum is known, (count,), where some are not. Both kinds are then
            spread evenly, each in its own random order: any B neighbours hold B N_l / N labelled data,
            rounded up or down, so that every batch has the right ratio (some have none, where B N_l < N).
    """
    generator = torch.Generator().manual_seed(mix(_ORDER, seed, epoch))
    if known is None:
        return torch.randperm(count, generator=generator)
    known = known.cpu()
    labelled, rest = (
        part[torch.randperm(len(part), generator=generator)]
        for part in (known.nonzero().squeeze(1), (~known).nonzero().squeeze(1))
    )
    phase = torch.rand((), generator=generator).double()  # of 24 bits, so that no sum is rounded up to N_l
    # N / N_l >= 1 apart, so that no two fall on one place
    places = ((torch.arange(len(labelled)) + phase) * (count / max(1, len(labelled)))).long()
    order = torch.empty(count, dtype=torch.long)
    free = torch.ones(count, dtype=torch.bool)
    free[places] = False
    order[places], order[free] = labelled, rest
    return order


def partly_known(y: Tensor | None, spec: Spec) -> Tensor | None:
    """Whether the label of each datum is known, (N,), or None where all are or there is none.

    Raises:
        ValueError: for a label that is neither a class of the spec nor -1.
    """
    if y is None or not len(y):
        return None
    least, most = int(y.min()), int(y.max())
    if least < -1 or (spec.classes is not None and most >= spec.classes):
        wrong = least if least < -1 else most
        classes = "a class" if spec.classes is None else f"0..{spec.classes - 1}"
        raise ValueError(f"`y` holds {wrong}; expected {classes}, or -1 where the label is unknown")
    return None if least >= 0 else y >= 0


def known_rows(theta: Tensor, spec: Spec) -> Tensor | None:
    """Whether the parameters of each datum are known, (N,), or None where all are.

    Raises:
        ValueError: if there are not as many as the spec names, or a datum has some of them.
    """
    names = spec.theta or ()
    if theta.shape[1:] != (len(names),):
        raise ValueError(
            f"`theta` has shape {tuple(theta.shape)}; expected ({len(theta)}, {len(names)}), a column for "
            f"each of the parameters {names} of the spec"
        )
    unknown = theta.isnan()
    if bool((unknown.any(1) != unknown.all(1)).any()):
        raise ValueError("`theta` holds data with some of their parameters; expected all, or NaN for all")
    return ~unknown[:, 0] if bool(unknown.any()) else None


def shuffled(count: int, seed: int) -> NDArray[np.int64]:
    """A permutation that splits are cut from: (count,)."""
    return np.random.Generator(np.random.PCG64(mix(seed))).permutation(count).astype(np.int64)


def noise_seed(seed: int, epoch: int, number: int) -> int:
    """Seed of the randomness in batch `number`."""
    return mix(_NOISE, seed, epoch, number)


def take_seed(seed: int) -> int:
    """Seed of the randomness in `take`."""
    return mix(_TAKE, seed)


def batch_count(count: int, size: int, start: int) -> range:
    """Numbers of the batches from `start` on.

    Raises:
        ValueError: unless `size` is positive and `start` is not negative.
    """
    if size < 1:
        raise ValueError(f"`size` is {size}; expected a batch size of 1 or more")
    if start < 0:
        raise ValueError(f"`start` is {start}; expected a number of batches to leave out, 0 or more")
    return range(start, -(-count // size))


def checked_index(index: Tensor | Sequence[int], count: int) -> Tensor:
    """`index` as (B,) int64, checked against the number of data.

    Raises:
        TypeError: if the index is not one row of integers.
        IndexError: for a number outside 0..count-1.
    """
    numbers = torch.as_tensor(index)
    if numbers.numel() == 0:
        numbers = numbers.long()
    if numbers.ndim != 1 or numbers.is_floating_point() or numbers.dtype == torch.bool:
        raise TypeError(f"`index` is {tuple(numbers.shape)} of {numbers.dtype}; expected integers, (B,)")
    numbers = numbers.long()
    if numbers.numel() and not (int(numbers.min()) >= 0 and int(numbers.max()) < count):
        wrong = int(numbers[(numbers < 0) | (numbers >= count)][0])
        raise IndexError(f"`index` holds {wrong}, but there are {count} data: expected 0..{count - 1}")
    return numbers


def moved(array: Tensor, device: torch.device) -> Tensor:
    """`array` on `device`, without waiting where that is safe: a copy towards the CPU must be complete."""
    return array.to(device, non_blocking=device.type == "cuda")
