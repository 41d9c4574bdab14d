"""The convolutional encoder and decoder of VAE/GAN, which normalise over the batch.

References:
    Autoencoding beyond pixels using a learned similarity metric, A. B. L. Larsen, S. K. Sonderby,
    H. Larochelle, O. Winther, ICML 2016, arXiv 1512.09300, table 1; layers as in its code
    (andersbll/autoencoding_beyond_pixels) where they are said to differ.
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

SIZES = (32, 64)
"""Sides of images: that of the paper, and half of it, whose maps have half its sides."""


@final
class LarsenEncoder(nn.Module):
    """Images (C, 64, 64) to a flat vector: convolutions 5x5 with stride 2 to 64, 128, 256; a layer of 1,024.

    Batch normalisation and ReLU after each. Further inputs join before the layer of 1,024.

    Differences from the paper: the layer has 2,048 units there and 1,024 in its code; images of 32x32 are
    taken too.

    Shapes:
        input 0: (*lead_0, C, 64, 64); input i: (*lead_i, *inputs[i]); result: (*lead, *output).

    Args:
        inputs: event shapes; the first is the image.
        output: event shape of the result.

    Raises:
        ValueError: the first input is no image of 32x32 or 64x64, or a shape is not allowed.
    """

    def __init__(self, inputs: Sequence[tuple[int, ...]], output: tuple[int, ...]) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        channels, side = checked_image("LarsenEncoder", "inputs[0]", self.inputs[0], SIZES)
        layers: list[nn.Module] = []
        for before, after in ((channels, 64), (64, 128), (128, 256)):
            layers += [
                nn.Conv2d(before, after, 5, stride=2, padding=2, bias=False),
                BatchNorm(after, images=True),
            ]
            layers += [nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        joint = 256 * (side // 8) ** 2 + sum(map(prod, self.inputs[1:]))
        self.dense = nn.Linear(joint, 1024, bias=False)
        self.normal = BatchNorm(1024)
        self.output_layer = nn.Linear(1024, prod(self.output))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (*lead_i, *inputs[i]) to (*lead, *output)."""
        check_call(inputs, self.inputs)
        images, lead = fold(inputs[0], 3)
        parts = [unfold(self.convolutions(images).flatten(1), lead)]
        parts += [flat(x, event) for x, event in zip(inputs[1:], self.inputs[1:], strict=True)]
        dense, lead = fold(joined(self.dense, parts), 1)
        return shaped(unfold(self.output_layer(torch.relu(self.normal(dense))), lead), self.output)

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"inputs={self.inputs}, output={self.output}"


@final
class LarsenDecoder(nn.Module):
    """Vectors to images (C, 64, 64): 256 channels of 8x8, transposed convolutions 5x5 to 256, 128, 32; to C.

    Batch normalisation and ReLU after each but the last, a 5x5 convolution with a linear output.

    Differences from the paper: images of 32x32 are made too.

    Shapes:
        input i: (*lead_i, *inputs[i]); result: (*lead, C, 64, 64), leading axes broadcast.

    Args:
        inputs: event shapes; they are flattened and joined.
        output: (C, 64, 64).

    Raises:
        ValueError: the output is no image of 32x32 or 64x64, or a shape is not allowed.
    """

    def __init__(self, inputs: Sequence[tuple[int, ...]], output: tuple[int, ...]) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        channels, side = checked_image("LarsenDecoder", "output", self.output, SIZES)
        self.start = (256, side // 8, side // 8)
        self.dense = nn.Linear(sum(map(prod, self.inputs)), prod(self.start), bias=False)
        self.normal = BatchNorm(prod(self.start))
        layers: list[nn.Module] = []
        for before, after in ((256, 256), (256, 128), (128, 32)):
            layers += [
                nn.ConvTranspose2d(before, after, 5, stride=2, padding=2, output_padding=1, bias=False),
                BatchNorm(after, images=True),
                nn.ReLU(),
            ]
        self.convolutions = nn.Sequential(*layers)
        self.output_layer = nn.Conv2d(32, channels, 5, padding=2)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (*lead_i, *inputs[i]) to (*lead, *output)."""
        parts = flattened(inputs, self.inputs)
        dense, lead = fold(joined(self.dense, parts), 1)
        features = shaped(torch.relu(self.normal(dense)), self.start)
        return unfold(self.output_layer(self.convolutions(features)), lead)

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"inputs={self.inputs}, output={self.output}"
