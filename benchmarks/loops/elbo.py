"""The evidence lower bound and its relatives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.cases import Case
from benchmarks.minimal import (
    HALF_LOG_2PI,
    Batch,
    Step,
    crossed,
    divergence,
    draw,
    encoder_of,
    ends,
    one_player,
)
from vaekit.system import System


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


LOOPS = {
    "annealed_vae": annealed_vae,
    "beta_vae": beta_vae,
    "cvae": cvae,
    "sigma_vae": sigma_vae,
    "vae": vae,
}

CASES = {"cvae": Case(context=10), "sigma_vae": Case(kind="unit")}
