"""Convolutional networks around quantised maps: the encoders and decoders of VQ-VAE and VQ-VAE-2.

References:
    A. van den Oord, O. Vinyals, K. Kavukcuoglu, Neural Discrete Representation Learning, NIPS 2017, arXiv
    1711.00937, section 4.1; A. Razavi, A. van den Oord, O. Vinyals, VQ-VAE-2, NeurIPS 2019, arXiv 1906.00446,
    and the example of deepmind/sonnet for the widths.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import final

import torch
from torch import Tensor, nn

from vaekit.checks import sizes
from vaekit.networks.axes import check_call, checked_events, flat, fold, joined, unfold

WIDTHS = (64, 128)
"""Channels after the first and the second halving of the resolution."""


def halved(n: int) -> int:
    """Side length after a strided convolution: half of it, rounded up."""
    return (n + 1) // 2


def down(before: int, after: int, side: int) -> nn.Conv2d:
    """Half the resolution: 4x4 with stride 2 from an even side, 3x3 from an odd one."""
    return nn.Conv2d(before, after, 4 if side % 2 == 0 else 3, stride=2, padding=1)


def up(before: int, after: int, side: int) -> nn.ConvTranspose2d:
    """The reverse of `down`: to a side that is even or odd."""
    return nn.ConvTranspose2d(before, after, 4 if side % 2 == 0 else 3, stride=2, padding=1)


@final
class Residual(nn.Module):
    """x + conv1x1(relu(conv3x3(relu(x)))), as in the papers."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, inner, 3, padding=1)
        self.second = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> (N, width, H, W)."""
        total: Tensor = x + self.second(torch.relu(self.first(torch.relu(x))))
        return total


def residuals(width: int) -> nn.Sequential:
    """Two residual blocks of a quarter of the width, and a ReLU."""
    inner = max(1, width // 4)
    return nn.Sequential(Residual(width, inner), Residual(width, inner), nn.ReLU())


def _image(name: str, event: tuple[int, ...]) -> tuple[int, int]:
    if len(event) != 3 or event[1] != event[2]:
        raise ValueError(f"`{name}` is {event}; expected a square map (channels, n, n)")
    return event[0], event[1]


def _widths(hidden: Sequence[int]) -> tuple[int, int]:
    first, *rest = sizes("hidden", hidden, least=1)
    if len(rest) > 1:
        raise ValueError(
            f"`hidden` is {tuple(hidden)}; expected the channels after the first and the second halving, "
            f"such as {WIDTHS}"
        )
    return first, rest[0] if rest else first


@final
class CodeEncoder(nn.Module):
    """Images (C, n, n) to maps (D, n/4, n/4): two strided convolutions, 3x3, two residual blocks, 1x1.

    Further inputs are flattened, mapped linearly and added to the features at every place.

    Args:
        inputs: event shapes; the first is the image.
        output: (D, m, m) with m = n/4, rounded up.
        hidden: channels after the first and the second halving.

    Raises:
        ValueError: if the shapes do not fit each other.
    """

    def __init__(
        self,
        inputs: Sequence[tuple[int, ...]],
        output: tuple[int, ...],
        hidden: Sequence[int] = WIDTHS,
    ) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        channels, side = _image("inputs[0]", self.inputs[0])
        first, second = _widths(hidden)
        if self.output[1:] != (halved(halved(side)),) * 2:
            raise ValueError(
                f"`output` is {self.output}; expected a map of side {halved(halved(side))} for images of "
                f"{side}"
            )
        self.reduce = nn.Sequential(
            down(channels, first, side),
            nn.ReLU(),
            down(first, second, halved(side)),
            nn.ReLU(),
            nn.Conv2d(second, second, 3, padding=1),
        )
        self.residuals = residuals(second)
        self.further = _further(self.inputs[1:], second)
        self.output_layer = nn.Conv2d(second, self.output[0], 1)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (*lead_i, *inputs[i]) to (*lead, *output)."""
        check_call(inputs, self.inputs)
        features = on_map(self.reduce, inputs[0])
        features = added(features, self.further, inputs[1:], self.inputs[1:])
        return on_map(self.output_layer, on_map(self.residuals, features))


