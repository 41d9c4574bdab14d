"""Structured posteriors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from benchmarks.cases import Case
from benchmarks.minimal import (
    HALF_LOG_2PI,
    Batch,
    Step,
    crossed,
    encoder_of,
    ends,
    one_player,
    sequence,
)
from vaekit.system import System


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


LOOPS = {
    "dlgm": dlgm,
    "full_covariance_vae": full_covariance_vae,
    "ppca": ppca,
}

CASES = {
    "dlgm": Case(dense=True, wanted=lambda n, hidden: {"latents": (2 * n, n), "hidden": hidden}),
    "ppca": Case(dense=True, kind="real", wanted=lambda n, _: {"latents": n}),
}
