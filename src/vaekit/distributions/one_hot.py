"""A class as a one-hot vector."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import register_kl
from torch.nn import functional

from vaekit.distributions.lean import Lean, SampleShape

IMPOSSIBLE = -1e30
"""Logit of a class that cannot be: its probability is exactly 0, and 0 times its logarithm is 0, not NaN."""


class OneHot(Lean):
    """One of C classes as a vector of zeros and a one: log p(y) = sum_c y_c log softmax(l)_c.

    For a vector that is zero everywhere, which stands for a label that nobody knows, `log_prob` is 0.

    Args:
        logits: l, (*batch, C).
    """

    has_rsample = False

    def __init__(self, logits: Tensor) -> None:
        super().__init__(1)
        self.logits = logits

    @classmethod
    def certain(cls, labels: Tensor, otherwise: Tensor) -> OneHot:
        """All mass on the label where there is one; the given logits where its vector is zero.

        Args:
            labels: one-hot vectors or zeros, (*batch, C).
            otherwise: logits, (*batch, C).
        """
        known = labels.sum(-1, keepdim=True) > 0
        return cls(torch.where(known, (1 - labels) * IMPOSSIBLE, otherwise))

    @property
    def shape(self) -> torch.Size:
        """(*batch, C)."""
        return self.logits.shape

    @property
    def probs(self) -> Tensor:
        """softmax(l), (*batch, C)."""
        return self.logits.softmax(-1)

    @property
    def mean(self) -> Tensor:
        """The probabilities, (*batch, C)."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The most probable class, one-hot."""
        best = functional.one_hot(self.logits.argmax(-1), self.logits.shape[-1])
        return best.to(self.logits.dtype)

    @property
    def variance(self) -> Tensor:
        """p (1 - p), (*batch, C)."""
        probs = self.probs
        return probs * (1 - probs)

    @torch.no_grad()
    def sample(self, sample_shape: SampleShape = ()) -> Tensor:
        """One-hot vectors."""
        logits = self.logits.expand(self._extended_shape(sample_shape))
        gumbel = -torch.log(torch.empty_like(logits).exponential_())
        return functional.one_hot((logits + gumbel).argmax(-1), logits.shape[-1]).to(logits.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats."""
        return (value * self.logits.log_softmax(-1)).sum(-1)

    def entropy(self) -> Tensor:
        """(*batch), nats."""
        table = self.logits.log_softmax(-1)
        return -(table.exp() * table).sum(-1)


@register_kl(OneHot, OneHot)
def _kl_one_hot(q: OneHot, p: OneHot) -> Tensor:
    """sum_c q_c (ln q_c - ln p_c), from log probabilities alone."""
    table = q.logits.log_softmax(-1)
    return (table.exp() * (table - p.logits.log_softmax(-1))).sum(-1)
