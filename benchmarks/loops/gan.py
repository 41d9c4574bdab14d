"""Games on the data: VAE/GAN and CVAE-GAN, every network passed once a step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot, softplus

from benchmarks.cases import Case
from benchmarks.minimal import Batch, Losses, Step, adam, divergence, draw, ends
from vaekit.system import System

CLASSES = 10


def critic_of(player: Any) -> tuple[nn.Sequential, nn.Sequential, list[nn.Parameter]]:
    """Data to features, features to logits, and the parameters of a critic."""
    term = next(iter(player.objective.terms.values()))[1]
    layers = list(term.critic.layers)
    whole = nn.Sequential(*layers[: term.critic.layer]), nn.Sequential(*layers[term.critic.layer :])
    return *whole, list(term.critic.parameters())


def halves(error: Tensor, rows: int) -> Tensor:
    return 0.5 * error.square().sum() / rows


def vae_gan(system: System) -> Step:
    """The paper's game, without margins: three gradients at one point."""
    gamma = system.call["arguments"]["gamma"]
    encode, decode = ends(system)
    model: Any = system.model
    features, logits, discriminator = critic_of(system.procedure.players[2])
    owned = [list(model.posteriors.parameters()), list(model.likelihood.parameters()), discriminator]
    settings = system.procedure.players[0].optimizer.defaults
    optimizers = [torch.optim.RMSprop(p, lr=settings["lr"], alpha=settings["alpha"]) for p in owned]

    def step(batch: Batch) -> Losses:
        x = batch["x"]
        z, mean, log_std = draw(encode(x))
        rebuilt, drawn = decode(z).sigmoid(), decode(torch.randn_like(z)).sigmoid()
        seen = features(torch.cat([x.flatten(1), rebuilt, drawn]).view(-1, *x.shape[1:]))
        real, fake, false = logits(seen).squeeze(1).chunk(3)
        rows = len(x)
        likeness = halves(seen[:rows] - seen[rows : 2 * rows], rows)
        caught = softplus(fake).mean() + softplus(false).mean()
        losses = (
            divergence(mean, log_std) + likeness,
            gamma * likeness - caught,
            softplus(-real).mean() + caught,
        )
        for loss, parameters in zip(losses, owned, strict=True):
            loss.backward(inputs=parameters, retain_graph=parameters is not discriminator)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        return tuple(loss.detach() for loss in losses)

    return step


def cvae_gan(system: System) -> Step:
    """Four gradients at one point; class centres follow."""
    names = ("rate", "reconstruction", "means", "centres", "momentum")
    rate, whole, means, centres, momentum = (system.call["arguments"][name] for name in names)
    encode, decode = ends(system)
    model: Any = system.model
    (d_features, d_logits, d), (c_features, c_logits, c) = (
        critic_of(player) for player in system.procedure.players[2:]
    )
    owned = [list(model.posteriors.parameters()), list(model.likelihood.parameters()), d, c]
    optimizers = [adam(system, parameters) for parameters in owned]
    average: Any = None
    age = torch.zeros(CLASSES)

    def step(batch: Batch) -> Losses:
        nonlocal average, age
        x, y, context = batch["x"], batch["y"], batch["c"]
        z, mean, log_std = draw(encode(x, context))
        rebuilt, drawn = decode(z, context).sigmoid(), decode(torch.randn_like(z), context).sigmoid()
        flat, rows = x.flatten(1), len(x)
        pictures = torch.cat([flat, rebuilt, drawn]).view(-1, *x.shape[1:])
        seen, sorted_ = d_features(pictures), c_features(pictures)
        real, fake, false = d_logits(seen).squeeze(1).chunk(3)
        labels = c_logits(sorted_)[:rows]
        members = one_hot(y, CLASSES).float()
        count = members.sum(0)
        pair = torch.stack([sorted_[:rows].detach(), sorted_[2 * rows :]])
        newest = members.T @ pair / count.clamp(min=1)[:, None]
        if average is None:
            average = torch.zeros_like(newest)
        share = (1 - momentum) / (momentum * age + 1 - momentum)
        moved = average + share[:, None] * (newest - average)
        present = (count > 0).float()
        shared = whole * (
            halves(flat - rebuilt, rows)
            + halves(seen[:rows] - seen[rows : 2 * rows], rows)
            + halves(sorted_[:rows] - sorted_[rows : 2 * rows], rows)
        )
        gap = seen[:rows].mean(0) - seen[2 * rows :].mean(0)
        middle = 0.5 * ((moved[0] - moved[1]).square().sum(1) * present).sum()
        losses = (
            rate * divergence(mean, log_std) + shared,
            shared + means * 0.5 * gap.square().sum() + centres * middle,
            (softplus(-real) + softplus(fake) + softplus(false)).mean(),
            cross_entropy(labels, y),
        )
        for loss, parameters in zip(losses, owned, strict=True):
            loss.backward(inputs=parameters, retain_graph=parameters is not c)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        average = torch.where(present[:, None] > 0, moved.detach(), average)
        age = torch.where(present > 0, momentum * age + 1 - momentum, age)
        return tuple(loss.detach() for loss in losses)

    return step


def labelled(batch: Batch) -> Batch:
    return batch | {"y": batch["c"].argmax(1)}


LOOPS = {"cvae_gan": cvae_gan, "vae_gan": vae_gan}

# at 64x64 pixels a step of Larsen's networks takes seconds on a CPU, all of them in convolutions
CASES = {
    "cvae_gan": Case(
        {"momentum": 0.5, "means": 0.1, "centres": 0.1},
        kind="unit",
        context=CLASSES,
        dense=True,
        spec={"classes": CLASSES},
        more=labelled,
    ),
    "vae_gan": Case({"gamma": 0.1}, kind="unit", dense=True),
}
