"""Weak supervision: every datum comes with a partner that shares most of its factors, nobody says which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from vaekit.data.batch import Batch, Data, Splits, batch_count, mix, moved, take_seed
from vaekit.data.factors import FactorData, Grid
from vaekit.data.spec import Pairs, check_pairs

_PARTNER = 4  # keeps this stream of a seed apart from those of the data


def kept_factors(n: int, grid: Grid, pairs: Pairs, generator: torch.Generator) -> Tensor:
    """Which factors of n pairs are shared: (n, F) bool, on the device of the generator.

    Args:
        n: number of pairs.
        grid: of the factors; those with one value are always shared.
        pairs: how many of the others are not; which ones is drawn for each pair.
        generator: of the draws.
    """
    check_pairs(pairs, dict(zip(grid.names, grid.sizes, strict=True)))
    place = generator.device
    varying = torch.tensor([size > 1 for size in grid.sizes], device=place)
    most = sum(size > 1 for size in grid.sizes)
    if pairs == "uniform":
        count = torch.randint(1, most, (n, 1), generator=generator, device=place)
    else:
        count = torch.full((n, 1), pairs, device=place)
    lots = torch.rand(n, len(grid.sizes), generator=generator, device=place)
    rank = torch.where(varying, lots, 2.0).argsort(1).argsort(1)
    return rank >= count


@final
class PairData:
    """Data with partners: beside each `x` a batch has `partner`, (B, *shape).

    The partner is made of the same factors, but for some that are drawn anew from all their values; which
    ones, and how many, nobody is told. It may be any point of the grid, also where the data are a sample of
    it. Partners are drawn anew at every visit of a datum, as a function of
    seed, epoch and number of the batch, on the generator of the device that the batches go to.

    Args:
        data: whose batches have `factors`.
        world: makes the partners.
        pairs: number of factors drawn anew, or "uniform" for 1 to all but one of them.

    Raises:
        ValueError: if the data are no data of this world, or the pairs would share all or nothing.
    """

    def __init__(self, data: Data, world: FactorData, pairs: Pairs) -> None:
        if data.spec.factors != world.spec.factors or data.spec.shape != world.spec.shape:
            raise ValueError(
                f"{data.spec.name} has factors {data.spec.factors} and shape {data.spec.shape}; expected "
                f"{world.spec.factors} and {world.spec.shape}, as {world.spec.name} has, which makes partners"
            )
        check_pairs(pairs, data.spec.factors)
        self.spec = replace(data.spec, pairs=pairs)
        self.data, self.world, self.pairs = data, world, pairs

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"PairData({self.data!r}, pairs={self.pairs!r})"

    @property
    def device(self) -> torch.device:
        """Where the partners come from."""
        return self.world.device

    def to(self, device: torch.device | str) -> PairData:
        """The same data on another device."""
        move = getattr(self.data, "to", None)  # a stream lies nowhere
        data: Data = self.data if move is None else move(device)
        return PairData(data, self.world.to(device), self.pairs)

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
        source = self.data.batches(size, seed=seed, epoch=epoch, start=start, shuffle=shuffle, device=device)
        return self._produce(source, numbers, seed, epoch, torch.device(device))

    def _produce(
        self, source: Iterator[Batch], numbers: range, seed: int, epoch: int, device: torch.device
    ) -> Iterator[Batch]:
        generator = torch.Generator(device)
        for number, batch in zip(numbers, source, strict=True):
            generator.manual_seed(mix(_PARTNER, seed, epoch, number))
            yield self._with_partners(batch, generator)

    def _with_partners(self, batch: Batch, generator: torch.Generator) -> Batch:
        factors = batch["factors"]
        kept = kept_factors(len(factors), self.world.grid, self.pairs, generator)
        points = self.world.grid.index_of(self.world.grid.resample(factors, kept, generator))
        stored = moved(self.world.stored(points.to(self.world.device)), batch["x"].device)
        return {**batch, "partner": self.world.decoded(stored, generator)}

    def take(self, index: Tensor | Sequence[int], *, seed: int = 0) -> Batch:
        """The data of the given numbers with their partners, in this order, on the device of the data."""
        batch = self.data.take(index, seed=seed)
        generator = torch.Generator(batch["x"].device).manual_seed(mix(_PARTNER, take_seed(seed)))
        return self._with_partners(batch, generator)


def paired(splits: Splits, world: FactorData, pairs: Pairs) -> Splits:
    """Training, validation and test data with partners; see `PairData`.

    >>> from vaekit.worlds import mini_sprites
    >>> world = mini_sprites()
    >>> batch = paired(world.splits(), world, pairs=1).train.take([0, 700])
    >>> batch["x"].shape == batch["partner"].shape
    True
    """
    return Splits(*(PairData(part, world, pairs) for part in (splits.train, splits.valid, splits.test)))
