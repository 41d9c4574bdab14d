"""Gaussian likelihoods, by where their variance comes from."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.conditionals.parts import MakeNetwork, Shape, run, soft_floor, split, stacked
from vaekit.distributions import DiagonalNormal, PooledNormal

LOWEST_LOG_STD = -6.0


class FixedGaussian(nn.Module):
    """context -> N(f(context), sigma^2 I) with sigma given.

    A fixed sigma acts as a weight of the rate: the same optimum as 1/2 |x - f|^2 + sigma^2 KL.

    Args:
        network: builds the network of f, or of its logits.
        event: event shape.
        sigma: standard deviation of every element.
        bounded: whether f is the sigmoid of the network's output, for data in [0, 1].
    """

    def __init__(self, network: MakeNetwork, event: Shape, sigma: float = 1.0, bounded: bool = False) -> None:
        super().__init__()
        if not sigma > 0 or not math.isfinite(sigma):
            raise ValueError(f"`sigma` is {sigma}; expected a positive number")
        self.event = tuple(event)
        self.bounded = bounded
        self.network = network(self.event)
        self.register_buffer("log_std", torch.tensor(math.log(sigma)), persistent=False)
        self.log_std: Tensor

    def forward(self, *context: Tensor) -> DiagonalNormal:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        mean = run(self.network, *context)
        return DiagonalNormal(mean.sigmoid() if self.bounded else mean, self.log_std, len(self.event))


class SharedGaussian(nn.Module):
    """context -> N(f(context), diag(sigma^2)), sigma learned and the same for every context.

    ln sigma is kept softly above -6. At the optimum sigma^2 is the mean squared residual of what shares it.

    Args:
        network: builds the network of f.
        event: event shape.
        scales: shape of sigma, which is spread over the event: () for one number, the event for one each,
            (1, H, W) for a map that the channels share.

    Raises:
        ValueError: if `scales` cannot be spread over the event.
    """

    def __init__(self, network: MakeNetwork, event: Shape, scales: Shape = ()) -> None:
        super().__init__()
        self.event = tuple(event)
        behind = self.event[len(self.event) - len(scales) :]
        if len(scales) > len(self.event) or any(n not in (1, m) for n, m in zip(scales, behind, strict=True)):
            raise ValueError(
                f"`scales` is {scales}; expected a shape that spreads over the event {self.event}"
            )
        self.network = network(self.event)
        self.head = nn.Parameter(torch.zeros(scales))

    @property
    def log_std(self) -> Tensor:
        """ln sigma, (*scales)."""
        return soft_floor(self.head, LOWEST_LOG_STD)

    def forward(self, *context: Tensor) -> DiagonalNormal:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        return DiagonalNormal(run(self.network, *context), self.log_std, len(self.event))


class PixelGaussian(nn.Module):
    """context -> N(f(context), diag(s(context)^2)): the network returns centre and ln s of every element.

    ln s is kept softly above -6: an element that is constant in the data has no best variance.
    """

    def __init__(self, network: MakeNetwork, event: Shape) -> None:
        super().__init__()
        self.event = tuple(event)
        self.network = network(stacked(self.event, 2))

    def forward(self, *context: Tensor) -> DiagonalNormal:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        mean, log_std = split(run(self.network, *context), self.event, 2)
        return DiagonalNormal(mean, soft_floor(log_std, LOWEST_LOG_STD), len(self.event))


class OptimalGaussian(nn.Module):
    """context -> N(f(context), sigma*^2 I) with sigma* the best for the batch in closed form (sigma-VAE).

    While training, sigma*^2 is the mean squared residual of the batch, which couples its data. A running
    average (decay 0.99, free of the bias of its start) is updated in `after_step` and used in evaluation,
    where a datum must not set its own variance.
    """

    couples_batch = True
    pools = True
    decay = 0.99

    def __init__(self, network: MakeNetwork, event: Shape) -> None:
        super().__init__()
        self.event = tuple(event)
        self.network = network(self.event)
        self.register_buffer("average", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))
        self.average: Tensor
        self.weight: Tensor
        self._last: PooledNormal | None = None

    @property
    def variance(self) -> Tensor:
        """The running sigma*^2; 1 before the first step."""
        ready = self.weight > 0
        return torch.where(ready, self.average / torch.where(ready, self.weight, 1.0), 1.0)

    def forward(self, *context: Tensor) -> DiagonalNormal | PooledNormal:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        mean = run(self.network, *context)
        if not self.training:
            return DiagonalNormal(mean, 0.5 * self.variance.log(), len(self.event))
        pooled = PooledNormal(mean, len(self.event))
        if self._last is None:
            # a step may pass more than once (a branch from the prior): the first pass is of the posterior
            self._last = pooled
        return pooled

    def __getstate__(self) -> dict[str, Any]:
        # a copy has no part in the step that is under way, and graphs cannot be copied
        return {**self.__dict__, "_last": None}

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the running variance towards that of the batch just trained on."""
        if self._last is not None and self._last.fitted is not None:
            self.average.lerp_(self._last.fitted.to(self.average.dtype), 1 - self.decay)
            self.weight.lerp_(torch.ones_like(self.weight), 1 - self.decay)
        self._last = None
