"""Hierarchical priors of fields whose parameters are partly known."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from benchmarks.cases import Case
from benchmarks.minimal import HALF_LOG_2PI, Batch, Losses, Step, adam, draw, ends, sequence
from vaekit.system import System

PIXELS, LABELLED = 60_000, 600


def log_normal(z: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    return -(0.5 * ((z - mean) * (-log_std).exp()).square() + log_std + HALF_LOG_2PI).sum(-1)


def hierarchical_prior_vae(system: System) -> Step:
    """Constant scales above, a map of scales below; no weight on the rate in the first step."""
    model: Any = system.model
    encode, decode = ends(system)
    up, down = sequence(model.posteriors[1].network), sequence(model.priors[0].network)
    heads = [part.head for part in (model.likelihood, model.posteriors[1], model.priors[0])]
    alpha, start, nu = (system.call["arguments"][name] for name in ("alpha", "start", "nu"))
    optimizer = adam(system, list(model.parameters()))
    beta, count = torch.tensor(1e-9, dtype=torch.float64), 0

    def step(batch: Batch) -> Losses:
        nonlocal beta, count
        optimizer.zero_grad()
        x = batch["x"]
        scale, above, below = (-6 + softplus(head + 6) for head in heads)
        z, mean, log_std = draw(encode(x))
        guess = up(z)
        xi = guess + above.exp() * torch.randn_like(guess)
        error = ((x - decode(z).view_as(x)) * (-scale).exp()).square().sum()
        per_place = x[0].numel() // scale.numel() * scale.sum() + x[0].numel() * HALF_LOG_2PI
        distortion = 0.5 * error / len(x) + per_place
        rate = log_normal(z, mean, log_std) - log_normal(z, down(xi), below)
        rate = rate + log_normal(xi, guess, above) + 0.5 * xi.square().sum(-1) + xi.shape[1] * HALF_LOG_2PI
        known = ~batch["theta"][:, 0].isnan()
        away = (mean[:, :2] - batch["theta"].nan_to_num()).square().sum(1) * known
        told = alpha * PIXELS / LABELLED * away.sum() / len(x)
        weight = 0.0 if count < start else float(beta)
        value = distortion + weight * rate.mean() + told
        value.backward()
        optimizer.step()
        if count >= start:
            value_of_one = float(distortion.detach()) / x[0].numel()
            towards = -1.0 if value_of_one > 0 else math.tanh(float(beta) - 1)
            beta = (beta * math.exp(nu * towards * value_of_one)).clamp_max(1)
        count += 1
        return (value.detach(),)

    return step


def some_known(batch: Batch) -> Batch:
    rows = torch.arange(len(batch["x"]), dtype=batch["x"].dtype)
    theta = torch.stack([(rows / 3).sin(), (rows / 2).cos()], 1)
    return {**batch, "theta": torch.where(rows[:, None] % 4 == 0, theta, torch.nan)}


LOOPS = {"hierarchical_prior_vae": hierarchical_prior_vae}

CASES = {
    "hierarchical_prior_vae": Case(
        {"alpha": 3.0, "start": 1, "nu": 2.0},
        kind="real",
        dense=True,
        spec={"theta": ("theta1", "theta2"), "labelled": LABELLED},
        more=some_known,
    ),
}
