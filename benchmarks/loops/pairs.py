"""Pairs that share most factors: the dimensions that hardly differ are averaged."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from benchmarks.cases import Case
from benchmarks.minimal import Batch, Step, crossed, decoder_of, divergence, encoder_of, one_player
from vaekit.system import System


def ada_gvae(system: System) -> Step:
    model: Any = system.model.model
    encode, decode = encoder_of(model.posteriors[0].network), decoder_of(model.likelihood.network)
    beta = system.call["arguments"]["beta"]

    def loss(batch: Batch) -> Tensor:
        data = (batch["x"], batch["partner"])
        found = encode(torch.cat(data))
        means, log_stds = (part.chunk(2) for part in found.chunk(2, -1))
        log_stds = [log_std.clamp(-8, 4) for log_std in log_stds]
        with torch.no_grad():
            variances = [(2 * log_std).exp() for log_std in log_stds]
            square = (means[0] - means[1]).square()
            # the logarithms of both directions cancel
            apart = sum((v + square) / w for v, w in (variances, variances[::-1]))
            shared = apart < 0.5 * (apart.amin(1, keepdim=True) + apart.amax(1, keepdim=True))
        mean = 0.5 * (means[0] + means[1])
        log_std = 0.5 * (torch.logaddexp(2 * log_stds[0], 2 * log_stds[1]) - math.log(2))
        total: Any = 0.0
        for x, own, own_log in zip(data, means, log_stds, strict=True):
            m, s = torch.where(shared, mean, own), torch.where(shared, log_std, own_log)
            z = m + s.exp() * torch.randn_like(m)
            total = total + 0.5 * crossed(decode(z), x) + 0.5 * beta * divergence(m, s)
        return total

    return one_player(system, loss)


def with_partners(batch: Batch) -> Batch:
    return {**batch, "partner": batch["x"].roll(1, 0)}


LOOPS = {"ada_gvae": ada_gvae}

CASES = {"ada_gvae": Case(spec={"factors": {"a": 3, "b": 4}, "pairs": 1}, more=with_partners)}
