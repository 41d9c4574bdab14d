"""Batch normalisation whose running averages move after the step, not in the pass."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn


@final
class BatchNorm(nn.Module):
    """y = a (x - m) / sqrt(v + 1e-5) + b, every feature by itself.

    While training, m and v are mean and variance over all leading axes, which couples the batch; in
    evaluation they are running averages. A batch of one has no variance and takes the running ones in
    training too. Of several passes in a step the first one counts.

    Shapes:
        x: (*lead, width); result: the same.

    Args:
        width: number of features.

    References:
        Batch Normalization. S. Ioffe, C. Szegedy, 2015, arXiv 1502.03167.
    """

    couples_batch = True
    momentum, eps = 0.1, 1e-5

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))
        self.mean: Tensor
        self.variance: Tensor
        self._last: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (*lead, width)."""
        if self.training and x.numel() > x.shape[-1]:
            variance, mean = torch.var_mean(x, tuple(range(x.dim() - 1)), correction=0)
            if self._last is None:
                self._last = mean.detach(), variance.detach()
        else:
            variance, mean = self.variance, self.mean
        return (x - mean) * (self.weight * (variance + self.eps).rsqrt()) + self.bias

    def __getstate__(self) -> dict[str, Any]:
        # a copy has no part in the step that is under way
        return {**self.__dict__, "_last": None}

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the running averages towards those of the batch just trained on."""
        if self._last is not None:
            mean, variance = self._last
            self.mean.lerp_(mean.to(self.mean.dtype), self.momentum)
            self.variance.lerp_(variance.to(self.variance.dtype), self.momentum)
        self._last = None

    def extra_repr(self) -> str:
        """The width."""
        return f"width={len(self.weight)}"
