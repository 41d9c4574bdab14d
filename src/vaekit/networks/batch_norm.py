"""Batch normalisation whose running averages move after the step, not in the pass."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from vaekit.pooling import is_pooling, pooled_mean, whole_count


@final
class BatchNorm(nn.Module):
    """y = a (x - m) / sqrt(v + 1e-5) + b, every feature, or every channel of images, by itself.

    While training, m and v are mean and variance over the batch and all that is not the feature's own, which
    couples the batch; in evaluation they are running averages (of the unbiased variance, as torch's own layer
    keeps it). Where a feature has one value only, which has no variance, the running averages are taken in
    training too. They move after the step, by the mean of its passes.

    Shapes:
        x: (*lead, width), or (N, width, height, width) with `images`; result: the same.

    Args:
        width: number of features or channels.
        images: whether x are images.
        running: whether there are running averages. A critic, which judges whole batches of data and
            imitations alone, has none: its batch is always the measure.

    References:
        Batch Normalization. S. Ioffe, C. Szegedy, 2015, arXiv 1502.03167.
    """

    couples_batch = True
    pools = True
    momentum, eps = 0.1, 1e-5

    def __init__(self, width: int, images: bool = False, running: bool = True) -> None:
        super().__init__()
        self.images, self.running = images, running
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.mean: Tensor
        self.variance: Tensor
        self.seen: Tensor
        if running:
            self.register_buffer("mean", torch.zeros(width))
            self.register_buffer("variance", torch.ones(width))
            # sums of mean and variance over the passes of the step, and their number
            self.register_buffer("seen", torch.zeros(3, width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (*lead, width) or (N, width, height, width)."""
        rows = x if self.images else x.flatten(0, -2)
        count = whole_count(rows.numel() // rows.shape[1])
        if self.running and (not self.training or count <= 1):
            y = torch.batch_norm(
                rows, self.weight, self.bias, self.mean, self.variance, False, 0.0, self.eps, False
            )
            return y.view_as(x)
        if is_pooling():
            y, mean, variance = self._pooled(rows)
        else:
            y, mean, scale = torch.native_batch_norm(
                rows, self.weight, self.bias, None, None, True, 0.0, self.eps
            )
            variance = scale.detach() ** -2 - self.eps
        if self.running:
            with torch.no_grad():
                variance = variance * (count / (count - 1))
                self.seen.add_(torch.stack([mean, variance, torch.ones_like(variance)]))
        return y.view_as(x)

    def _pooled(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same over all processes: values, mean, and biased variance."""
        axes = tuple(axis for axis in range(rows.dim()) if axis != 1)
        shape = (1, -1, *(1 for _ in axes[1:]))
        mean = pooled_mean(rows, axes)
        centred = rows - mean.view(shape)
        variance = pooled_mean(centred.square(), axes)
        scale = (variance + self.eps).rsqrt() * self.weight
        values = centred * scale.view(shape) + self.bias.view(shape)
        return values, mean.detach(), variance.detach()

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the running averages towards those of the batch just trained on."""
        if self.running:
            mean, variance, passes = self.seen
            pace = self.momentum * passes.clamp(max=1)
            self.mean.lerp_(mean / passes.clamp(min=1), pace)
            self.variance.lerp_(variance / passes.clamp(min=1), pace)
            self.seen.zero_()

    def extra_repr(self) -> str:
        """The arguments."""
        return f"width={len(self.weight)}, images={self.images}, running={self.running}"
