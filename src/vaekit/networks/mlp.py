"""The multilayer perceptron."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from math import prod
from typing import Literal, cast, final, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaekit.networks.axes import checked_events, checked_widths, flattened, joined, shaped
from vaekit.networks.initialise import glorot_

Activation = Literal[
    "relu", "tanh", "elu", "gelu", "silu", "leaky_relu", "leaky_relu_0.2", "softplus", "identity"
]  # fmt: skip
"""Nonlinearity of the hidden layers; `leaky_relu` has torch's slope of 0.01, and critics often have 0.2."""

Init = Literal["torch", "glorot"]
"""torch: uniform weights and biases of variance 1 / (3 fan_in).
glorot: Glorot-uniform weights, zero biases."""


def _identity(x: Tensor) -> Tensor:
    return x


def relu(x: Tensor) -> Tensor:
    """max(x, 0), in the place of what an affine map has just made, and does not need again.

    With more than one leading axis that is a view of the product: what is changed in the place of a view,
    autograd copies as a whole on its way back.
    """
    return torch.relu_(x) if x.dim() == 2 or not torch.is_grad_enabled() else torch.relu(x)


def tanh(x: Tensor) -> Tensor:
    """tanh(x), as 2 sigmoid(2x) - 1 where nothing is differentiated on a CPU.

    In float32 that is right to 2e-7 and takes a quarter of the time, which counts where a likelihood passes
    thousands of draws of every datum.
    """
    if torch.is_grad_enabled() or x.device.type != "cpu" or x.dtype != torch.float32:
        return torch.tanh(x)
    return (2 * x).sigmoid_().mul_(2).sub_(1)


_ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "relu": relu,
    "tanh": tanh,
    "elu": functional.elu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "leaky_relu": functional.leaky_relu,
    "leaky_relu_0.2": partial(functional.leaky_relu, negative_slope=0.2),
    "softplus": functional.softplus,
    "identity": _identity,
}


@final
class MLP(nn.Module):
    """Fully connected layers over the flattened inputs, the last of them linear.

    `h_0 = [x_1; x_2; ...]`, `h_l = f(W_l h_{l-1} + b_l)`. Without hidden layers the network is one affine
    map.

    Shapes:
        input i: (*lead_i, *inputs[i]); result: (*lead, *output), leading axes broadcast.

    Args:
        inputs: event shapes of the inputs.
        output: event shape of the result.
        hidden: widths of the hidden layers, from input to output.
        activation: nonlinearity after each hidden layer.
        init: how the initial weights are drawn.

    Raises:
        ValueError: a shape, a width or a name is none of those allowed.

    Example:
        >>> net = MLP([(2,), (1, 4, 4)], (3, 5), hidden=(8,))
        >>> net(torch.zeros(7, 6, 2), torch.zeros(6, 1, 4, 4)).shape
        torch.Size([7, 6, 3, 5])
    """

    def __init__(
        self,
        inputs: Sequence[tuple[int, ...]],
        output: tuple[int, ...],
        hidden: Sequence[int] = (400,),
        activation: Activation = "relu",
        init: Init = "torch",
    ) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        if activation not in _ACTIVATIONS:
            raise ValueError(f"`activation` is {activation!r}; expected one of {', '.join(_ACTIVATIONS)}")
        if init not in get_args(Init):
            raise ValueError(f"`init` is {init!r}; expected one of {', '.join(get_args(Init))}")
        self.activation = activation
        self._activate = _ACTIVATIONS[activation]
        widths = [sum(map(prod, self.inputs)), *checked_widths("hidden", hidden)]
        self.hidden = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(widths))
        self.output_layer = nn.Linear(widths[-1], prod(self.output))
        if init == "glorot":
            glorot_(self)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (*lead_i, *inputs[i]) to (*lead, *output)."""
        parts = flattened(inputs, self.inputs)
        for layer in cast(Iterable[nn.Linear], self.hidden):
            parts = [self._activate(joined(layer, parts))]
        return shaped(joined(self.output_layer, parts), self.output)

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"inputs={self.inputs}, output={self.output}, activation={self.activation!r}"
