"""Every recipe as a hand-written training step: plain torch, nothing of vaekit but the layers themselves.

`LOOPS[name](system)` takes the layers and the settings of Adam from a system and returns `step(batch)`, which
makes one update and returns the losses of the players, detached. On the same seed it draws the same noise as
the recipe, so that the losses can be compared: see `disagreement`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from vaekit.networks import MLP
from vaekit.system import System

Batch = dict[str, Tensor]
Losses = tuple[Tensor, ...]
Step = Callable[[Batch], Losses]
Map = Callable[..., Tensor]

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


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


def adam(system: System, parameters: Sequence[nn.Parameter]) -> torch.optim.Adam:
    """A new Adam with the recipe's settings."""
    settings = dict(system.procedure.players[0].optimizer.defaults)
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


def vae(system: System, beta: float = 1.0) -> Step:
    encode, decode = ends(system)

    def loss(batch: Batch) -> Tensor:
        z, mean, log_std = draw(encode(batch["x"]))
        return crossed(decode(z), batch["x"]) + beta * divergence(mean, log_std)

    return one_player(system, loss)


def beta_vae(system: System) -> Step:
    return vae(system, system.call["arguments"]["beta"])


def annealed_vae(system: System) -> Step:
    encode, decode = ends(system)
    gamma, capacity, ramp = (system.call["arguments"][name] for name in ("gamma", "capacity", "ramp"))
    count = 0

    def loss(batch: Batch) -> Tensor:
        nonlocal count
        target = capacity * min(count / ramp, 1)
        count += 1
        z, mean, log_std = draw(encode(batch["x"]))
        return crossed(decode(z), batch["x"]) + gamma * (divergence(mean, log_std) - target).abs()

    return one_player(system, loss)


def sigma_vae(system: System) -> Step:
    """The optimal variance, with its running average."""
    encode, decode = ends(system)
    average, weight = torch.zeros(()), torch.zeros(())

    def loss(batch: Batch) -> Tensor:
        x = batch["x"].flatten(1)
        z, mean, log_std = draw(encode(x.view_as(batch["x"])))
        error = (x - decode(z)).square().mean()
        with torch.no_grad():
            average.lerp_(error, 0.01)
            weight.lerp_(torch.ones(()), 0.01)
        return x.shape[1] * (0.5 * error.log() + HALF_LOG_2PI + 0.5) + divergence(mean, log_std)

    return one_player(system, loss)


def cvae(system: System) -> Step:
    encode, decode = ends(system)
    model: Any = system.model
    guess = encoder_of(model.priors[0].network)

    def loss(batch: Batch) -> Tensor:
        x, c = batch["x"], batch["c"]
        z, mean, log_std = draw(encode(x, c))
        prior_mean, prior_log_std = guess(c).chunk(2, -1)
        prior_log_std = prior_log_std.clamp(-8, 4)
        ratio = log_std - prior_log_std
        distance = ((mean - prior_mean) * (-prior_log_std).exp()).square()
        rate = (0.5 * ((2 * ratio).exp() + distance - 1) - ratio).sum() / len(x)
        return crossed(decode(z, c), x) + rate

    return one_player(system, loss)


# -- structured posteriors ------------------------------------------------------------------------------


