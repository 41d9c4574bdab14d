"""The dense network of second stages: its input stands beside its last hidden layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import prod
from typing import cast, final

import torch
from torch import Tensor, nn

from vaekit.networks.axes import checked_events, checked_widths, flattened, joined, shaped


@final
class SkipMLP(nn.Module):
    """Fully connected layers whose input also reaches the last, linear one: `y = W [h_L; x] + b`.

    `h_0 = x`, `h_l = relu(W_l h_{l-1} + b_l)`. Close to the identity it has little to learn.

    Shapes:
        input i: (*lead_i, *inputs[i]); result: (*lead, *output), leading axes broadcast.

    Args:
        inputs: event shapes of the inputs.
        output: event shape of the result.
        hidden: widths of the hidden layers, from input to output.

    Raises:
        ValueError: a shape or a width is not allowed.

    References:
        B. Dai and D. Wipf, Diagnosing and Enhancing VAE Models, 2019, arXiv 1903.05789; the layers are
        those of its code.
    """

    def __init__(
        self,
        inputs: Sequence[tuple[int, ...]],
        output: tuple[int, ...],
        hidden: Sequence[int] = (1024, 1024, 1024),
    ) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        size = sum(map(prod, self.inputs))
        widths = [size, *checked_widths("hidden", hidden)]
        self.hidden = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(widths))
        self.output_layer = nn.Linear(widths[-1] + (size if hidden else 0), prod(self.output))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (*lead_i, *inputs[i]) to (*lead, *output)."""
        first = flattened(inputs, self.inputs)
        parts = first
        for layer in cast(Iterable[nn.Linear], self.hidden):
            parts = [torch.relu(joined(layer, parts))]
        if self.hidden:
            parts = [*parts, *first]
        return shaped(joined(self.output_layer, parts), self.output)

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"inputs={self.inputs}, output={self.output}"
