"""A small convolutional pair for 28x28 images."""

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
from vaekit.networks.initialise import glorot_


@final
class Conv28Encoder(nn.Module):
    """Images (C, 28, 28) to a flat vector: two strided convolutions and a layer of 256, all ReLU.

    Convolutions 4x4 with stride 2 to 32 and 64 channels (28, 14, 7 pixels); 3,136 features and the further
    inputs to 256; linear output. Glorot-uniform weights, zero biases.

    Shapes:
        input 0: (*lead_0, C, 28, 28); input i: (*lead_i, *inputs[i]); result: (*lead, *output).

    Args:
        inputs: event shapes; the first is the image, further ones join the features before the layer of 256.
        output: event shape of the result.

    Raises:
        ValueError: the first input is no 28x28 image, or a shape is not allowed.
    """

    def __init__(self, inputs: Sequence[tuple[int, ...]], output: tuple[int, ...]) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        channels, _ = checked_image("Conv28Encoder", "inputs[0]", self.inputs[0], (28,))
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
        )
        self.dense = nn.Linear(64 * 7 * 7 + sum(map(prod, self.inputs[1:])), 256)
        self.output_layer = nn.Linear(256, prod(self.output))
        glorot_(self)

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
class Conv28Decoder(nn.Module):
    """Vectors to images (C, 28, 28): the layers of `Conv28Encoder` in reverse, ReLU between.

    Layers of 256 and 3,136, which are 64 channels of 7x7; transposed convolutions 4x4 with stride 2 to 32
    and C channels. The output is linear (logits). Glorot-uniform weights, zero biases.

    Shapes:
        input i: (*lead_i, *inputs[i]); result: (*lead, C, 28, 28), leading axes broadcast.

    Args:
        inputs: event shapes; they are flattened and joined.
        output: (C, 28, 28), where C counts the channels times the parameters of each pixel.

    Raises:
        ValueError: the output is no 28x28 image, or a shape is not allowed.
    """

    def __init__(self, inputs: Sequence[tuple[int, ...]], output: tuple[int, ...]) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        channels, _ = checked_image("Conv28Decoder", "output", self.output, (28,))
        self.first = nn.Linear(sum(map(prod, self.inputs)), 256)
        self.dense = nn.Linear(256, 64 * 7 * 7)
        self.convolution = nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)
        self.output_layer = nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1)
        glorot_(self)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (*lead_i, *inputs[i]) to (*lead, *output)."""
        parts = flattened(inputs, self.inputs)
        dense = torch.relu(self.dense(torch.relu(joined(self.first, parts))))
        features, lead = fold(shaped(dense, (64, 7, 7)), 3)
        images = torch.relu(self.convolution(features))
        return unfold(self.output_layer(images), lead)

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"inputs={self.inputs}, output={self.output}"
