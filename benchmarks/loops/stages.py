"""Two stages: the first, and the one that models its latents."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from benchmarks.cases import Case
from benchmarks.minimal import HALF_LOG_2PI, Batch, Losses, Map, Step, adam, divergence, draw, ends
from vaekit.system import System


def calibrated(system: System, encode: Map, decode: Map) -> Step:
    """One learned standard deviation; the learning rate is halved every so many steps."""
    head: Any = system.model.likelihood.head
    pace: Any = system.procedure.players[0].pace
    optimizer = adam(system, list(system.model.parameters()))
    halves = torch.optim.lr_scheduler.StepLR(optimizer, int(pace.boundaries[0]), 0.5)

    def step(batch: Batch) -> Losses:
        optimizer.zero_grad()
        x = batch["x"].flatten(1)
        z, mean, log_std = draw(encode(batch["x"]))
        sigma = -6 + softplus(head + 6)
        squares = (x - decode(z)).square().sum() * (-2 * sigma).exp() / len(x)
        value = 0.5 * squares + x.shape[1] * (sigma + HALF_LOG_2PI) + divergence(mean, log_std)
        value.backward()
        optimizer.step()
        halves.step()
        return (value.detach(),)

    return step


def two_stage_vae(system: System) -> Step:
    return calibrated(system, *ends(system))


def skipping(network: Any) -> Map:
    layers = nn.Sequential(*(part for layer in network.hidden for part in (layer, nn.ReLU())))

    def run(x: Tensor) -> Tensor:
        flat = x.flatten(1)
        return network.output_layer(torch.cat([layers(flat), flat], 1))

    return run


def latent_vae(system: System) -> Step:
    model: Any = system.model
    return calibrated(system, skipping(model.posteriors[0].network), skipping(model.likelihood.network))


LOOPS = {"latent_vae": latent_vae, "two_stage_vae": two_stage_vae}

CASES = {
    "latent_vae": Case(kind="real", dense=True, wanted=lambda n, hidden: {"latents": n, "hidden": hidden}),
    "two_stage_vae": Case(kind="unit"),
}
