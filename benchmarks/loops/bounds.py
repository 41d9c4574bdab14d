"""Importance-weighted bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from benchmarks.cases import Case
from benchmarks.minimal import Batch, Losses, Step, adam, ends, one_player
from vaekit.system import System


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


LOOPS = {
    "ciwae": ciwae,
    "iwae": iwae,
    "miwae": miwae,
    "piwae": piwae,
}

CASES = {
    "iwae": Case({"samples": 4}),
    "ciwae": Case({"samples": 4}),
    "miwae": Case({"groups": 2, "samples": 2}),
    "piwae": Case({"groups": 2, "samples": 2}),
}
