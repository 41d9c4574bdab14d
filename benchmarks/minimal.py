"""What hand-written loops share: layers as plain sequences, one player, the two parts of the ELBO."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from vaekit.networks import MLP
from vaekit.system import System

Batch = dict[str, Tensor]
Losses = tuple[Tensor, ...]
Step = Callable[[Batch], Losses]
Map = Callable[..., Tensor]

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
ACTIVATIONS = {
    "relu": nn.ReLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
    "leaky_relu_0.2": lambda: nn.LeakyReLU(0.2),
}


# -- the layers of a system as plain sequences ----------------------------------------------------------


def sequence(network: MLP) -> nn.Sequential:
    layers: list[nn.Module] = []
    for layer in network.hidden:
        layers += [layer, ACTIVATIONS[network.activation]()]
    return nn.Sequential(*layers, network.output_layer)


def encoder_of(network: Any) -> Map:
    """(x[, c]) -> parameters."""
    if isinstance(network, MLP):
        whole = sequence(network)
        return lambda x, *c: whole(torch.cat([x.flatten(1), *c], 1) if c else x.flatten(1))
    features = nn.Sequential(*network.convolutions, nn.Flatten())
    head = nn.Sequential(network.dense, nn.ReLU(), network.output_layer)
    return lambda x, *c: head(torch.cat([features(x), *c], 1) if c else features(x))


def decoder_of(network: Any) -> Map:
    """(z[, c]) -> logits or means, flat: (..., D)."""
    if isinstance(network, MLP):
        whole = sequence(network)
        return lambda z, *c: whole(torch.cat([z, *c], -1) if c else z)
    dense = nn.Sequential(network.first, nn.ReLU(), network.dense, nn.ReLU())
    picture = nn.Sequential(nn.Unflatten(1, (64, 4, 4)), *network.convolutions, network.output_layer)

    def decode(z: Tensor, *c: Tensor) -> Tensor:
        features = dense(torch.cat([z, *c], -1) if c else z)
        return picture(features.view(-1, features.shape[-1])).view(*z.shape[:-1], -1)

    return decode


def ends(system: System) -> tuple[Map, Map]:
    model: Any = system.model
    return encoder_of(model.posteriors[0].network), decoder_of(model.likelihood.network)


STOCK_ADAM = False
"""Whether the hand-written loops take torch's default form of Adam instead of the recipe's fused one."""


def adam(system: System, parameters: Sequence[nn.Parameter], player: int = 0) -> torch.optim.Adam:
    """A new Adam with the settings of one of the recipe's players."""
    settings = dict(system.procedure.players[player].optimizer.defaults)
    if STOCK_ADAM:
        settings["fused"] = None
    names = ("lr", "betas", "eps", "fused", "foreach")
    return torch.optim.Adam(parameters, **{name: settings[name] for name in names})


def one_player(system: System, loss: Callable[[Batch], Tensor]) -> Step:
    optimizer = adam(system, list(system.model.parameters()))

    def step(batch: Batch) -> Losses:
        optimizer.zero_grad()
        value = loss(batch)
        value.backward()
        optimizer.step()
        return (value.detach(),)

    return step


# -- the evidence lower bound and its relatives ---------------------------------------------------------


def draw(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A draw from a diagonal Gaussian, its mean and ln s."""
    mean, log_std = parameters.chunk(2, -1)
    log_std = log_std.clamp(-8, 4)
    return mean + log_std.exp() * torch.randn_like(mean), mean, log_std


def divergence(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(q || N(0, I)), mean over the batch."""
    return 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum() / len(mean)


def crossed(logits: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z) of coins, mean over the batch."""
    return binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="sum") / len(x)
