"""Losses that couple the data of a batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmarks.cases import Case
from benchmarks.minimal import HALF_LOG_2PI, Batch, Step, crossed, divergence, draw, ends, one_player
from vaekit.system import System


def beta_tcvae(system: System) -> Step:
    """Stratified sampling with the sampled rate; the data-set size is that of the recipe's spec."""
    encode, decode = ends(system)
    alpha, beta, gamma = (system.call["arguments"][name] for name in ("alpha", "beta", "gamma"))
    n = system.procedure.players[0].objective.terms["information"][1].aggregate.size

    def loss(batch: Batch) -> Tensor:
        z, mean, log_std = draw(encode(batch["x"]))
        rows, others = len(z), len(z) - 1
        weights = torch.full((rows, rows), math.log(1 / others))
        stratified = math.log((n - others) / (n * others))
        weights.diagonal(1).fill_(stratified)
        weights[-1, 0] = stratified
        weights.fill_diagonal_(-math.log(n))
        # (latent, draw, posterior)
        deviation = (z.mT.unsqueeze(-1) - mean.mT.unsqueeze(1)) * (-log_std).exp().mT.unsqueeze(1)
        pairs = -0.5 * deviation.square() - (log_std.mT.unsqueeze(1) + HALF_LOG_2PI)
        joint = (pairs.sum(0) + weights).logsumexp(-1)
        product = (pairs + weights).logsumexp(-1).sum(0)
        own = (-0.5 * ((z - mean) * (-log_std).exp()).square() - log_std - HALF_LOG_2PI).sum(-1)
        prior = (-0.5 * z.square() - HALF_LOG_2PI).sum(-1)
        parts = alpha * (own - joint) + beta * (joint - product) + gamma * (product - prior)
        return crossed(decode(z), batch["x"]) + parts.mean()

    return one_player(system, loss)


def dip_vae(system: System) -> Step:
    """Variant ii: the covariance of means plus the mean of variances."""
    encode, decode = ends(system)
    off, unit = (system.call["arguments"][name] for name in ("lambda_od", "lambda_d"))

    def loss(batch: Batch) -> Tensor:
        z, mean, log_std = draw(encode(batch["x"]))
        centred = mean - mean.mean(0)
        sigma = centred.mT @ centred / len(mean) + (2 * log_std).exp().mean(0).diag()
        diagonal = sigma.diagonal()
        penalty = off * (sigma - diagonal.diag()).square().sum() + unit * (diagonal - 1).square().sum()
        return crossed(decode(z), batch["x"]) + divergence(mean, log_std) + penalty

    return one_player(system, loss)


def discrepancy(z: Tensor, kernel: str, scales: tuple[float, ...]) -> Tensor:
    """Unbiased MMD^2 to draws from N(0, I)."""
    rows, n = z.shape
    both = torch.cat([z, torch.randn_like(z)])
    squares = both.square().sum(-1)
    u = (squares[:, None] + squares[None] - 2 * both @ both.mT).clamp(min=0) / (2 * n)
    kernels = [s / (s + u) if kernel == "imq" else (-u / s).exp() for s in scales]
    similarity = torch.stack(kernels).sum(0)
    signs = torch.full_like(similarity, -1 / rows**2)
    signs[:rows, :rows] = signs[rows:, rows:] = 1 / (rows * (rows - 1))
    return (similarity * signs.fill_diagonal_(0)).sum()


def wae_mmd(system: System) -> Step:
    """A point encoder and a point decoder."""
    encode, decode = ends(system)
    weight, kernel, scales = (system.call["arguments"][name] for name in ("lambda_mmd", "kernel", "scales"))

    def loss(batch: Batch) -> Tensor:
        x = batch["x"].flatten(1)
        z = encode(batch["x"])
        return (x - decode(z)).square().sum() / len(x) + weight * discrepancy(z, kernel, scales)

    return one_player(system, loss)


def info_vae(system: System) -> Step:
    encode, decode = ends(system)
    names = ("alpha", "lambda_mmd", "kernel", "scales")
    alpha, weight, kernel, scales = (system.call["arguments"][name] for name in names)

    def loss(batch: Batch) -> Tensor:
        z, mean, log_std = draw(encode(batch["x"]))
        rate = (1 - alpha) * divergence(mean, log_std)
        return crossed(decode(z), batch["x"]) + rate + (alpha + weight - 1) * discrepancy(z, kernel, scales)

    return one_player(system, loss)


LOOPS = {
    "beta_tcvae": beta_tcvae,
    "dip_vae": dip_vae,
    "info_vae": info_vae,
    "wae_mmd": wae_mmd,
}

CASES = {"dip_vae": Case({"lambda_d": 10.0}), "info_vae": Case({"alpha": 0.5})}
