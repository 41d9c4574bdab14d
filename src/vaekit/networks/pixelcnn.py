"""The gated PixelCNN, with causal self-attention: logits for every place of a map given the places before it.

References:
    A. van den Oord et al., Conditional Image Generation with PixelCNN Decoders, 2016, arXiv 1606.05328 (two
    stacks, gates, conditions); X. Chen et al., PixelSNAIL, 2017, arXiv 1712.09763 (causal attention between
    the blocks); A. Razavi et al., VQ-VAE-2, 2019, arXiv 1906.00446 (as a prior over codes).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaekit.checks import number, whole
from vaekit.networks.axes import check_call, checked_events, flat

Mask = Literal["A", "B"]


@final
class CausalConv2d(nn.Module):
    """A convolution whose output at a place depends on the places before it, in raster order.

    Type A leaves the place itself out (the first layer), type B lets it in (every later one). The part of
    the kernel that a mask would set to zero is not there at all.

    Args:
        stack: "vertical" sees the rows above (B: and its own) over the whole width of the kernel;
            "horizontal" sees what lies to the left in its own row.
        mask: A or B.
        before: input channels.
        after: output channels.
        reach: half the width of the square that the mask is cut from: places seen to each side.
    """

    def __init__(
        self, stack: Literal["vertical", "horizontal"], mask: Mask, before: int, after: int, reach: int
    ) -> None:
        super().__init__()
        if stack == "vertical":
            # (left, right, top, bottom); A: the rows i - reach .. i - 1, B: those and row i
            size, self.padding = (reach + (mask == "B"), 2 * reach + 1), (reach, reach, reach, 0)
        else:
            size, self.padding = (1, reach + (mask == "B")), (reach, 0, 0, 0)
        self.stack, self.mask = stack, mask
        self.convolution = nn.Conv2d(before, after, size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H, W)."""
        rows, columns = x.shape[-2:]
        # type A has one line more than it needs at the end, which would be the line after the last
        found: Tensor = self.convolution(functional.pad(x, self.padding))[..., :rows, :columns]
        return found


def gate(x: Tensor) -> Tensor:
    """tanh(a) sigmoid(b) of the two halves of the channels."""
    a, b = x.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)


@final
class GatedBlock(nn.Module):
    """One layer of the two stacks: v' = gate(V v + c), h' = h + W gate(H h + L V v + c).

    Maps of one row have nothing above them: `above` is False, and the vertical stack is left out.
    """

    def __init__(self, width: int, reach: int, mask: Mask, dropout: float, above: bool = True) -> None:
        super().__init__()
        self.vertical = CausalConv2d("vertical", mask, width, 2 * width, reach) if above else None
        self.horizontal = CausalConv2d("horizontal", mask, width, 2 * width, reach)
        self.link = nn.Conv2d(2 * width, 2 * width, 1) if above else None
        self.out = nn.Conv2d(width, width, 1)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.residual = mask == "B"  # type A must not hand its own place on

    def forward(self, v: Tensor, h: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Both stacks (N, width, H, W); the condition is broadcastable to (N, 2 width, H, W)."""
        beside = self.horizontal(h)
        if self.vertical is not None and self.link is not None:
            above = self.vertical(v)
            beside = beside + self.link(above)
            v = gate(above if condition is None else above + condition)
        left = self.out(self.dropout(gate(beside if condition is None else beside + condition)))
        return v, h + left if self.residual else left


@final
class CausalAttention(nn.Module):
    """h' = h + A(h): every place looks at itself and all places before it; h at i knows x_<i alone."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"`width` is {width}; expected a multiple of {heads}, the number of heads")
        self.heads = heads
        self.project = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, h: Tensor) -> Tensor:
        """(N, width, H, W) -> (N, width, H, W)."""
        parts = self.project(h).flatten(2).unflatten(1, (3, self.heads, -1)).transpose(-1, -2)
        query, key, value = parts.unbind(1)  # (N, heads, H W, width / heads)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        total: Tensor = h + self.out(mixed.transpose(-1, -2).reshape(h.shape))
        return total


