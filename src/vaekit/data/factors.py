"""Ground truth: the grid of known factors, and data that are made from its points."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Batch, Splits, take_seed
from vaekit.data.decode import Decoder
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
        strides = [math.prod(self.sizes[k + 1 :]) for k in range(len(self.sizes))]
        self._steps = {torch.device("cpu"): torch.tensor([self.sizes, strides])}

    def __len__(self) -> int:
        return math.prod(self.sizes)

    def __repr__(self) -> str:
        return f"Grid({dict(zip(self.names, self.sizes, strict=True))})"

    def _sizes_and_strides(self, device: torch.device) -> Tensor:
        """(2, F) int64, copied to a device once."""
        if device not in self._steps:
            self._steps[device] = self._steps[torch.device("cpu")].to(device)
        return self._steps[device]

    def index_of(self, factors: Tensor) -> Tensor:
        """Numbers of grid points: (..., F) int64 -> (...,) int64; see `checked` for values off the grid."""
        return (factors * self._sizes_and_strides(factors.device)[1]).sum(-1)

    def factors_of(self, index: Tensor) -> Tensor:
        """Factor values of grid points, the inverse of `index_of`: (...,) int64 -> (..., F) int64."""
        sizes, strides = self._sizes_and_strides(index.device)
        return index[..., None].div(strides, rounding_mode="floor").remainder(sizes)

    def checked(self, factors: Tensor) -> Tensor:
        """The factors as they are, if they are points of the grid; a larger value would name another point.

        Raises:
            TypeError: unless they are integers, (N, F).
            IndexError: for a value that its factor does not have.
        """
        if factors.ndim != 2 or factors.shape[1] != len(self.sizes) or factors.dtype != torch.int64:
            raise TypeError(
                f"`factors` is {tuple(factors.shape)} of {factors.dtype}; expected (N, {len(self.sizes)}) of "
                "torch.int64"
            )
        wrong = (factors < 0) | (factors >= self._sizes_and_strides(factors.device)[0])
        if wrong.any():
            row, column = wrong.nonzero()[0].tolist()
            raise IndexError(
                f"`factors` holds {int(factors[row, column])} for {self.names[column]!r}; expected "
                f"0..{self.sizes[column] - 1}"
            )
        return factors

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
        """The data of grid points: (N, F) int64 -> x (N, *shape) float32.

        They come on the device where the data lie, or on that of `factors` where data are drawn.

        Args:
            factors: points of the grid.
            generator: of what is drawn beside the factors; needed where `noisy`.
        """

    def at(self, index: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The data of grid points by their number: (N,) int64 -> x (N, *shape) float32."""
        return self.decoded(self.stored(index), generator)

    def stored(self, index: Tensor) -> Tensor:
        """What is fetched for grid points, where they lie, before it is moved to another device."""
        return self.grid.factors_of(index)

    def decoded(self, stored: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """From `stored`, on any device, to x there; the generator is of that device."""
        return self.data_of(stored, generator)

    @property
    def device(self) -> torch.device:
        """Where the data lie; those that are drawn lie nowhere."""
        return torch.device("cpu")

    def to(self, device: torch.device | str) -> FactorData:
        """The same data on another device."""
        return self

    def parts(self, points: Tensor | None) -> tuple[Tensor | None, ...]:
        """What tells these data, at some points or at all, from others under the same spec.

        By default up to 64 data themselves; where all that lies in memory can be had, that instead.
        """
        count = len(self.grid) if points is None else len(points)
        rows = torch.linspace(0, count - 1, min(count, 64), dtype=torch.float64).long()
        index = rows if points is None else points.cpu()[rows]
        generator = torch.Generator(self.device).manual_seed(take_seed(0)) if self.noisy else None
        return self.at(index.to(self.device), generator), points

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


def drawn_by(generator: torch.Generator | None, name: str) -> torch.Generator:
    """The generator of what is drawn beside the factors, if one was given.

    Raises:
        ValueError: if none was.
    """
    if generator is None:
        raise ValueError(f"one point of {name} is many data: give the `generator` that draws one of them")
    return generator


@final
class Stored(FactorData):
    """A small grid whose data all lie in memory, in the order of their numbers.

    Args:
        data: one datum for every point of the grid of its spec.

    Raises:
        ValueError: if the spec has no factors, the data are not the points of its grid in their order, or are
            drawn anew at every visit.
    """

    def __init__(self, data: ArrayData) -> None:
        if data.spec.factors is None:
            raise ValueError(f"the spec of {data.spec.name} has no `factors`; expected ground truth")
        self.spec, self.grid = data.spec, Grid(data.spec.factors)
        if len(data) != len(self.grid):
            raise ValueError(
                f"got {len(data)} data; expected {len(self.grid)}, one for each point of the grid"
            )
        points = torch.arange(len(data), device=data.device)
        if data.factors is not None and not torch.equal(data.factors, self.grid.factors_of(points)):
            raise ValueError("the `factors` of the data are not the points of the grid in their order")
        if data.binarise or data.visible:
            raise ValueError("the data are drawn anew, or split, at every visit; expected them as they are")
        self.data, self._decode = data, Decoder(data.spec)

    def data_of(self, factors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See `FactorData.data_of`."""
        return self.at(self.grid.index_of(self.grid.checked(factors).to(self.device)))

    def stored(self, index: Tensor) -> Tensor:
        """The values as they are kept."""
        return self.data.x.index_select(0, index)

    def decoded(self, stored: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Kept values as float32."""
        return self._decode(stored, None)["x"]

    def parts(self, points: Tensor | None) -> tuple[Tensor | None, ...]:
        """The kept values, and which points are seen."""
        return self.data.x, points

    @property
    def device(self) -> torch.device:
        """Where the data lie."""
        return self.data.device

    def to(self, device: torch.device | str) -> Stored:
        """The same data on another device."""
        return Stored(self.data.to(device))

    def splits(self) -> Splits:
        """The whole grid three times: ground truth is not split, as in the study of Locatello et al."""
        return Splits(self.data, self.data, self.data)
