"""The networks of the ladder VAE: a bottom-up pass that all levels share, and the steps down again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import final

from torch import Tensor, nn

from vaekit.networks.axes import check_call, checked_events, checked_widths, flat, shaped
from vaekit.networks.batch_norm import BatchNorm

SLOPE = 0.1
LAYERS = 2


@final
class Block(nn.Module):
    """Fully connected layers, each with max(x, 0.1 x) behind it, and batch normalisation before if asked for.

    Shapes:
        x: (*lead, inputs); result: (*lead, width).
    """

    def __init__(self, inputs: int, width: int, batch_norm: bool = False) -> None:
        super().__init__()
        (self.width,) = checked_widths("width", (width,))
        layers: list[nn.Module] = []
        for size in (inputs, *[width] * (LAYERS - 1)):
            layers += [
                nn.Linear(size, width),
                *([BatchNorm(width)] if batch_norm else []),
                nn.LeakyReLU(SLOPE),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (*lead, inputs) to (*lead, width)."""
        found: Tensor = self.layers(x)
        return found


@final
class Upward(nn.Module):
    """x -> (h_1, ..., h_L), h_1 = f_1(x), h_l = f_l(h_l-1): what the levels of a ladder see of the data.

    Shapes:
        x: (*lead, *event); result l: (*lead, widths[l]).

    Args:
        event: event shape of the datum.
        widths: of the levels, from the data upwards.
        batch_norm: whether every layer is normalised.

    References:
        Ladder Variational Autoencoders. C. K. Sonderby et al., 2016, arXiv 1602.02282.
    """

    def __init__(self, event: tuple[int, ...], widths: Sequence[int], batch_norm: bool = False) -> None:
        super().__init__()
        (self.event,), _ = checked_events([event], (1,))
        sizes = [prod(self.event), *checked_widths("widths", widths)]
        self.blocks = nn.ModuleList(Block(size, width, batch_norm) for size, width in pairwise(sizes))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features of every level, from the data upwards."""
        check_call([x], (self.event,))
        found = [flat(x, self.event)]
        for block in self.blocks:
            found.append(block(found[-1]))
        return tuple(found[1:])


@final
class Downward(nn.Module):
    """One step down a ladder: a block and an affine map of the level right above.

    What stands further above is taken and ignored: a ladder's p(z_l|z_l+1) makes its prior a chain.

    Shapes:
        nearest: (*lead, inputs); result: (*lead, *output).

    Args:
        inputs: dimensions of the level right above.
        output: event shape of the result.
        width: of the block.
        batch_norm: whether its layers are normalised.
    """

    def __init__(self, inputs: int, output: tuple[int, ...], width: int, batch_norm: bool = False) -> None:
        super().__init__()
        self.inputs, self.output = checked_events([(inputs,)], output)
        self.block = Block(inputs, width, batch_norm)
        self.output_layer = nn.Linear(width, prod(self.output))

    def forward(self, nearest: Tensor, *further: Tensor) -> Tensor:
        """Map (*lead, inputs) to (*lead, *output)."""
        check_call([nearest], self.inputs)
        return shaped(self.output_layer(self.block(nearest)), self.output)
