"""Games between an autoencoder and a critic or a row of regressors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, selu

from benchmarks.cases import Case
from benchmarks.minimal import Batch, Losses, Step, adam, crossed, divergence, draw, ends, sequence
from vaekit.system import System


def factor_vae(system: System) -> Step:
    """Both gradients on one draw, then both moves; the critic compares the halves of the batch."""
    encode, decode = ends(system)
    judge: Any = system.procedure.players[1].objective.terms["cross_entropy"][1]
    critic = sequence(judge.critic)
    gamma = system.call["arguments"]["gamma"]
    whole, own = list(system.model.parameters()), list(critic.parameters())
    first, second = adam(system, whole), adam(system, own, player=1)

    def step(batch: Batch) -> Losses:
        first.zero_grad()
        second.zero_grad()
        z, mean, log_std = draw(encode(batch["x"]))
        logits = critic(z)
        correlation = (logits[:, 0] - logits[:, 1]).mean()
        loss = crossed(decode(z), batch["x"]) + divergence(mean, log_std) + gamma * correlation
        loss.backward(inputs=whole)
        z = z.detach()
        half = (len(z) + 1) // 2
        other = z[half:]
        permuted = other.gather(0, torch.rand_like(other).argsort(0))
        logits = critic(torch.cat([z[:half], permuted]))
        real, fake = torch.zeros(half).long(), torch.ones(len(other)).long()
        apart = 0.5 * (cross_entropy(logits[:half], real) + cross_entropy(logits[half:], fake))
        apart.backward()
        first.step()
        second.step()
        return loss.detach(), apart.detach()

    return step


def adversarial_autoencoder(system: System) -> Step:
    """Reconstruction, then the critic, then the encoder, the last two on the same codes."""
    encode, decode = ends(system)
    model: Any = system.model
    judge: Any = system.procedure.players[1].objective.terms["cross_entropy"][1]
    critic = sequence(judge.critic)
    encoder, own = list(model.posteriors.parameters()), list(critic.parameters())
    optimizers = [
        adam(system, parameters, player)
        for player, parameters in enumerate([list(model.parameters()), own, encoder])
    ]

    def update(number: int, loss: Tensor, parameters: list[nn.Parameter]) -> None:
        loss.backward(inputs=parameters)
        optimizers[number].step()
        optimizers[number].zero_grad()

    def step(batch: Batch) -> Losses:
        x = batch["x"]
        z = encode(x)
        torch.randn_like(z)  # the recipe's first pass draws from the prior too, and looks at nothing of it
        distortion = crossed(decode(z), x)
        update(0, distortion, list(model.parameters()))
        z = encode(x)
        prior = torch.randn_like(z)
        odds = critic(torch.cat([prior, z.detach()]))
        truth = torch.cat([torch.ones(len(x), 1), torch.zeros(len(x), 1)])
        apart = binary_cross_entropy_with_logits(odds, truth)
        update(1, apart, own)
        deception = binary_cross_entropy_with_logits(critic(z), torch.ones(len(x), 1))
        update(2, deception, encoder)
        return distortion.detach(), apart.detach(), deception.detach()

    return step


def nash_ae(system: System) -> Step:
    """The regressors move several times on one set of codes, then the autoencoder against them."""
    encode, decode = ends(system)
    predict: Any = system.procedure.players[0].objective.terms["error"][1]
    ensemble = predict.regressors
    weights, biases = list(ensemble.weights), list(ensemble.biases)
    names = ("lambda_covariance", "rounds", "latents")
    weight, rounds, n = (system.call["arguments"][name] for name in names)
    others = 1 - torch.eye(n).unsqueeze(2)
    whole, own = list(system.model.parameters()), weights + biases
    first, second = adam(system, own), adam(system, whole, player=1)

    def regress(z: Tensor) -> Tensor:
        h = torch.baddbmm(biases[0], z.expand(n, -1, -1), weights[0] * others)
        for w, b in zip(weights[1:], biases[1:], strict=True):
            h = torch.baddbmm(b, selu(h), w)
        return h.squeeze(2).T

    def step(batch: Batch) -> Losses:
        x = batch["x"]
        z = encode(x).sigmoid()
        points, target = decode(z), z.detach()
        for _ in range(rounds):
            error = 0.5 * (target - regress(target)).square().mean()
            error.backward()
            first.step()
            first.zero_grad()
        covariance = ((target - target.mean(0)) * regress(z)).sum() / len(x)
        error_of_points = (x.flatten(1) - points).square().mean()
        loss = 0.5 * (1 - weight) * error_of_points + weight * covariance
        loss.backward(inputs=whole)
        second.step()
        second.zero_grad()
        return error.detach(), loss.detach()

    return step


LOOPS = {
    "adversarial_autoencoder": adversarial_autoencoder,
    "factor_vae": factor_vae,
    "nash_ae": nash_ae,
}

CASES = {
    "adversarial_autoencoder": Case({"critic": (256, 256)}),
    "factor_vae": Case({"critic": (256, 256, 256)}),
    "nash_ae": Case(),
}
