"""Structured residuals."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad, softplus

from benchmarks.cases import Case
from benchmarks.minimal import HALF_LOG_2PI, Batch, Losses, Step, adam, decoder_of, divergence, draw, ends
from vaekit.system import System


def structured_vae(system: System) -> Step:
    """First encoder and mean under one variance, then the network of the factor alone."""
    encode, decode = ends(system)
    model: Any = system.model
    likelihood = model.likelihood
    factor = decoder_of(likelihood.covariance)
    start, size, high = (system.call["arguments"][name] for name in ("start", "neighbourhood", "ceiling"))
    reach = size // 2
    steps = [(dy, dx) for dy in range(reach + 1) for dx in range(-reach, reach + 1) if (dy, dx) > (0, 0)]
    mean_of = [*model.posteriors.parameters(), *likelihood.network.parameters(), likelihood.head]
    first, second = adam(system, mean_of), adam(system, list(likelihood.covariance.parameters()))
    count = 0

    def isotropic(batch: Batch) -> Tensor:
        x = batch["x"].flatten(1)
        z, mean, log_std = draw(encode(batch["x"]))
        scale = softplus(likelihood.head + high) - high
        squares = (x - decode(z)).square().sum() * (-2 * scale).exp() / len(x)
        return 0.5 * squares + x.shape[1] * (scale + HALF_LOG_2PI) + divergence(mean, log_std)

    def structured(batch: Batch) -> Tensor:
        x = batch["x"]
        with torch.no_grad():
            z, mean, log_std = draw(encode(x))
            residual = x - decode(z).view_as(x)
            rate, scale = divergence(mean, log_std), softplus(likelihood.head + high) - high
        height, width = x.shape[-2:]
        diagonal, *weights = factor(z).view(len(x), 1 + len(steps), height, width).unbind(1)
        log_diagonal = high - softplus(high - diagonal + likelihood.head.detach())
        padded = pad(residual[:, 0] * (-scale).exp(), (reach, reach, 0, reach))
        white = log_diagonal.exp() * residual[:, 0]
        for (dy, dx), weight in zip(steps, weights, strict=True):
            there = padded[:, dy : dy + height, reach + dx : reach + dx + width]
            white = torch.addcmul(white, weight, there)
        distortion = (0.5 * white.square().sum() - log_diagonal.sum()) / len(
            x
        ) + height * width * HALF_LOG_2PI
        return distortion + rate

    def step(batch: Batch) -> Losses:
        nonlocal count
        optimizer = first if count < start else second
        optimizer.zero_grad()
        loss = isotropic(batch) if count < start else structured(batch)
        loss.backward()
        optimizer.step()
        count += 1
        return loss.detach(), loss.detach()

    return step


LOOPS = {"structured_vae": structured_vae}

CASES = {"structured_vae": Case({"start": 1}, kind="unit")}
