"""Noise sent backwards through an invertible map."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from vaekit.distributions.lean import Lean, SampleShape
from vaekit.distributions.normal import HALF_LOG_2PI
from vaekit.errors import UnsupportedError


class Invertible(Protocol):
    """A map f of vectors with its Jacobian; zuko's transforms are of this form."""

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f(x), (*lead, n), and ln|det df/dx|, (*lead)."""
        ...

    def inv(self, y: Tensor) -> Tensor:
        """f^-1(y)."""
        ...


class Flow(Lean):
    """x = f^-1(u), u ~ N(0, I):  log p(x) = log N(f(x); 0, I) + ln|det df/dx|,  f = f_T o ... o f_1.

    Args:
        maps: for each of f_1, ..., f_T, from data to noise: a function of the condition that returns it.
        event: shape of a draw, of n numbers that the maps see as a vector.
        like: a tensor whose dtype and device the noise takes.
        context: the condition, (*batch, m), or None for a flow without one, which has no batch axes.
    """

    def __init__(
        self,
        maps: Sequence[Callable[[Tensor | None], Invertible]],
        event: tuple[int, ...],
        like: Tensor,
        context: Tensor | None = None,
    ) -> None:
        super().__init__(len(event))
        self.maps = list(maps)
        self.like = like
        self.context = context
        self._event = torch.Size(event)
        self._repeated: torch.Size | None = None

    @property
    def shape(self) -> torch.Size:
        """(*batch, *event)."""
        return self._own if self._repeated is None else self._repeated + self._event

    @property
    def _own(self) -> torch.Size:
        return self._event if self.context is None else self.context.shape[:-1] + self._event

    @property
    def mean(self) -> Tensor:
        """Refuse: there is no closed form.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError("the mean of a flow has no closed form: average draws of `sample`")

    @property
    def variance(self) -> Tensor:
        """Refuse, as for the mean.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError("the variance of a flow has no closed form: take that of draws of `sample`")

    def expand(self, batch_shape: SampleShape, _instance: object = None) -> Flow:
        """The same distribution, repeated along batch axes."""
        repeated = Flow(self.maps, tuple(self._event), self.like, self.context)
        repeated._repeated = torch.Size(batch_shape)
        return repeated

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """f^-1(u)."""
        shape = self._extended_shape(sample_shape)
        value = torch.randn(shape, dtype=self.like.dtype, device=self.like.device).flatten(-self.event_dims)
        for make in reversed(self.maps):
            value = make(self.context).inv(value)
        return value.view(shape)

    def noise(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """f(x), (*lead, n), and ln|det df/dx|, (*lead), of x, (*lead, *event)."""
        value = value.flatten(-self.event_dims)
        volume: Tensor | None = None
        for make in self.maps:
            value, change = make(self.context).call_and_ladj(value)
            volume = change if volume is None else volume + change
        return value, torch.zeros_like(value[..., 0]) if volume is None else volume

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats."""
        # a value meets the axes of the condition here, those of a repetition only at the end
        noise, volume = self.noise(_spread(value, self._own))
        density = volume - 0.5 * noise.square().sum(-1) - HALF_LOG_2PI * math.prod(self._event)
        return _spread(density, self.batch_shape)


def _spread(value: Tensor, shape: torch.Size) -> Tensor:
    """The value, repeated to broadcast with a shape."""
    # torch's own question, in Python, takes as long as a small network: it is asked where the answer is open
    if value.shape[value.dim() - len(shape) :] == shape:
        return value
    return value.expand(torch.broadcast_shapes(value.shape, shape))
