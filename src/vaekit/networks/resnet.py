"""A residual pair for images of 32, 64 or 128 pixels.

References:
    Identity Mappings in Deep Residual Networks, K. He, X. Zhang, S. Ren, J. Sun, 2016, arXiv 1603.05027
    (pre-activation); Group Normalization, Y. Wu and K. He, 2018, arXiv 1803.08494 (statistics of one datum,
    never of the batch).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaekit.networks.axes import (
    check_call,
    checked_events,
    checked_image,
    flat,
    flattened,
    fold,
    joined,
    shaped,
    unfold,
)

SIZES = (32, 64, 128)
"""Side lengths in pixels that the residual pair takes."""

GROUPS = 8


def _channels(width: int, size: int) -> list[int]:
    """Channels at `size`, `size / 2`, ..., 4 pixels: the width, twice, four times, and no more."""
    if width < GROUPS or width % GROUPS:
        raise ValueError(
            f"`width` is {width}; expected a positive multiple of {GROUPS}, the number of groups"
        )
    halvings = size.bit_length() - 3  # size = 4 * 2**halvings
    return [width * min(2**i, 4) for i in range(halvings + 1)]


@final
class _Down(nn.Module):
    """Half the resolution: `A(pool(x)) + conv(relu(norm(conv_s2(relu(norm(x))))))`, A a 1x1 convolution."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, before)
        self.conv1 = nn.Conv2d(before, after, 3, stride=2, padding=1)
        self.norm2 = nn.GroupNorm(GROUPS, after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(torch.relu(self.norm1(x)))
        h = self.conv2(torch.relu(self.norm2(h)))
        total: Tensor = self.shortcut(functional.avg_pool2d(x, 2)) + h
        return total


@final
class _Up(nn.Module):
    """Twice the resolution: `up(A(x)) + conv(relu(norm(up(conv(relu(norm(x)))))))`, up repeats pixels."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, before)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.norm2 = nn.GroupNorm(GROUPS, after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(torch.relu(self.norm1(x)))
        # normalising before the interpolation is the same and costs a quarter: every pixel is repeated alike
        h = self.conv2(functional.interpolate(torch.relu(self.norm2(h)), scale_factor=2.0, mode="nearest"))
        total: Tensor = functional.interpolate(self.shortcut(x), scale_factor=2.0, mode="nearest") + h
        return total


@final
class ResidualEncoder(nn.Module):
    """Images (C, n, n) of 32, 64 or 128 pixels to a flat vector, by pre-activation residual blocks.

    A 3x3 convolution to `width` channels; blocks that halve the resolution down to 4x4 at 2, then 4 times
    the width; group normalisation, ReLU; the features and the further inputs to 256, ReLU; linear output.
    Weights as torch draws them.

    Shapes:
        input 0: (*lead_0, C, n, n); input i: (*lead_i, *inputs[i]); result: (*lead, *output).

    Args:
        inputs: event shapes; the first is the image, further ones join the features before the layer of 256.
        output: event shape of the result.
        width: channels at full resolution, a multiple of 8.

    Raises:
        ValueError: the first input is no image of such a size, or a shape or the width is not allowed.
    """

    def __init__(self, inputs: Sequence[tuple[int, ...]], output: tuple[int, ...], width: int = 32) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        channels, size = checked_image("ResidualEncoder", "inputs[0]", self.inputs[0], SIZES)
        widths = _channels(width, size)
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            *(_Down(before, after) for before, after in pairwise(widths)),
            nn.GroupNorm(GROUPS, widths[-1]),
            nn.ReLU(),
        )
        self.dense = nn.Linear(16 * widths[-1] + sum(map(prod, self.inputs[1:])), 256)
        self.output_layer = nn.Linear(256, prod(self.output))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (*lead_i, *inputs[i]) to (*lead, *output)."""
        check_call(inputs, self.inputs)
        images, lead = fold(inputs[0], 3)
        parts = [unfold(self.convolutions(images).flatten(1), lead)]
        parts += [flat(x, event) for x, event in zip(inputs[1:], self.inputs[1:], strict=True)]
        dense = torch.relu(joined(self.dense, parts))
        return shaped(self.output_layer(dense), self.output)

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"inputs={self.inputs}, output={self.output}"


@final
class ResidualDecoder(nn.Module):
    """Vectors to images (C, n, n) of 32, 64 or 128 pixels, by pre-activation residual blocks.

    A linear layer to 4x4 features, blocks that double the resolution with the channels of `ResidualEncoder`
    in reverse, group normalisation, ReLU, a 3x3 convolution to C channels. The output is linear. Weights as
    torch draws them.

    Shapes:
        input i: (*lead_i, *inputs[i]); result: (*lead, C, n, n), leading axes broadcast.

    Args:
        inputs: event shapes; they are flattened and joined.
        output: (C, n, n), where C counts the channels times the parameters of each pixel.
        width: channels at full resolution, a multiple of 8.

    Raises:
        ValueError: the output is no image of such a size, or a shape or the width is not allowed.
    """

    def __init__(self, inputs: Sequence[tuple[int, ...]], output: tuple[int, ...], width: int = 32) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        channels, size = checked_image("ResidualDecoder", "output", self.output, SIZES)
        widths = _channels(width, size)[::-1]
        self.features = (widths[0], 4, 4)
        self.first = nn.Linear(sum(map(prod, self.inputs)), prod(self.features))
        self.convolutions = nn.Sequential(
            *(_Up(before, after) for before, after in pairwise(widths)),
            nn.GroupNorm(GROUPS, width),
            nn.ReLU(),
        )
        self.output_layer = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (*lead_i, *inputs[i]) to (*lead, *output)."""
        parts = flattened(inputs, self.inputs)
        features, lead = fold(shaped(joined(self.first, parts), self.features), 3)
        return unfold(self.output_layer(self.convolutions(features)), lead)

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"inputs={self.inputs}, output={self.output}"
