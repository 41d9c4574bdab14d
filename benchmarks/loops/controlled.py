"""Losses whose weights are moved by controllers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmarks.cases import Case
from benchmarks.minimal import Batch, Step, crossed, divergence, draw, ends, one_player
from vaekit.system import System


class PI:
    """A non-linear controller on the device: nothing waits for the value that it hears."""

    def __init__(self, kp: float, ki: float, low: float, high: float, sign: int = 1) -> None:
        self.kp, self.ki, self.low, self.high, self.sign = kp, ki, low, high, sign
        self.integral = torch.zeros((), dtype=torch.float64)
        self.weight = torch.full((), low, dtype=torch.float64)

    def now(self) -> Tensor:
        return self.weight.clamp(self.low, self.high)

    def hear(self, value: Tensor, target: float) -> None:
        error = (self.sign * (target - value.detach().double())).clamp(-50, 50)
        below, above = self.weight < self.low, self.weight > self.high
        stuck = (below & (error > 0)) | (above & (error < 0))
        self.integral = self.integral - torch.where(stuck, 0, self.ki * error)
        self.weight = self.low + self.kp * torch.sigmoid(-error) + self.integral


def control_vae(system: System) -> Step:
    encode, decode = ends(system)
    names = ("capacity", "kp", "ki", "beta_min", "start", "rise", "every")
    capacity, kp, ki, low, start, rise, every = (system.call["arguments"][name] for name in names)
    controller, count = PI(kp, ki, low, math.inf), 0

    def loss(batch: Batch) -> Tensor:
        nonlocal count
        target = min(capacity, start + rise * (count // every))
        count += 1
        z, mean, log_std = draw(encode(batch["x"]))
        rate = divergence(mean, log_std)
        total = crossed(decode(z), batch["x"]) + controller.now().to(rate.dtype) * rate
        controller.hear(rate, target)
        return total

    return one_player(system, loss)


def biased_discrepancy(z: Tensor) -> Tensor:
    """MMD^2 to draws from N(0, I), pairs of a point with itself included; k = exp(-|a - b|^2 / n^2)."""
    rows, n = z.shape
    both = torch.cat([z, torch.randn_like(z)])
    squares = both.square().sum(-1)
    distances = (squares[:, None] + squares[None] - 2 * both @ both.mT).clamp(min=0)
    signs = torch.ones(2 * rows)
    signs[rows:] = -1
    return signs @ (-distances / n**2).exp() @ signs / rows**2


def gcvae(system: System) -> Step:
    """All three weights controlled, by the discrepancy."""
    encode, decode = ends(system)
    given = system.call["arguments"]
    kp, ki = given["kp"], given["ki"]
    alpha, beta = PI(kp, ki, 0.0, 1.0, sign=-1), PI(kp, ki, 0.0, 1.0)
    gamma = PI(kp, ki, 1.0, math.inf)

    def loss(batch: Batch) -> Tensor:
        z, mean, log_std = draw(encode(batch["x"]))
        first, second, third = alpha.now(), beta.now(), gamma.now()
        factor = 0.99 / (first + second).clamp_min(0.99)
        first, second = factor * first, factor * second
        distortion, rate = crossed(decode(z), batch["x"]), divergence(mean, log_std)
        distance = biased_discrepancy(z)
        total = (1 - first - second) * distortion + second * rate + third * distance
        alpha.hear(distortion, given["distortion_target"])
        beta.hear(rate, given["rate_target"])
        gamma.hear(distance, given["correlation_target"])
        return total.to(z.dtype)

    return one_player(system, loss)


LOOPS = {"control_vae": control_vae, "gcvae": gcvae}

CASES = {
    "control_vae": Case(arguments={"every": 1, "ki": 0.1}),
    "gcvae": Case(arguments={"rate_target": 0.1, "ki": 0.01}),
}
