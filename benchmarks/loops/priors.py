"""Hierarchies and learned priors."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from benchmarks.cases import Case
from benchmarks.minimal import HALF_LOG_2PI, Batch, Losses, Map, Step, adam, crossed, divergence, draw
from vaekit.networks import GatedMLP
from vaekit.system import System


def gated(network: GatedMLP) -> Map:
    """(inputs, ...) -> parameters of a gated network."""
    layers: list[nn.Module] = []
    for layer in network.hidden:
        layers += [layer, nn.GLU()]
    whole = nn.Sequential(*layers, network.output_layer)
    return lambda *inputs: whole(torch.cat([value.flatten(1) for value in inputs], 1))


def log_normal(z: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    return -(0.5 * ((z - mean) * (-log_std).exp()).square() + log_std + HALF_LOG_2PI).sum(-1)


def mixture(z: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """ln 1/K sum_k N(z; m_k, s_k^2) without a tensor of draws, components and dimensions."""
    mean, log_std, wide = mean.double(), log_std.double(), z.double()
    precision = (-2 * log_std).exp()
    slopes = torch.cat([-0.5 * precision, precision * mean], 1)
    offsets = -(0.5 * precision * mean.square() + log_std + HALF_LOG_2PI).sum(1)
    joint = torch.cat([wide.square(), wide], 1) @ slopes.T + offsets
    return (joint.logsumexp(1) - torch.tensor(float(len(mean))).log()).to(z.dtype)


def warmed(system: System, loss: Any) -> Step:
    """One player whose rate weighs 0 at first and 1 after the warm-up; the range holds the pseudo-inputs."""
    optimizer, warmup = adam(system, list(system.model.parameters())), system.call["arguments"]["warmup"]
    inputs = [p for name, p in system.model.named_parameters() if name.endswith("pseudo_inputs")]
    count = 0

    def step(batch: Batch) -> Losses:
        nonlocal count
        optimizer.zero_grad()
        distortion, rate = loss(batch)
        value = distortion + min(count / warmup, 1) * rate
        value.backward()
        optimizer.step()
        with torch.no_grad():
            for u in inputs:
                u.clamp_(0, 1)
        count += 1
        return (value.detach(),)

    return step


def vamp_vae(system: System) -> Step:
    model: Any = system.model
    encode, decode = gated(model.posteriors[0].network), gated(model.likelihood.network)
    inputs = model.priors[0].pseudo_inputs

    def loss(batch: Batch) -> tuple[Tensor, Tensor]:
        z, mean, log_std = draw(encode(batch["x"]))
        means, log_stds = encode(inputs.clamp(0, 1)).chunk(2, 1)
        rate = log_normal(z, mean, log_std) - mixture(z, means, log_stds.clamp(-8, 4))
        return crossed(decode(z), batch["x"]), rate.mean()

    return warmed(system, loss)


def hvae(system: System) -> Step:
    """Two levels."""
    model: Any = system.model
    low, top = (gated(posterior.network) for posterior in model.posteriors)
    down, decode = gated(model.priors[0].network), gated(model.likelihood.network)
    inputs = model.priors[1].pseudo_inputs

    def loss(batch: Batch) -> tuple[Tensor, Tensor]:
        x = batch["x"]
        z2, mean2, log_std2 = draw(top(x))
        means, log_stds = top(inputs.clamp(0, 1)).chunk(2, 1)
        z1, mean1, log_std1 = draw(low(x, z2))
        mean, log_std = down(z2).chunk(2, 1)
        above = log_normal(z2, mean2, log_std2) - mixture(z2, means, log_stds.clamp(-8, 4))
        below = log_normal(z1, mean1, log_std1) - log_normal(z1, mean, log_std.clamp(-8, 4))
        return crossed(decode(z1, z2), x), (above + below).mean()

    return warmed(system, loss)


def ladder_vae(system: System) -> Step:
    """Any number of levels, the rate in closed form."""
    model: Any = system.model
    up = [block.layers for block in model.features.blocks]
    heads = [getattr(q, "message", q).network.output_layer for q in model.posteriors]
    down = [nn.Sequential(p.network.block.layers, p.network.output_layer) for p in model.priors[:-1]]
    decode = nn.Sequential(model.likelihood.network.block.layers, model.likelihood.network.output_layer)

    def loss(batch: Batch) -> tuple[Tensor, Tensor]:
        seen, h = [], batch["x"].flatten(1)
        for block in up:
            h = block(h)
            seen.append(h)
        z, mean, log_std = draw(heads[-1](seen[-1]))
        rate = divergence(mean, log_std)
        for level in reversed(range(len(down))):
            said, said_log_std = heads[level](seen[level]).chunk(2, 1)
            p_mean, p_log_std = down[level](z).chunk(2, 1)
            said_log_std, p_log_std = said_log_std.clamp(-8, 4), p_log_std.clamp(-8, 4)
            ahead = 2 * (p_log_std - said_log_std)
            mean = p_mean + ahead.sigmoid() * (said - p_mean)
            log_std = said_log_std - 0.5 * softplus(-ahead)
            z = mean + log_std.exp() * torch.randn_like(mean)
            ratio = log_std - p_log_std
            distance = ((mean - p_mean) * (-p_log_std).exp()).square()
            rate = rate + (0.5 * ((2 * ratio).exp() + distance - 1) - ratio).sum() / len(z)
        return crossed(decode(z), batch["x"]), rate

    return warmed(system, loss)


def flow_density(system: System) -> Step:
    """Masked autoregressive maps, affine, their log scales within +-ln 1000."""
    model: Any = system.model
    networks = [made.hyper for made in model.likelihood.maps]
    optimizer = adam(system, list(system.model.parameters()))

    def step(batch: Batch) -> Losses:
        optimizer.zero_grad()
        x, volume = batch["x"].flatten(1), 0.0
        for network in networks:
            shift, scale = network(x).unflatten(1, (-1, 2)).unbind(-1)
            scale = scale / (1 + (scale / math.log(1e-3)).abs())
            x, volume = x * scale.exp() + shift, volume + scale.sum(1)
        value = -(volume - (0.5 * x.square() + HALF_LOG_2PI).sum(1)).mean()
        value.backward()
        optimizer.step()
        return (value.detach(),)

    return step


LOOPS = {"flow_density": flow_density, "ladder_vae": ladder_vae, "hvae": hvae, "vamp_vae": vamp_vae}

CASES = {
    "flow_density": Case(
        plain=False,
        arguments={"transforms": 3, "hidden": (64,)},
        kind="real",
        dense=True,
    ),
    "ladder_vae": Case(
        wanted=lambda latents, hidden: {"latents": (2 * latents, latents), "hidden": hidden},
        arguments={"warmup": 1000},
        dense=True,
    ),
    "hvae": Case(
        wanted=lambda latents, hidden: {"latents": (latents, latents), "hidden": hidden},
        arguments={"components": 100, "warmup": 1000},
        dense=True,
    ),
    "vamp_vae": Case(
        wanted=lambda latents, hidden: {"latents": latents, "hidden": hidden},
        arguments={"components": 100, "warmup": 1000},
        dense=True,
    ),
}
