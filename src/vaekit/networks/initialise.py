"""Initial weights that torch's layers do not choose themselves."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn


def glorot_(network: nn.Module) -> None:
    """Draw every linear and convolutional weight of the network Glorot-uniform and set its biases to zero.

    `W ~ U(-a, a)`, `a = sqrt(6 / (fan_in + fan_out))`.

    References:
        Understanding the difficulty of training deep feedforward neural networks, X. Glorot and Y. Bengio,
        2010, equation 16.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def he_(network: nn.Module) -> None:
    """Draw every linear weight of the network from `N(0, 2 / fan_in)`; biases stay as torch made them.

    References:
        Delving Deep into Rectifiers, K. He, X. Zhang, S. Ren, J. Sun, 2015, equation 10. The code of
        VampPrior (jmtomczak/vae_vampprior, `utils/nn.py`) draws its gated layers so.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=sqrt(2.0 / layer.in_features))


@torch.no_grad()
def zero_output_(network: nn.Module) -> None:
    """Set weights and bias of the last layer to zero: the network then returns zeros until it is trained.

    Args:
        network: a network of this folder, or one layer.

    Raises:
        TypeError: the network has no `output_layer`.
    """
    layer = getattr(network, "output_layer", network)
    if not isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        raise TypeError(
            f"{type(network).__name__} has no last layer to start at zero: `output_layer` is {layer!r}; "
            "expected a linear or convolutional layer"
        )
    for parameter in layer.parameters():
        parameter.zero_()


@torch.no_grad()
def set_output_bias(network: nn.Module, value: Tensor) -> None:
    """Set the bias of the last layer, so that training starts from a known output such as the data mean.

    Burda et al. start the Bernoulli logits at `ln(m / (1 - m))` with the data mean m clipped to [0.001,
    0.999].

    Args:
        network: a network of this folder; its last layer is its attribute `output_layer`.
        value: what to add to each element of the output, broadcastable to the event `network.output`. A
            convolutional last layer has one bias a channel, which is set to the mean of the value over
            positions.

    Raises:
        TypeError: the network has no `output_layer` with a bias.
        ValueError: the value does not broadcast to the event shape, or is not finite.

    References:
        Importance Weighted Autoencoders, Y. Burda, R. Grosse, R. Salakhutdinov, 2016, arXiv 1509.00519, and
        its code (yburda/iwae).
    """
    layer = getattr(network, "output_layer", None)
    if not isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) or layer.bias is None:
        raise TypeError(
            f"{type(network).__name__} has no last layer with a bias: `output_layer` is {layer!r}; expected "
            "a linear or convolutional layer"
        )
    if not torch.isfinite(value).all():
        raise ValueError(
            "`value` holds NaN or infinite numbers; expected finite ones: clip the mean before the logit"
        )
    event = getattr(network, "output", (layer.bias.numel(),))
    try:
        whole = value.expand(event)
    except RuntimeError:
        raise ValueError(
            f"`value` has shape {tuple(value.shape)}; expected one that broadcasts to {event}"
        ) from None
    layer.bias.copy_(whole.reshape(-1) if isinstance(layer, nn.Linear) else whole.mean((1, 2)))