def full_covariance_vae(system: System) -> Step:
    encode, decode = ends(system)
    n = system.call["arguments"]["latents"]
    rows, columns = torch.tril_indices(n, n, -1)
    everything = torch.arange(n)
    rows, columns = torch.cat([everything, rows]), torch.cat([everything, columns])

    def loss(batch: Batch) -> Tensor:
        x = batch["x"]
        mean, log_diagonal, below = encode(x).split([n, n, n * (n - 1) // 2], -1)
        log_diagonal = log_diagonal.clamp(-8, 4)
        factor = mean.new_zeros(len(x), n, n)
        factor[:, rows, columns] = torch.cat([log_diagonal.exp(), below], -1)
        z = mean + (factor @ torch.randn_like(mean).unsqueeze(-1)).squeeze(-1)
        squares = factor.square().sum() + mean.square().sum()
        rate = (0.5 * squares - log_diagonal.sum()) / len(x) - 0.5 * n
        return crossed(decode(z), x) + rate

    return one_player(system, loss)


def dlgm(system: System) -> Step:
    """Rank-one precisions C^-1 = diag(d) + u u^T: eta = 1 / (1 + u^T D^-1 u), in O(n)."""
    model: Any = system.model
    encoders = [encoder_of(posterior.network) for posterior in model.posteriors]
    network = model.likelihood.network
    noise, between = network.noise, [sequence(part) for part in network.between]
    observe = sequence(network.observe)

    def infer(parameters: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std, u = parameters.chunk(3, -1)
        log_std = log_std.clamp(-8, 4)
        std = log_std.exp()
        inverse = std.square()
        strength = (u.square() * inverse).sum(-1, keepdim=True)
        root = (1 + strength).sqrt()
        scaled = std * torch.randn_like(mean)
        along = (u * scaled).sum(-1, keepdim=True) / (root * (1 + root))
        z = mean + scaled - along * inverse * u
        trace = (inverse - (inverse * u).square() / (1 + strength)).sum()
        log_det = 2 * log_std.sum() - strength.log1p().sum()
        return z, 0.5 * ((trace + mean.square().sum() - log_det) / len(mean) - mean.shape[-1])

    def loss(batch: Batch) -> Tensor:
        x = batch["x"]
        drawn, rates = zip(*(infer(encode(x)) for encode in encoders), strict=True)
        h = noise[-1](drawn[-1])
        for level in reversed(range(len(between))):
            h = between[level](h) + noise[level](drawn[level])
        return crossed(observe(h), x) + sum(rates)

    return one_player(system, loss)


def ppca(system: System) -> Step:
    """log p(x, z) - log q(z|x) at a draw from the exact posterior."""
    likelihood: Any = system.model.likelihood
    layer = likelihood.network.output_layer
    identity = torch.eye(layer.in_features)

    def loss(batch: Batch) -> Tensor:
        x = batch["x"].flatten(1)
        log_std = -6 + softplus(likelihood.head + 6)
        precision = (-log_std).exp()
        scaled = layer.weight * precision
        covariance = torch.cholesky_inverse(torch.linalg.cholesky(identity + scaled.mT @ scaled))
        mean = (x - layer.bias) @ scaled @ covariance * precision
        factor = torch.linalg.cholesky(covariance)
        noise = torch.randn_like(mean)
        z = mean + noise @ factor.mT
        error = (x - layer(z)) * precision
        constant = x.shape[1] * (log_std + HALF_LOG_2PI) - factor.diagonal().log().sum()
        # the constants of p(z) and q(z|x) cancel
        squares = error.square().sum() + z.square().sum() - noise.square().sum()
        return 0.5 * squares / len(x) + constant

    return one_player(system, loss)


# -- importance-weighted bounds -------------------------------------------------------------------------


def log_weights(system: System, samples: int) -> Callable[[Batch], Tensor]:
    """log p(x, z) - log q(z|x), (samples, batch)."""
    encode, decode = ends(system)

    def weigh(batch: Batch) -> Tensor:
        x = batch["x"].flatten(1)
        mean, log_std = encode(batch["x"]).chunk(2, -1)
        log_std = log_std.clamp(-8, 4)
        noise = torch.randn(samples, *mean.shape)
        z = mean + log_std.exp() * noise
        logits = decode(z)
        likelihood = torch.einsum("sbd,bd->sb", logits, x) - softplus(logits).sum(-1)
        # the constants of p(z) and q(z|x) cancel
        return likelihood + 0.5 * (noise.square() - z.square()).sum(-1) + log_std.sum(-1)

    return weigh


def bound(weights: Tensor, groups: int = 1) -> Tensor:
    """1/M sum_m log 1/K sum_k w_mk, mean over the batch."""
    draws = len(weights) // groups
    return weights.unflatten(0, (groups, draws)).logsumexp(1).mean() - math.log(draws)


def iwae(system: System) -> Step:
    weigh = log_weights(system, system.call["arguments"]["samples"])
    return one_player(system, lambda batch: -bound(weigh(batch)))


def miwae(system: System) -> Step:
    groups, samples = (system.call["arguments"][name] for name in ("groups", "samples"))
    weigh = log_weights(system, groups * samples)
    return one_player(system, lambda batch: -bound(weigh(batch), groups))


def ciwae(system: System) -> Step:
    b, samples = (system.call["arguments"][name] for name in ("b", "samples"))
    weigh = log_weights(system, samples)

    def loss(batch: Batch) -> Tensor:
        weights = weigh(batch)
        return -b * weights.mean() - (1 - b) * bound(weights)

    return one_player(system, loss)


def piwae(system: System) -> Step:
    """The generator follows the bound over all draws, the encoder the average over groups."""
    groups, samples = (system.call["arguments"][name] for name in ("groups", "samples"))
    weigh = log_weights(system, groups * samples)
    model: Any = system.model
    generator, encoder = list(model.likelihood.parameters()), list(model.posteriors.parameters())
    optimizers = [adam(system, parameters) for parameters in (generator, encoder)]

    def step(batch: Batch) -> Losses:
        for optimizer in optimizers:
            optimizer.zero_grad()
        weights = weigh(batch)
        tight, calm = -bound(weights), -bound(weights, groups)
        tight.backward(inputs=generator, retain_graph=True)
        calm.backward(inputs=encoder)
        for optimizer in optimizers:
            optimizer.step()
        return tight.detach(), calm.detach()

    return step


LOOPS: dict[str, Callable[[System], Step]] = {
    "annealed_vae": annealed_vae,
    "beta_vae": beta_vae,
    "ciwae": ciwae,
    "cvae": cvae,
    "dlgm": dlgm,
    "full_covariance_vae": full_covariance_vae,
    "iwae": iwae,
    "miwae": miwae,
    "piwae": piwae,
    "ppca": ppca,
    "sigma_vae": sigma_vae,
    "vae": vae,
}
"""Recipe -> hand-written loop."""
