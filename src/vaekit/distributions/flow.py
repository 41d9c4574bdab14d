"""Noise sent backwards through an invertible map."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
        transforms: f_1, ..., f_T, from data to noise.
        event: (n,).
        like: a tensor whose dtype and device the noise takes.
        batch: batch shape, that of the context where f has one.
    """

    def __init__(
        self,
        transforms: Sequence[Invertible],
        event: tuple[int, ...],
        like: Tensor,
        batch: tuple[int, ...] = (),
    ) -> None:
        super().__init__(len(event))
        self.transforms = list(transforms)
        self.like = like
        self._own = self._shape = torch.Size((*batch, *event))

    @property
    def shape(self) -> torch.Size:
        """(*batch, n)."""
        return self._shape

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
        repeated = Flow(self.transforms, tuple(self.event_shape), self.like, tuple(batch_shape))
        repeated._own = self._own
        return repeated

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """f^-1(u)."""
        shape = self._extended_shape(sample_shape)
        value = torch.randn(shape, dtype=self.like.dtype, device=self.like.device)
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        return value

    def noise(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """f(x), as x, and ln|det df/dx|, without the event axis."""
        volume = torch.zeros_like(value[..., 0])
        for transform in self.transforms:
            value, change = transform.call_and_ladj(value)
            volume = volume + change
        return value, volume

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats."""
        # a value meets the axes of the condition here, those of a repetition only at the end
        whole = value.expand(torch.broadcast_shapes(value.shape, self._own))
        noise, volume = self.noise(whole)
        density = volume - 0.5 * noise.square().sum(-1) - HALF_LOG_2PI * math.prod(self.event_shape)
        return density.expand(torch.broadcast_shapes(density.shape, self.batch_shape))
