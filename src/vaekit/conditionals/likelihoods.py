"""Likelihoods of discrete, quantised and bounded elements, by their networks' logits or centres."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit import distributions
from vaekit.conditionals.parts import MakeNetwork, Shape, run, split, stacked


class Bernoulli(nn.Module):
    """context -> independent coins; the network returns logits. For data in {0, 1}.

    Args:
        network: makes the network of the logits.
        event: shape of a datum.
        grey: for data in [0, 1], which are the probabilities of coins; see `distributions.Bernoulli`.
    """

    def __init__(self, network: MakeNetwork, event: Shape, grey: bool = False) -> None:
        super().__init__()
        self.event = tuple(event)
        self.grey = grey
        self.network = network(self.event)

    def forward(self, *context: Tensor) -> distributions.Bernoulli:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        return distributions.Bernoulli(run(self.network, *context), len(self.event), self.grey)


class ContinuousBernoulli(nn.Module):
    """context -> a density on [0, 1]; the network returns logits."""

    def __init__(self, network: MakeNetwork, event: Shape) -> None:
        super().__init__()
        self.event = tuple(event)
        self.network = network(self.event)

    def forward(self, *context: Tensor) -> distributions.ContinuousBernoulli:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        return distributions.ContinuousBernoulli(run(self.network, *context), len(self.event))


class Laplace(nn.Module):
    """context -> Laplace with a centre from the network and one learned scale for all elements."""

    def __init__(self, network: MakeNetwork, event: Shape) -> None:
        super().__init__()
        self.event = tuple(event)
        self.network = network(self.event)
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, *context: Tensor) -> distributions.Laplace:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        return distributions.Laplace(run(self.network, *context), self.log_scale, len(self.event))


class DiscretisedLogistic(nn.Module):
    """context -> a probability for each of `levels` values in [0, 1]; centre and ln scale per element.

    The network's first output is a logit of the centre, the second is added to an initial ln scale of -2 and
    clamped to [-7, 2].
    """

    def __init__(self, network: MakeNetwork, event: Shape, levels: int = 256) -> None:
        super().__init__()
        if levels < 2:
            raise ValueError(f"`levels` is {levels}; expected at least 2")
        self.event = tuple(event)
        self.levels = levels
        self.network = network(stacked(self.event, 2))

    def forward(self, *context: Tensor) -> distributions.DiscretisedLogistic:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        centre, log_scale = split(run(self.network, *context), self.event, 2)
        log_scale = (log_scale - 2).clamp(-7, 2)
        return distributions.DiscretisedLogistic(centre.sigmoid(), log_scale, self.levels, len(self.event))


class Poisson(nn.Module):
    """context -> counts; the network returns ln rate, clamped to [-10, 10]."""

    def __init__(self, network: MakeNetwork, event: Shape) -> None:
        super().__init__()
        self.event = tuple(event)
        self.network = network(self.event)

    def forward(self, *context: Tensor) -> distributions.Poisson:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        return distributions.Poisson(run(self.network, *context).clamp(-10, 10), len(self.event))


class Categorical(nn.Module):
    """context -> a class 0 .. levels-1 for every element; the network returns `levels` logits for each."""

    def __init__(self, network: MakeNetwork, event: Shape, levels: int) -> None:
        super().__init__()
        if levels < 2:
            raise ValueError(f"`levels` is {levels}; expected at least 2 classes")
        self.event = tuple(event)
        self.levels = levels
        self.network = network(stacked(self.event, levels))

    def forward(self, *context: Tensor) -> distributions.Categorical:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        output = run(self.network, *context)
        logits = torch.stack(split(output, self.event, self.levels), dim=-1)
        return distributions.Categorical(logits, len(self.event))
