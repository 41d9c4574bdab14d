"""A class, given something: classifiers, and the probabilities of labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaekit import distributions
from vaekit.conditionals.parts import MakeNetwork, run


class OneHot(nn.Module):
    """context -> one of `classes` classes, one-hot; the network returns a logit for each."""

    def __init__(self, network: MakeNetwork, classes: int) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError(f"`classes` is {classes}; expected at least 1")
        self.classes = classes
        self.network = network((classes,))

    def forward(self, *context: Tensor) -> distributions.OneHot:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        return distributions.OneHot(run(self.network, *context))


class ClassFrequencies(nn.Module):
    """p(y), given and not learned: equal, or a probability for every class.

    Args:
        classes: C.
        probabilities: C positive numbers that sum to one; None for 1/C each.

    Raises:
        ValueError: if they do not.
    """

    def __init__(self, classes: int, probabilities: Sequence[float] | None = None) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError(f"`classes` is {classes}; expected at least 1")
        logits = torch.zeros(classes)
        if probabilities is not None:
            given = list(probabilities)
            if len(given) != classes or min(given) <= 0 or not math.isclose(sum(given), 1, abs_tol=1e-6):
                raise ValueError(
                    f"`probabilities` is {given}; expected {classes} positive numbers that sum to one"
                )
            logits = torch.tensor(given).log()
        self.register_buffer("logits", logits, persistent=False)
        self.logits: Tensor

    def forward(self, *context: Tensor) -> distributions.OneHot:
        """A distribution without batch axes."""
        return distributions.OneHot(self.logits)
