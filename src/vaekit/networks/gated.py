"""The gated dense network of the VampPrior experiments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import prod
from typing import cast, final

from torch import Tensor, nn
from torch.nn import functional

from vaekit.networks.axes import checked_events, checked_widths, flattened, joined, shaped
from vaekit.networks.initialise import he_


@final
class GatedMLP(nn.Module):
    """Fully connected layers with gates over the flattened inputs, the last layer linear.

    `y = h(x) * sigmoid(g(x))` with affine h and g. The two maps of a gated layer are one matrix product:
    rows [:width] of its weight are h, the others g.

    Shapes:
        input i: (*lead_i, *inputs[i]); result: (*lead, *output), leading axes broadcast.

    Args:
        inputs: event shapes of the inputs.
        output: event shape of the result.
        hidden: widths of the gated layers, from input to output.

    Raises:
        ValueError: a shape or a width is not allowed.

    References:
        VAE with a VampPrior, J. M. Tomczak and M. Welling, 2018, arXiv 1705.07120; layers and weights as in
        its code (jmtomczak/vae_vampprior).
    """

    def __init__(
        self,
        inputs: Sequence[tuple[int, ...]],
        output: tuple[int, ...],
        hidden: Sequence[int] = (300, 300),
    ) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        widths = [sum(map(prod, self.inputs)), *checked_widths("hidden", hidden)]
        self.hidden = nn.ModuleList(nn.Linear(n, 2 * m) for n, m in pairwise(widths))
        self.output_layer = nn.Linear(widths[-1], prod(self.output))
        he_(self)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (*lead_i, *inputs[i]) to (*lead, *output)."""
        parts = flattened(inputs, self.inputs)
        for layer in cast(Iterable[nn.Linear], self.hidden):
            parts = [functional.glu(joined(layer, parts))]
        return shaped(joined(self.output_layer, parts), self.output)

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"inputs={self.inputs}, output={self.output}"
