"""As many small networks as there are inputs, each of which predicts one input from the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaekit.networks.axes import checked_widths, fold, unfold


@final
class LeaveOneOut(nn.Module):
    """Network i maps (z_1, ..., 0 in place of z_i, ..., z_n) to one number; all of them run as one.

    Fully connected, SELU between the layers; weights from N(0, 1 / fan_in), which SELU is made for, biases
    zero.

    Shapes:
        z: (*lead, n) -> (*lead, n), where output i does not depend on input i.

    Args:
        inputs: n, at least 2.
        hidden: widths of the hidden layers of every network.

    Raises:
        ValueError: there are no others to predict an input from, or a width is below one.

    Example:
        >>> LeaveOneOut(10, hidden=(40, 40))(torch.zeros(200, 10)).shape
        torch.Size([200, 10])
    """

    def __init__(self, inputs: int, hidden: Sequence[int] = (40, 40)) -> None:
        super().__init__()
        if inputs < 2:
            raise ValueError(f"`inputs` is {inputs}; expected at least 2: one is predicted from the others")
        self.inputs, self.widths = inputs, checked_widths("hidden", hidden)
        sizes = list(pairwise([inputs, *self.widths, 1]))
        self.weights = nn.ParameterList(torch.randn(inputs, n, m) * n**-0.5 for n, m in sizes)
        self.biases = nn.ParameterList(torch.zeros(inputs, 1, m) for _, m in sizes)
        # leaving an input out of network i is the same as cutting the weights that leave it there
        self.register_buffer("others", 1 - torch.eye(inputs).unsqueeze(-1), persistent=False)
        self.others: Tensor

    def forward(self, z: Tensor) -> Tensor:
        """(*lead, n) -> (*lead, n)."""
        if z.shape[-1] != self.inputs:
            raise ValueError(f"got {z.shape[-1]} inputs; expected {self.inputs}")
        rows, lead = fold(z, 1)
        h = rows.expand(self.inputs, *rows.shape)  # (network, row, input)
        last = len(self.widths)
        # going through a ParameterList takes as long as a small layer
        weights, biases = (
            cast(Iterable[Tensor], each._parameters.values()) for each in (self.weights, self.biases)
        )
        for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            h = torch.baddbmm(bias, h, weight if number else weight * self.others)
            if number < last:
                h = functional.selu(h)
        return unfold(h.squeeze(-1).mT, lead)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"inputs={self.inputs}, hidden={self.widths}"
