"""A densely connected convolutional pair for fields on 4k + 1 nodes: 17, 33, 65.

References:
    Densely Connected Convolutional Networks, G. Huang, Z. Liu, L. van der Maaten, K. Weinberger, 2017, arXiv
    1608.06993; for flow fields, Y. Zhu and N. Zabaras, 2018, arXiv 1801.06879; with these sizes, C. Jacobsen
    and K. Duraisamy, 2022, arXiv 2109.07399.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import final

import torch
from torch import Tensor, nn

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
from vaekit.networks.batch_norm import BatchNorm

SIDES = (17, 33, 65)
"""Numbers of nodes along a side that the pair takes."""

FIRST, GROWTH = 2, 4


def _ready(width: int) -> nn.Sequential:
    """BN-ReLU: what stands before every convolution but the first."""
    return nn.Sequential(BatchNorm(width, images=True), nn.ReLU())


@final
class _Dense(nn.Module):
    """Layers that each see what came in and what all layers before them made: x <- [x; conv3x3(ready(x))]."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        widths = [width + GROWTH * i for i in range(layers)]
        self.layers = nn.ModuleList(
            nn.Sequential(_ready(n), nn.Conv2d(n, GROWTH, 3, padding=1, bias=False)) for n in widths
        )
        self.width = width + GROWTH * layers

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, n, n) -> (N, width + growth * layers, n, n)."""
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


def _halved(width: int) -> tuple[nn.Sequential, int]:
    """BN-ReLU-conv1x1: half the channels."""
    half = width // 2
    return nn.Sequential(_ready(width), nn.Conv2d(width, half, 1, bias=False)), half


@final
class DenseBlockEncoder(nn.Module):
    """Fields (C, n, n), n = 17, 33 or 65, to a flat vector, by one dense block.

    A 7x7 convolution with stride 2 to 2 channels; a dense block of 4 layers that add 4 channels each
    (BN-ReLU-3x3); BN-ReLU-1x1 to half the channels and BN-ReLU-3x3 with stride 2, which leaves (n - 1)/4
    nodes along a side; the features and the further inputs to half the features, ReLU; linear output. Weights
    as torch draws them. Batch normalisation couples the batch.

    Shapes:
        input 0: (*lead_0, C, n, n); input i: (*lead_i, *inputs[i]); result: (*lead, *output).

    Args:
        inputs: event shapes; the first is the field, further ones join its features.
        output: event shape of the result.

    Raises:
        ValueError: the first input is no field of such a size, or a shape is not allowed.
    """

    def __init__(self, inputs: Sequence[tuple[int, ...]], output: tuple[int, ...]) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        channels, side = checked_image("DenseBlockEncoder", "inputs[0]", self.inputs[0], SIDES)
        block = _Dense(FIRST, 4)
        halved, width = _halved(block.width)
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, FIRST, 7, stride=2, padding=2, bias=False),
            block,
            halved,
            _ready(width),
            nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False),
        )
        features = width * (side // 4) ** 2
        self.dense = nn.Linear(features + sum(map(prod, self.inputs[1:])), features // 2)
        self.output_layer = nn.Linear(features // 2, prod(self.output))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (*lead_i, *inputs[i]) to (*lead, *output)."""
        check_call(inputs, self.inputs)
        images, lead = fold(inputs[0], 3)
        parts = [unfold(self.convolutions(images).flatten(1), lead)]
        parts += [flat(x, event) for x, event in zip(inputs[1:], self.inputs[1:], strict=True)]
        return shaped(self.output_layer(torch.relu(joined(self.dense, parts))), self.output)

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"inputs={self.inputs}, output={self.output}"


@final
class DenseBlockDecoder(nn.Module):
    """Vectors to fields (C, n, n), n = 17, 33 or 65, by two dense blocks.

    Two linear layers, ReLU between, to as many features as `DenseBlockEncoder` has, on (n - 1)/4 nodes along
    a side; a dense block of 6 layers; BN-ReLU-1x1 to half the channels, BN-ReLU and a transposed 3x3
    convolution with stride 2; a dense block of 4 layers; BN-ReLU-1x1 to half the channels, BN-ReLU and a
    transposed 4x4 convolution with stride 2 to n nodes; a 5x5 convolution to C channels. The output is
    linear. Weights as torch draws them. Batch normalisation couples the batch.

    Shapes:
        input i: (*lead_i, *inputs[i]); result: (*lead, C, n, n), leading axes broadcast.

    Args:
        inputs: event shapes; they are flattened and joined.
        output: (C, n, n), where C counts the channels times the parameters of each node.

    Raises:
        ValueError: the output is no field of such a size, or a shape is not allowed.
    """

    def __init__(self, inputs: Sequence[tuple[int, ...]], output: tuple[int, ...]) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        channels, side = checked_image("DenseBlockDecoder", "output", self.output, SIDES)
        width = (FIRST + 4 * GROWTH) // 2
        self.features = (width, side // 4, side // 4)
        self.first = nn.Linear(sum(map(prod, self.inputs)), prod(self.features) // 2)
        self.dense = nn.Linear(prod(self.features) // 2, prod(self.features))
        low = _Dense(width, 6)
        from_low, half = _halved(low.width)
        high = _Dense(half, 4)
        from_high, last = _halved(high.width)
        self.convolutions = nn.Sequential(
            low,
            from_low,
            _ready(half),
            nn.ConvTranspose2d(half, half, 3, stride=2, padding=1, output_padding=1, bias=False),
            high,
            from_high,
            _ready(last),
            nn.ConvTranspose2d(last, last, 4, stride=2, padding=1, output_padding=1, bias=False),
        )
        self.output_layer = nn.Conv2d(last, channels, 5, padding=2)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (*lead_i, *inputs[i]) to (*lead, *output)."""
        parts = flattened(inputs, self.inputs)
        dense = self.dense(torch.relu(joined(self.first, parts)))
        features, lead = fold(shaped(dense, self.features), 3)
        return unfold(self.output_layer(self.convolutions(features)), lead)

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"inputs={self.inputs}, output={self.output}"
