"""Batches of ground truth: the points of a grid in a seeded order, each with its factors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from vaekit.data.batch import (
    Batch,
    Splits,
    batch_count,
    checked_index,
    epoch_order,
    moved,
    noise_seed,
    shuffled,
    take_seed,
)
from vaekit.data.factors import FactorData
from vaekit.data.spec import Spec
from vaekit.errors import UserError

MOST = 1 << 28
"""Grid points that an epoch may have; their order takes 8 bytes for each."""

SAMPLE = 10_000
"""Grid points for each of validation and test, where the grid has at least three times as many."""


@final
class GridData:
    """Any `FactorData` as batches to train on: one epoch visits every point once, in a seeded order.

    What is drawn beside the factors (a colour, a background, an instance) is drawn anew at every visit, as a
    function of seed, epoch and number of the batch. The study of Locatello et al. draws points with
    replacement instead.

    Args:
        source: where the data come from.
        points: which points of its grid, (M,) integers, in which order; all of them by default.
        spec: what these data say of themselves; by default what the source says.

    Raises:
        ValueError: without points, or for one that is not on the grid.
    """

    def __init__(self, source: FactorData, points: Tensor | None = None, spec: Spec | None = None) -> None:
        if points is not None:
            if len(points) == 0:
                raise ValueError("`points` is empty; expected one point of the grid or more")
            if not (int(points.min()) >= 0 and int(points.max()) < len(source.grid)):
                raise ValueError(
                    f"`points` holds {int(points.min())}..{int(points.max())}; expected 0.."
                    f"{len(source.grid) - 1}, the points of the grid"
                )
            points = points.long().to(source.device)
        self.source, self.points, self.spec = source, points, spec or source.spec

    def __len__(self) -> int:
        return len(self.source.grid) if self.points is None else len(self.points)

    def __repr__(self) -> str:
        what = f"{len(self)} x {self.spec.shape}, {self.spec.kind}"
        return f"GridData({self.spec.name!r}, {what}, {self.device})"

    @property
    def device(self) -> torch.device:
        """Where the source's data lie."""
        return self.source.device

    def to(self, device: torch.device | str) -> GridData:
        """The same data on another device."""
        return GridData(self.source.to(device), self.points, self.spec)

    def subset(self, index: Tensor | Sequence[int]) -> GridData:
        """The data of the given numbers, in this order."""
        return GridData(self.source, self._points(checked_index(index, len(self))), self.spec)

    def _points(self, numbers: Tensor) -> Tensor:
        numbers = numbers.to(self.device)
        return numbers if self.points is None else self.points.index_select(0, numbers)

    def _made(self, points: Tensor, device: torch.device, generator: torch.Generator | None) -> Batch:
        stored = moved(self.source.stored(points), device)  # bits and bytes are the smaller load
        factors = self.source.grid.factors_of(moved(points, device))
        return {"x": self.source.decoded(stored, generator).to(device), "factors": factors}

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
        generator = torch.Generator(device) if self.source.noisy else None
        for number in numbers:
            if generator is not None:
                generator.manual_seed(noise_seed(seed, epoch, number))
            yield self._made(self._points(order[number * size : (number + 1) * size]), device, generator)

    def take(self, index: Tensor | Sequence[int], *, seed: int = 0) -> Batch:
        """The data of the given numbers, in this order, on the device of the source.

        `seed` is of what is drawn beside the factors; without such noise it has no effect.
        """
        generator = None
        if self.source.noisy:
            generator = torch.Generator(self.device).manual_seed(take_seed(seed))
        return self._made(self._points(checked_index(index, len(self))), self.device, generator)


def grid_splits(source: FactorData, *, seed: int = 0, limit: int | None = None) -> Splits:
    """Ground truth to train on: the whole grid, or `limit` random points of it.

    There is no split, as is usual: validation and test are seeded samples of the same grid, and of a grid of
    fewer than 30,000 points they are the grid itself.

    Args:
        source: of the data.
        seed: of the samples.
        limit: most data in each of the three.

    Raises:
        UserError: for a grid whose points are too many to be put into an order.
    """
    count = len(source.grid)
    if count > MOST:
        raise UserError(
            f"{source.spec.name} has {count:,} grid points; expected at most {MOST:,}: take fewer values of "
            "its factors (`placements`)"
        )
    order = torch.from_numpy(shuffled(count, seed))
    whole = "training: the whole factor grid, without a split, as is usual"
    part = whole if limit is None else f"training: {min(limit, count)} random grid points by seed {seed}"
    if count < 3 * SAMPLE:
        valid = test = torch.arange(count) if limit is None else order[:limit]
        sample = "validation and test: the same"
    else:
        valid, test = order[-SAMPLE:][:limit], order[-2 * SAMPLE : -SAMPLE][:limit]
        sample = f"validation and test: {len(valid)} grid points each by seed {seed}"
    note = "; ".join(words for words in (source.spec.note, part, sample) if words)
    size = count if limit is None else min(limit, count)
    spec = replace(source.spec, size=size, note=note)
    train = GridData(source, None if limit is None else order[:limit], spec)
    return Splits(train, GridData(source, valid, spec), GridData(source, test, spec))
