"""Networks that judge data: features of a named layer and logits, from one pass."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Literal, NamedTuple, final

from torch import Tensor, nn

from vaekit.networks.axes import Event, checked_image, checked_widths
from vaekit.networks.batch_norm import BatchNorm
from vaekit.networks.larsen import SIZES

CriticArchitecture = Literal["mlp", "conv"]
"""mlp: fully connected. conv: convolutions for images of 28, 32 or 64 pixels."""

CONV28_LAYER, LARSEN_LAYER = 2, 4
"""The last convolution of each critic; of the one for 64 pixels, the layer that Larsen et al. compare."""


class Sight(NamedTuple):
    """What a critic makes of N data: `features`, (N, F), and `logits`, (N, outputs)."""

    features: Tensor
    logits: Tensor


@final
class Critic(nn.Module):
    """A stack of layers that judges data, and whose inner representation serves as a measure of likeness.

    Layer l is one linear map (a convolution, a fully connected layer), with what stands between it and the
    map before it: its nonlinearity, its normalisation. The features of layer l are the map's own output,
    before any nonlinearity; layer 0 is the datum itself.

    Shapes:
        x: (N, *event) -> features (N, F), logits (N, outputs).

    Args:
        layers: from the data to the logits, which the last one gives.
        layer: number of the layer whose features are taken, 0 to the number of layers - 1; by default the
            last before the logits.

    Raises:
        ValueError: there is no such layer.
    """

    def __init__(self, layers: Sequence[nn.Module], layer: int | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.layer = len(layers) - 1 if layer is None else layer
        if not 0 <= self.layer < len(layers):
            raise ValueError(
                f"`layer` is {layer}; this critic has the layers 0 (the data) to {len(layers) - 1}"
            )

    def forward(self, x: Tensor) -> Sight:
        """Judge (N, *event)."""
        features = x
        for number, layer in enumerate(self.layers, 1):
            x = layer(x)
            if number == self.layer:
                features = x
        return Sight(features.flatten(1), x)

    def features(self, x: Tensor) -> Tensor:
        """The features alone, (N, F), at the cost of the layers below them."""
        for layer in self.layers[: self.layer]:
            x = layer(x)
        return x.flatten(1)

    def extra_repr(self) -> str:
        """The argument that the layers do not show."""
        return f"layer={self.layer}"


def make_critic(
    architecture: CriticArchitecture,
    event: Event,
    outputs: int = 1,
    hidden: Sequence[int] | None = None,
    layer: int | None = None,
) -> Critic:
    """A critic for data of a shape.

    mlp: layers of 512 and 256, or `hidden`, with LeakyReLU (slope 0.2) between.
    conv at 28x28: the layers of `Conv28Encoder`, LeakyReLU between.
    conv at 64x64 and 32x32: the discriminator of Larsen et al. 2016: convolutions 5x5 to 32 channels (ReLU),
    and with stride 2 to 128, 256 and 256, a layer of 512, each with batch normalisation and ReLU.

    Args:
        architecture: which layers.
        event: shape of one datum.
        outputs: number of logits.
        hidden: widths of the hidden layers of mlp.
        layer: whose features are taken; by default the last before the logits.

    Raises:
        ValueError: the architecture does not take the shape, or there is no such layer.
    """
    if architecture == "mlp":
        widths = [prod(event), *checked_widths("hidden", (512, 256) if hidden is None else hidden), outputs]
        first, *further = (nn.Linear(n, m) for n, m in pairwise(widths))
        layers: list[nn.Module] = [nn.Sequential(nn.Flatten(), first)]
        return Critic([*layers, *(nn.Sequential(nn.LeakyReLU(0.2), each) for each in further)], layer)
    channels, side = checked_image("a critic with convolutions", "event", event, (28, *SIZES))
    if side == 28:
        maps = [
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.Sequential(nn.Flatten(), nn.Linear(64 * 7 * 7, 256)),
            nn.Linear(256, outputs),
        ]
        return Critic([maps[0], *(nn.Sequential(nn.LeakyReLU(0.2), each) for each in maps[1:])], layer)

    def after(width: int, each: nn.Module, images: bool = True) -> nn.Sequential:
        return nn.Sequential(BatchNorm(width, images, running=False), nn.ReLU(), each)

    def halve(before: int, width: int) -> nn.Module:
        return nn.Conv2d(before, width, 5, stride=2, padding=2, bias=False)

    dense = nn.Sequential(nn.Flatten(), nn.Linear(256 * (side // 8) ** 2, 512, bias=False))
    layers = [
        nn.Conv2d(channels, 32, 5, padding=2),
        nn.Sequential(nn.ReLU(), halve(32, 128)),
        after(128, halve(128, 256)),
        after(256, halve(256, 256)),
        after(256, dense),
        after(512, nn.Linear(512, outputs), images=False),
    ]
    return Critic(layers, layer)
