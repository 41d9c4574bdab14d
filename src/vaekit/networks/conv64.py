"""The 64x64 convolutional pair of the disentanglement studies.

References:
    beta-VAE, I. Higgins et al., ICLR 2017, table 1, row 3; Challenging Common Assumptions in the
    Unsupervised Learning of Disentangled Representations, F. Locatello et al., 2019, arXiv 1811.12359;
    layers as in its code (google-research/disentanglement_lib, `methods/shared/architectures.py`).
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
from vaekit.networks.initialise import glorot_


@final
class StudyEncoder(nn.Module):
    """Images (C, 64, 64) to a flat vector: four strided convolutions and a layer of 256, all ReLU.

    Convolutions 4x4 to 32 channels, 4x4 to 32, 2x2 to 64, 2x2 to 64, each with stride 2 (64, 32, 16, 8, 4
    pixels); 1,024 features and the further inputs to 256; linear output. Glorot-uniform weights, zero
    biases. With one channel and output (20,) there are 309,204 parameters.

    Differences from the studies: their heads for mean and log-variance are one layer here, whose initial
    weights are 2 % narrower at ten latents (the fan-out is that of both).

    Shapes:
        input 0: (*lead_0, C, 64, 64); input i: (*lead_i, *inputs[i]); result: (*lead, *output).

    Args:
        inputs: event shapes; the first is the image, further ones join the features before the layer of 256.
        output: event shape of the result.

    Raises:
        ValueError: the first input is no 64x64 image, or a shape is not allowed.
    """

    def __init__(self, inputs: Sequence[tuple[int, ...]], output: tuple[int, ...]) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        channels, _ = checked_image("StudyEncoder", "inputs[0]", self.inputs[0], (64,))
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 2, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, 2, stride=2),
            nn.ReLU(),
        )
        self.dense = nn.Linear(1024 + sum(map(prod, self.inputs[1:])), 256)
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
class StudyDecoder(nn.Module):
    """Vectors to images (C, 64, 64): layers of 256 and 1,024, four transposed convolutions, ReLU between.

    The 1,024 features are 64 channels of 4x4; transposed convolutions 4x4 with stride 2 to 64, 32, 32 and C
    channels. The output is linear (logits). Glorot-uniform weights, zero biases. With ten latents and one
    channel there are 381,313 parameters.

    Shapes:
        input i: (*lead_i, *inputs[i]); result: (*lead, C, 64, 64), leading axes broadcast.

    Args:
        inputs: event shapes; they are flattened and joined.
        output: (C, 64, 64), where C counts the channels times the parameters of each pixel.

    Raises:
        ValueError: the output is no 64x64 image, or a shape is not allowed.
    """

    def __init__(self, inputs: Sequence[tuple[int, ...]], output: tuple[int, ...]) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        channels, _ = checked_image("StudyDecoder", "output", self.output, (64,))
        self.first = nn.Linear(sum(map(prod, self.inputs)), 256)
        self.dense = nn.Linear(256, 1024)
        self.convolutions = nn.Sequential(
            nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
        )
        self.output_layer = nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1)
        glorot_(self)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (*lead_i, *inputs[i]) to (*lead, *output)."""
        parts = flattened(inputs, self.inputs)
        dense = torch.relu(self.dense(torch.relu(joined(self.first, parts))))
        features, lead = fold(shaped(dense, (64, 4, 4)), 3)
        return unfold(self.output_layer(self.convolutions(features)), lead)

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"inputs={self.inputs}, output={self.output}"
