"""Ground truth: the grid of known factors, and data that are made from its points."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Batch, Splits
from vaekit.data.spec import Spec


@final
class Grid:
    """All combinations of the values of some factors; the last factor runs fastest.

    Args:
        factors: name -> number of values, as in `Spec.factors`.

    Raises:
        ValueError: without factors, or for a factor without values.

    >>> grid = Grid({"shape": 3, "x": 4})
    >>> len(grid), grid.index_of(torch.tensor([[2, 3]])), grid.factors_of(torch.tensor([5]))
    (12, tensor([11]), tensor([[1, 1]]))
    """

    def __init__(self, factors: Mapping[str, int]) -> None:
        if not factors or min(factors.values()) < 1:
            raise ValueError(f"`factors` is {dict(factors)}; expected one or more, each with 1 value or more")
        self.names = tuple(factors)
        self.sizes = tuple(factors.values())
        self._strides = tuple(math.prod(self.sizes[k + 1 :]) for k in range(len(self.sizes)))

    def __len__(self) -> int:
        return math.prod(self.sizes)

    def __repr__(self) -> str:
        return f"Grid({dict(zip(self.names, self.sizes, strict=True))})"

    def index_of(self, factors: Tensor) -> Tensor:
        """Numbers of grid points: (..., F) int64 -> (...,) int64."""
        return (factors * torch.tensor(self._strides, device=factors.device)).sum(-1)

    def factors_of(self, index: Tensor) -> Tensor:
        """Factor values of grid points, the inverse of `index_of`: (...,) int64 -> (..., F) int64."""
        strides, sizes = (torch.tensor(each, device=index.device) for each in (self._strides, self.sizes))
        return index[..., None].div(strides, rounding_mode="floor").remainder(sizes)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Points drawn uniformly with replacement: (n, F) int64, on the device of the generator."""
        index = torch.randint(len(self), (n,), generator=generator, device=generator.device)
        return self.factors_of(index)

    def resample(self, factors: Tensor, kept: Tensor, generator: torch.Generator) -> Tensor:
        """Points that share some factors with the given ones; the others are drawn anew.

        Args:
            factors: (N, F) int64.
            kept: which factors stay, (F,) or (N, F) bool.
            generator: of the draws.
        """
        return torch.where(kept, factors, self.sample(len(factors), generator).to(factors.device))


class FactorData(ABC):
    """Data that are made from known factors: any point of the grid, any number of times.

    Attributes:
        spec: what the data say of themselves, with `factors`.
        grid: of `spec.factors`.
        noisy: whether something beside the factors is drawn (a colour, a background, an instance), so that
            one point of the grid is many data.
    """

    spec: Spec
    grid: Grid
    noisy: bool = False

    @abstractmethod
    def data_of(self, factors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The data of grid points: (N, F) int64 -> x (N, *shape) float32, on the device where the data lie.

        Args:
            factors: points of the grid.
            generator: of what is drawn beside the factors; needed where `noisy`.
        """

    def sample(self, n: int, generator: torch.Generator) -> Batch:
        """Data of points drawn uniformly with replacement: `x` (n, *shape) and `factors` (n, F)."""
        factors = self.grid.sample(n, generator)
        return {"x": self.data_of(factors, generator), "factors": factors}

    def pairs(self, n: int, kept: Tensor, generator: torch.Generator) -> tuple[Batch, Batch]:
        """Pairs of data that share the `kept` factors, (F,) or (n, F) bool, the others being independent."""
        first = self.grid.sample(n, generator)
        second = self.grid.resample(first, kept, generator)
        return (
            {"x": self.data_of(first, generator), "factors": first},
            {"x": self.data_of(second, generator), "factors": second},
        )


@final
class Stored(FactorData):
    """A small grid whose data all lie in memory, in the order of their numbers.

    Args:
        data: one datum for every point of the grid of its spec.

    Raises:
        ValueError: if the spec has no factors, or the number of data is not that of the grid's points.
    """

    def __init__(self, data: ArrayData) -> None:
        if data.spec.factors is None:
            raise ValueError(f"the spec of {data.spec.name} has no `factors`; expected ground truth")
        self.spec, self.grid = data.spec, Grid(data.spec.factors)
        if len(data) != len(self.grid):
            raise ValueError(
                f"got {len(data)} data; expected {len(self.grid)}, one for each point of the grid"
            )
        self.data = data

    def data_of(self, factors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See `FactorData.data_of`."""
        return self.data.take(self.grid.index_of(factors.to(self.data.device)))["x"]

    def splits(self) -> Splits:
        """The whole grid three times: ground truth is not split, as in the study of Locatello et al."""
        return Splits(self.data, self.data, self.data)
