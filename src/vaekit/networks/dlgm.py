"""The decoder of the deep latent Gaussian model, from the noise of all its layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast, final

from torch import Tensor, nn

from vaekit.networks.axes import check_call, checked_events
from vaekit.networks.mlp import MLP, Activation


@final
class DlgmDecoder(nn.Module):
    """Noise of every layer to the parameters of the data.

    `h_L = G_L xi_L`, `h_l = T_l(h_{l+1}) + G_l xi_l`, result `T_0(h_1)`; every T is an `MLP`, every G a
    square matrix that starts at the identity.

    Shapes:
        input l: xi_l, (*lead_l, n_l), from the data upwards; result: (*lead, *output), leading axes
            broadcast.

    Args:
        inputs: (n_l,) for every layer, from the data upwards: [(n_1,), ..., (n_L,)].
        output: event shape of the result.
        hidden: widths of the hidden layers of every T.
        activation: their nonlinearity.

    Raises:
        ValueError: an input is no vector, or a shape, a width or a name is none of those allowed.

    References:
        Stochastic Backpropagation and Approximate Inference in Deep Generative Models, D. J. Rezende,
        S. Mohamed, D. Wierstra, 2014, arXiv 1401.4082, equations 1 to 4.

    Example:
        >>> import torch
        >>> net = DlgmDecoder([(3,), (2,)], (1, 4, 4), hidden=(8,))
        >>> net(torch.zeros(7, 6, 3), torch.zeros(6, 2)).shape
        torch.Size([7, 6, 1, 4, 4])
    """

    def __init__(
        self,
        inputs: Sequence[tuple[int, ...]],
        output: tuple[int, ...],
        hidden: Sequence[int] = (400,),
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.inputs, self.output = checked_events(inputs, output)
        if any(len(event) != 1 for event in self.inputs):
            raise ValueError(f"`inputs` is {list(self.inputs)}; expected one vector (n,) for every layer")
        self.noise = nn.ModuleList(nn.Linear(n, n, bias=False) for (n,) in self.inputs)
        for matrix in self.noise:
            nn.init.eye_(cast(nn.Linear, matrix).weight)
        self.between = nn.ModuleList(
            MLP([above], below, hidden, activation) for below, above in pairwise(self.inputs)
        )
        self.observe = MLP(self.inputs[:1], self.output, hidden, activation)

    @property
    def output_layer(self) -> nn.Linear:
        """The last layer of T_0."""
        return self.observe.output_layer

    def forward(self, *noise: Tensor) -> Tensor:
        """Map xi_1, ..., xi_L, each (*lead_l, n_l), to (*lead, *output)."""
        check_call(noise, self.inputs)
        h = self.noise[-1](noise[-1])
        for level in reversed(range(len(self.between))):
            h = self.between[level](h) + self.noise[level](noise[level])
        result: Tensor = self.observe(h)
        return result

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"inputs={self.inputs}, output={self.output}"
