"""ID-GAN: a beta-VAE, and the game around its frozen encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from benchmarks.cases import Case
from benchmarks.minimal import (
    HALF_LOG_2PI,
    Batch,
    Losses,
    Step,
    adam,
    crossed,
    decoder_of,
    divergence,
    draw,
    encoder_of,
    ends,
    one_player,
)
from vaekit.system import System


def id_gan(system: System) -> Step:
    """The first stage."""
    encode, decode = ends(system)
    beta = system.call["arguments"]["beta"]

    def loss(batch: Batch) -> Tensor:
        z, mean, log_std = draw(encode(batch["x"]))
        return crossed(decode(z), batch["x"]) + beta * divergence(mean, log_std)

    return one_player(system, loss)


def id_gan_generator(system: System) -> Step:
    """The critic's move, then the generator's on the same pictures; the data are looked at once."""
    arguments = system.call["arguments"]
    information, penalty = arguments["information"], arguments["penalty"]
    model: Any = system.model
    encode = encoder_of(model.posteriors[0].conditional.network)
    decode = decoder_of(model.likelihood.network)
    player: Any = system.procedure.players[0]
    network = player.objective.terms["real"][1].critic
    critic = encoder_of(network)
    owned = [list(network.parameters()), list(model.likelihood.parameters())]
    optimizers = [adam(system, parameters, number) for number, parameters in enumerate(owned)]

    def move(number: int, loss: Tensor) -> Tensor:
        loss.backward(inputs=owned[number])
        optimizers[number].step()
        optimizers[number].zero_grad()
        return loss.detach()

    def step(batch: Batch) -> Losses:
        x = batch["x"].detach().requires_grad_()
        with torch.no_grad():
            c, _, _ = draw(encode(x))
        made = decode(c).sigmoid().view_as(x)
        real, fake = critic(x), critic(made.detach())
        (slope,) = torch.autograd.grad(real.sum(), x, create_graph=True)
        whole = softplus(-real).mean() + softplus(fake).mean() + penalty * slope.square().sum() / len(x)
        first = move(0, whole)
        mean, log_std = encode(made).chunk(2, -1)
        log_std = log_std.clamp(-8, 4)
        known = 0.5 * ((c - mean) * (-log_std).exp()).square() + log_std + HALF_LOG_2PI
        second = move(1, softplus(-critic(made)).mean() + information * known.sum() / len(x))
        return first, second

    return step


LOOPS = {"id_gan": id_gan, "id_gan_generator": id_gan_generator}

CASES = {"id_gan_generator": Case({"information": 0.1}, kind="unit")}
