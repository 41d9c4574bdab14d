"""Normalisation over the batch, for the networks of adversarial games."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class BatchNorm(nn.Module):
    """Every channel minus its mean over the batch, over its standard deviation; then a learned affine map.

    `y = weight (x - m) / sqrt(v + eps) + bias`, with m and the biased variance v over all axes but the
    second. In training these are the batch's own, so that a datum's result depends on the others. In eval
    mode they are running averages, m <- (1 - momentum) m + momentum mean, with the unbiased variance, as in
    torch's own layer. They move in `after_step`, by the mean of the passes of the step: a forward pass
    changes nothing that is saved.

    One value a channel has no variance: in training it is normalised by the running averages.

    Shapes:
        x: (N, channels) or (N, channels, height, width); the result alike.

    Args:
        channels: size of the second axis.
        running: whether there are running averages. A critic, which is asked about whole batches of data and
            imitations alone, has none: its batch is always the measure.
        momentum: weight of the newest step in the running averages.
        eps: added to the variance.

    References:
        Batch Normalization, S. Ioffe and C. Szegedy, 2015, arXiv 1502.03167.
    """

    couples_batch = True

    def __init__(self, channels: int, running: bool = True, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.running, self.momentum, self.eps = running, momentum, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.mean: Tensor
        self.variance: Tensor
        self.seen: Tensor
        if running:
            self.register_buffer("mean", torch.zeros(channels))
            self.register_buffer("variance", torch.ones(channels))
            # mean, variance and number of the passes since the last step
            self.register_buffer("seen", torch.zeros(3, channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, channels, ...)."""
        count = x.numel() // x.shape[1]
        if self.running and (not self.training or count == 1):
            return torch.batch_norm(
                x, self.weight, self.bias, self.mean, self.variance, False, self.momentum, self.eps, False
            )
        normal, mean, scale = torch.native_batch_norm(
            x, self.weight, self.bias, None, None, True, self.momentum, self.eps
        )
        if self.running:
            with torch.no_grad():
                variance = (scale.detach() ** -2 - self.eps) * (count / (count - 1))
                self.seen.add_(torch.stack([mean.detach(), variance, torch.ones_like(variance)]))
        return normal

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the running averages by what was seen since the last step, if anything was."""
        if not self.running:
            return
        mean, variance, count = self.seen
        pace = self.momentum * count.clamp(max=1)
        share = count.clamp(min=1)
        self.mean.lerp_(mean / share, pace)
        self.variance.lerp_(variance / share, pace)
        self.seen.zero_()

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{len(self.weight)}, running={self.running}, momentum={self.momentum}, eps={self.eps}"
