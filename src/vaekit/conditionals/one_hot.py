"""Categorical latents: a posterior that is relaxed while it trains, and the uniform prior."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit import distributions
from vaekit.checks import number
from vaekit.conditionals.parts import MakeNetwork, Shape, run
from vaekit.distributions.one_hot import one_hot


class GumbelSoftmax(nn.Module):
    """context -> one of K classes for each of n variables; the network returns logits.

    While it trains draws are relaxed, softmax((ln p + g) / tau), so that gradients go through them; in
    evaluation they are exact one-hot rows, and densities and bounds are those of the categorical
    distribution.

    Args:
        network: builds the network that returns logits.
        event: (n, K).
        temperature: tau, a positive number or a schedule.
        hard: in training, round the draws to one-hot rows and keep the gradient (straight-through).
    """

    def __init__(
        self, network: MakeNetwork, event: Shape, temperature: float | nn.Module = 1.0, hard: bool = False
    ) -> None:
        super().__init__()
        self.event = _classes(event)
        self.codes = self.event[-1]
        if not isinstance(temperature, nn.Module):
            number("temperature", temperature, above=0)
        self.temperature = temperature
        self.hard = hard
        self.network = network(self.event)

    def forward(self, *context: Tensor) -> distributions.RelaxedOneHot | distributions.OneHot:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        logits = run(self.network, *context)
        if not self.training:
            return distributions.OneHot(logits, len(self.event))
        at = self.temperature() if isinstance(self.temperature, nn.Module) else self.temperature
        return distributions.RelaxedOneHot(logits, at, self.hard, len(self.event))

    def embed(self, codes: Tensor) -> Tensor:
        """One-hot rows of class numbers, (*lead, n) int64 -> (*lead, n, K)."""
        like = next(self.network.parameters())
        return one_hot(codes, like.new_empty(self.event[-1]))


class UniformOneHot(nn.Module):
    """p(z) = K^-n: n independent classes, each of K with the same probability.

    Args:
        event: (n, K).
    """

    def __init__(self, event: Shape) -> None:
        super().__init__()
        self.register_buffer("logits", torch.zeros(_classes(event)), persistent=False)
        self.logits: Tensor

    def forward(self, *context: Tensor) -> distributions.OneHot:
        """A distribution without batch axes."""
        return distributions.OneHot(self.logits, self.logits.dim())


def _classes(event: Shape) -> Shape:
    if len(event) < 2 or event[-1] < 2:
        raise ValueError(f"`event` is {tuple(event)}; expected (variables, classes) with at least 2 classes")
    return tuple(event)
