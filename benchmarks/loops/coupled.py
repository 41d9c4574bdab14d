"""Losses that couple the data of a batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmarks.minimal import HALF_LOG_2PI, Batch, Step, crossed, draw, ends, one_player
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


LOOPS = {
    "beta_tcvae": beta_tcvae,
}