@final
class PixelCNN(nn.Module):
    """Maps of classes to logits, each a function of the classes before it in raster order.

    Classes are embedded; a gated layer of type A that reaches 3 places, `blocks` of type B, the last
    `attention` of which are followed by causal self-attention; 1x1, ReLU, 1x1. A place knows where it
    is by a learned vector.

    Shapes:
        input 0: (*lead, H, W), (*lead, 1, H, W) or (*lead, P), whole numbers 0 .. K-1 in any type; the
        condition: (*lead_c, *inputs[1]); result: (*lead, *event, K), leading axes broadcast.

    Args:
        inputs: event shapes; the first is the map, the second, if any, the condition.
        output: (*event, K), with the event of the first input.
        width: channels.
        blocks: layers of type B.
        reach: places that one of these layers sees to each side: kernels are 2 reach + 1 wide.
        attention: how many of them have self-attention behind them.
        heads: of the self-attention; the width must be a multiple of it.
        dropout: share of the features of each layer that is left out in training.
        context_levels: number of classes, where the condition is a map of classes itself; None where it is
            made of real numbers.
    """

    def __init__(
        self,
        inputs: Sequence[tuple[int, ...]],
        output: tuple[int, ...],
        width: int = 64,
        blocks: int = 8,
        reach: int = 2,
        attention: int = 0,
        heads: int = 4,
        dropout: float = 0.0,
        context_levels: int | None = None,
    ) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        self.levels = self.output[-1]
        if self.output[:-1] != self.inputs[0]:
            raise ValueError(f"`output` is {self.output}; expected {(*self.inputs[0], 'K')}, as the input")
        if len(self.inputs) > 2:
            raise ValueError(f"`inputs` is {self.inputs}; expected the map and at most one condition")
        self.side = map_of(self.inputs[0])
        whole("reach", reach)
        if whole("attention", attention, least=0) > whole("blocks", blocks):
            raise ValueError(f"`attention` is {attention}; expected at most {blocks}, the number of blocks")
        number("dropout", dropout, least=0, most=0.95)
        whole("width", width)
        whole("heads", heads)
        self.embedding = nn.Embedding(self.levels, width)
        self.place = nn.Parameter(torch.zeros(width, *self.side))
        above = self.side[0] > 1
        self.first = GatedBlock(width, 3, "A", 0.0, above)
        self.blocks = nn.ModuleList(GatedBlock(width, reach, "B", dropout, above) for _ in range(blocks))
        self.attention = nn.ModuleList(CausalAttention(width, heads) for _ in range(attention))
        self.condition = (
            Condition(self.inputs[1], self.side, 2 * width, context_levels) if len(self.inputs) == 2 else None
        )
        self.head = nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.ReLU())
        self.output_layer = nn.Conv2d(2 * width, self.levels, 1)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Classes (*lead, *event) and the condition (*lead_c, *context) to logits (*lead, *event, K)."""
        check_call(inputs, self.inputs)
        lead = torch.broadcast_shapes(
            *(x.shape[: x.dim() - len(event)] for x, event in zip(inputs, self.inputs, strict=True))
        )
        codes, *context = (
            x.expand(*lead, *event).reshape(-1, *event) for x, event in zip(inputs, self.inputs, strict=True)
        )
        features = self.embedding(codes.long().reshape(-1, *self.side)).movedim(-1, 1)
        logits = self.logits(features, *context)
        return logits.movedim(1, -1).reshape(*lead, *self.output)

    def logits(self, features: Tensor, *context: Tensor) -> Tensor:
        """Embedded classes (N, width, H, W) to logits (N, K, H, W): here causality can be differentiated."""
        condition = self.condition(*context) if self.condition is not None else None
        v, h = self.first(features, features, condition)
        v, h = v + self.place, h + self.place
        plain = len(self.blocks) - len(self.attention)
        for number_, block in enumerate(self.blocks):
            v, h = block(v, h, condition)
            if number_ >= plain:
                h = self.attention[number_ - plain](h)
        found: Tensor = self.output_layer(self.head(h))
        return found


@final
class Condition(nn.Module):
    """A condition as something to be added at every place of a map.

    A map of classes is embedded, enlarged to the size of the map by repetition, and passes two 3x3
    convolutions; everything else is flattened and becomes one vector for all places.

    Args:
        event: event shape of the condition.
        side: (H, W) of the map.
        width: channels of the result.
        levels: number of classes, or None for real numbers.
    """

    def __init__(self, event: tuple[int, ...], side: tuple[int, int], width: int, levels: int | None) -> None:
        super().__init__()
        self.event, self.side = tuple(event), side
        if levels is None:
            self.embedding = None
            self.project: nn.Module = nn.Linear(prod(event), width)
        else:
            self.map = map_of(self.event)
            self.embedding = nn.Embedding(whole("context_levels", levels, least=2), width // 2)
            self.project = nn.Sequential(
                nn.Conv2d(width // 2, width // 2, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(width // 2, width, 3, padding=1),
            )

    def forward(self, context: Tensor) -> Tensor:
        """(N, *event) -> (N, width, 1, 1) or (N, width, H, W)."""
        if self.embedding is None:
            vector: Tensor = self.project(flat(context, self.event))
            return vector[..., None, None]
        features = self.embedding(context.long().reshape(-1, *self.map)).movedim(-1, 1)
        if self.map != self.side:
            features = functional.interpolate(features, self.side, mode="nearest")
        found: Tensor = self.project(features)
        return found


def map_of(event: tuple[int, ...]) -> tuple[int, int]:
    """(H, W) of an event that is a map (H, W), (1, H, W), or a row (P,).

    Raises:
        ValueError: if it is none of them.
    """
    if len(event) == 1:
        return 1, event[0]
    if len(event) == 3 and event[0] == 1:
        return event[1], event[2]
    if len(event) == 2:
        return event[0], event[1]
    raise ValueError(f"got an event {event}; expected a map (H, W), (1, H, W) or a row (P,) of classes")
