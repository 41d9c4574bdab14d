"""The abstract parent of vaekit's own distributions: `torch.distributions` without its overhead."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from functools import cached_property, partial
from types import FunctionType, MethodType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Transform
from torch.nn import functional

from vaekit.errors import UnsupportedError

SampleShape = torch.Size | list[int] | tuple[int, ...]
D = TypeVar("D", bound=Distribution)


T = TypeVar("T")


class lazy(cached_property[T]):
    """A property that is computed once, without the lock of Python 3.11, which a compiler cannot follow."""

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> T:  # type: ignore[override]
        if instance is None:
            return self  # type: ignore[return-value]  # asked of the class, it is itself
        found: T = self.func(instance)
        instance.__dict__[self.attrname] = found
        return found


def sum_event(values: Tensor, event_dims: int) -> Tensor:
    """Sum over the last `event_dims` axes: (*batch, *event) -> (*batch)."""
    if event_dims == 1:
        return values.sum(-1)
    return values.sum(tuple(range(-event_dims, 0))) if event_dims else values


def squared_distance(a: Tensor, b: Tensor, event_dims: int) -> Tensor:
    """|a - b|^2, summed over the last `event_dims` axes: (*batch, *event) -> (*batch).

    torch's squared error goes through tensors of equal shapes once, and once on the way back: half the time
    of a difference and its square.
    """
    same = a.shape == b.shape
    squares = functional.mse_loss(a, b, reduction="none") if same else (a - b).square()
    return sum_event(squares, event_dims)


def detached(distribution: D) -> D:
    """The same distribution with its parameters cut off from the graph (`sg[phi]` in the papers).

    A value passed to its `log_prob` still carries gradients; the parameters do not. Components that are
    distributions or transforms themselves are cut off too.

    Raises:
        UnsupportedError: if parameters are hidden in a network or a function, as those of a flow are.
    """
    frozen = copy.copy(distribution)
    for name, value in vars(distribution).items():
        setattr(frozen, name, _cut(value))
    if isinstance(frozen, Lean):
        frozen.forget()
    return frozen


def _cut(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, Distribution):
        return detached(value)
    if isinstance(value, Transform):
        frozen = copy.copy(value)  # without its memory of the last value, and of its inverse
        for name, inner in vars(value).items():
            setattr(frozen, name, inner if name in ("_inv", "_cached_x_y") else _cut(inner))
        frozen._inv = None
        frozen._cached_x_y = None, None
        return frozen
    if isinstance(value, list | tuple):
        return type(value)([_cut(item) for item in value]) if type(value) in (list, tuple) else value
    if isinstance(value, nn.Module | FunctionType | MethodType | partial):
        raise UnsupportedError(
            "the parameters of this distribution are in networks that its transforms call, where they cannot "
            'be cut out of the graph: take gradient="plain", or Rate("sample")'
        )
    return value


class Lean(Distribution, ABC):
    """A distribution that lives for one training step: no argument checks, no eager broadcasting.

    Shapes: parameters broadcast to (*batch, *event); `log_prob` takes (*sample, *batch, *event) and returns
    (*sample, *batch), in nats, summed over the event axes.

    A member defines `shape` (batch and event shape in one), `log_prob`, and `rsample` or `sample`.
    """

    has_rsample = True
    arg_constraints = {}  # noqa: RUF012  (torch declares it as a plain class attribute)
    _validate_args = False

    def __init__(self, event_dims: int) -> None:
        # torch's own __init__ validates and broadcasts; neither is wanted in every training step
        self.event_dims = event_dims
        self._drawn: tuple[Tensor, Tensor] | None = None

    @property
    @abstractmethod
    def shape(self) -> torch.Size:
        """(*batch, *event)."""

    @property
    def batch_shape(self) -> torch.Size:
        """Shape of independent distributions."""
        shape = self.shape
        return shape[: len(shape) - self.event_dims]

    @property
    def event_shape(self) -> torch.Size:
        """Shape of one draw."""
        shape = self.shape
        return shape[len(shape) - self.event_dims :]

    def _extended_shape(self, sample_shape: SampleShape = ()) -> torch.Size:
        return torch.Size(sample_shape) + self.shape if sample_shape else self.shape

    @torch.no_grad()
    def sample(self, sample_shape: SampleShape = ()) -> Tensor:
        """Draw (*sample_shape, *batch, *event) without gradients."""
        return self.rsample(sample_shape)

    def remember(self, value: Tensor, noise: Tensor) -> Tensor:
        """Keep the noise behind a draw, so that its log density needs no inversion."""
        self._drawn = (value, noise)
        return value

    def recall(self, value: Tensor) -> Tensor | None:
        """The noise behind `value`, if `value` is this distribution's own last draw."""
        if self._drawn is not None and self._drawn[0] is value:
            return self._drawn[1]
        return None

    def forget(self) -> None:
        """Drop the memory of the last draw."""
        self._drawn = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(batch={tuple(self.batch_shape)}, event={tuple(self.event_shape)})"


class Symmetric(Lean, ABC):
    """A distribution around a centre that is its mean and its mode.

    Args:
        centre: (*batch, *event).
        event_dims: number of event axes at the end of `centre`.
    """

    def __init__(self, centre: Tensor, event_dims: int) -> None:
        super().__init__(event_dims)
        self.loc = centre

    @property
    def shape(self) -> torch.Size:
        """(*batch, *event)."""
        return self.loc.shape

    @property
    def mean(self) -> Tensor:
        """The centre, (*batch, *event)."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """The centre, (*batch, *event)."""
        return self.loc