@final
class CodeDecoder(nn.Module):
    """Maps (D, m, m), ... to images (C, n, n): 3x3, two residual blocks, two transposed convolutions.

    Coarser maps are enlarged to the size of the first by transposed convolutions and laid beside it. Further
    inputs are flattened, mapped linearly and added to the features at every place.

    Args:
        inputs: event shapes: `maps` maps, the finest first, then whatever else is known.
        output: (C, n, n) with n/4 = m, rounded up; C counts the channels times the parameters of each pixel.
        hidden: channels after the first and the second halving of the encoder.
        maps: number of maps.

    Raises:
        ValueError: if the shapes do not fit each other.
    """

    def __init__(
        self,
        inputs: Sequence[tuple[int, ...]],
        output: tuple[int, ...],
        hidden: Sequence[int] = WIDTHS,
        maps: int = 1,
    ) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        self.maps = maps
        channels, side = _image("output", self.output)
        first, second = _widths(hidden)
        _, place = _image("inputs[0]", self.inputs[0])
        if halved(halved(side)) != place:
            raise ValueError(
                f"`inputs` is {self.inputs}; expected a map of side {halved(halved(side))} for images of "
                f"{side}"
            )
        self.enlarge = nn.ModuleList(
            _Enlarge(event, place, f"inputs[{i + 1}]") for i, event in enumerate(self.inputs[1:maps])
        )
        self.first = nn.Conv2d(sum(event[0] for event in self.inputs[:maps]), second, 3, padding=1)
        self.further = _further(self.inputs[maps:], second)
        self.residuals = residuals(second)
        self.restore = nn.Sequential(up(second, first, halved(side)), nn.ReLU())
        self.output_layer = up(first, channels, side)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (*lead_i, *inputs[i]) to (*lead, *output)."""
        check_call(inputs, self.inputs)
        coarser = [on_map(enlarge, x) for enlarge, x in zip(self.enlarge, inputs[1 : self.maps], strict=True)]
        features = on_map(self.first, torch.cat([inputs[0], *coarser], -3) if coarser else inputs[0])
        features = added(features, self.further, inputs[self.maps :], self.inputs[self.maps :])
        return on_map(self.output_layer, on_map(self.restore, on_map(self.residuals, features)))


@final
class CodePyramid(nn.Module):
    """Images to the features of two levels, (h_bottom, h_top): a quarter and an eighth of the resolution.

    Two strided convolutions, 3x3 and two residual blocks give h_bottom; a strided convolution, 3x3 and two
    residual blocks on it give h_top. Further inputs are added to the bottom as in `CodeEncoder`.

    Args:
        inputs: event shapes; the first is the image.
        hidden: channels after the first and the second halving; both results have the latter.
    """

    def __init__(self, inputs: Sequence[tuple[int, ...]], hidden: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        first, second = _widths(hidden)
        self.inputs, _ = checked_events(inputs, (1,))
        channels, side = _image("inputs[0]", self.inputs[0])
        quarter = halved(halved(side))
        self.bottom = (second, quarter, quarter)
        self.top = (second, halved(quarter), halved(quarter))
        self.reduce = nn.Sequential(
            down(channels, first, side),
            nn.ReLU(),
            down(first, second, halved(side)),
            nn.ReLU(),
            nn.Conv2d(second, second, 3, padding=1),
        )
        self.residuals = residuals(second)
        self.further = _further(self.inputs[1:], second)
        self.above = nn.Sequential(
            down(second, second, quarter), nn.ReLU(), nn.Conv2d(second, second, 3, padding=1)
        )
        self.residuals_above = residuals(second)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Map (*lead_i, *inputs[i]) to (*lead, width, m, m) and (*lead, width, m/2, m/2)."""
        check_call(inputs, self.inputs)
        features = on_map(self.reduce, inputs[0])
        features = added(features, self.further, inputs[1:], self.inputs[1:])
        bottom = on_map(self.residuals, features)
        return bottom, on_map(self.residuals_above, on_map(self.above, bottom))


@final
class CodeHead(nn.Module):
    """Features of a level, and the quantised level above it, to vectors that are quantised.

    At the top a 1x1 convolution. Below it the level above passes 3x3, two residual blocks and a transposed
    convolution, is laid beside the features, and a 1x1 convolution follows (dec_t of the paper). A condition
    is ignored: it is in the features.

    Args:
        features: (width, m, m).
        output: (D, m, m).
        above: (D', m', m') of the quantised level above, or None.
    """

    def __init__(
        self, features: tuple[int, ...], output: tuple[int, ...], above: tuple[int, ...] | None = None
    ) -> None:
        super().__init__()
        width, side = _image("features", features)
        self.decode = None
        if above is not None:
            self.decode = nn.Sequential(
                nn.Conv2d(above[0], width, 3, padding=1), residuals(width), up(width, above[0], side)
            )
        beside = 0 if above is None else above[0]
        self.output_layer = nn.Conv2d(width + beside, output[0], 1)

    def forward(self, features: Tensor, *inputs: Tensor) -> Tensor:
        """(*lead, width, m, m) and, below the top, (*lead, D', m', m') to (*lead, D, m, m)."""
        if self.decode is not None:
            enlarged = on_map(self.decode, inputs[0])
            if features.dim() < enlarged.dim():
                features = features.expand(*enlarged.shape[:-3], *features.shape[-3:])
            features = torch.cat([features, enlarged], -3)
        return on_map(self.output_layer, features)


@final
class _Enlarge(nn.Module):
    """A map at a multiple of its resolution, by transposed convolutions that keep its channels."""

    def __init__(self, event: tuple[int, ...], side: int, name: str) -> None:
        super().__init__()
        channels, own = _image(name, event)
        chain = [side]
        while chain[-1] > own:
            chain.append(halved(chain[-1]))
        if chain[-1] != own:
            raise ValueError(f"`{name}` is {event}; expected a map whose side is {side} halved some times")
        self.layers = nn.Sequential(*(up(channels, channels, n) for n in reversed(chain[:-1])))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(x)
        return found


def _further(events: tuple[tuple[int, ...], ...], width: int) -> nn.Linear | None:
    return nn.Linear(sum(map(prod, events)), width) if events else None


def added(
    features: Tensor,
    layer: nn.Linear | None,
    inputs: tuple[Tensor, ...],
    events: tuple[tuple[int, ...], ...],
) -> Tensor:
    """Features (*lead, width, H, W) plus a linear map of further inputs (*lead_i, *events[i])."""
    if layer is None:
        return features
    parts = [flat(x, event) for x, event in zip(inputs, events, strict=True)]
    return features + joined(layer, parts)[..., None, None]


def on_map(layer: nn.Module, x: Tensor) -> Tensor:
    """A convolutional layer on maps with any leading axes."""
    folded, lead = fold(x, 3)
    return unfold(layer(folded), lead)
