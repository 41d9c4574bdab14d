"""Classes as one-hot vectors: labels, and categorical latents, exact and relaxed."""

from __future__ import annotations

from abc import ABC

import torch
from torch import Tensor
from torch.distributions import register_kl
from torch.nn import functional

from vaekit.distributions.codes import Discrete
from vaekit.distributions.lean import SampleShape, sum_event
from vaekit.errors import UnsupportedError

IMPOSSIBLE = -1e30
"""Logit of a class that cannot be: its probability is exactly 0, and 0 times its logarithm is 0, not NaN."""


class _Classes(Discrete, ABC):
    """Independent classes with probabilities softmax(l); a draw has one row of K numbers for each.

    Args:
        logits: l, (*batch, *positions, K).
        event_dims: number of event axes, the axis of the classes included.
    """

    def __init__(self, logits: Tensor, event_dims: int = 1) -> None:
        super().__init__(event_dims)
        self.logits = logits
        self.levels = logits.shape[-1]

    @property
    def shape(self) -> torch.Size:
        """(*batch, *positions, K)."""
        return self.logits.shape

    @property
    def probs(self) -> Tensor:
        """softmax(l), (*batch, *positions, K)."""
        return self.logits.softmax(-1)

    @property
    def mean(self) -> Tensor:
        """The probabilities, (*batch, *positions, K)."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """One-hot rows of the most probable classes."""
        return one_hot(self.logits.argmax(-1), self.logits)

    @property
    def variance(self) -> Tensor:
        """p (1 - p)."""
        probs = self.probs
        return probs * (1 - probs)

    def codes_of(self, value: Tensor) -> Tensor:
        """The largest entry of every row, (*batch, *positions), int64."""
        return value.argmax(-1)

    def entropy(self) -> Tensor:
        """-sum p ln p over all positions, (*batch), nats."""
        table = self.logits.log_softmax(-1)
        return sum_event(-table.exp() * table, self.event_dims)


class OneHot(_Classes):
    """Exact draws: rows with a single one; log p(z) = sum_i log softmax(l_i)[k_i].

    For a row that is zero everywhere, which stands for a label that nobody knows, the logarithm is 0.
    """

    has_rsample = False

    @classmethod
    def certain(cls, labels: Tensor, otherwise: Tensor) -> OneHot:
        """All mass on the label where there is one; the given logits where its vector is zero.

        Args:
            labels: one-hot vectors or zeros, (*batch, C).
            otherwise: logits, (*batch, C).
        """
        known = labels.sum(-1, keepdim=True) > 0
        return cls(torch.where(known, (1 - labels) * IMPOSSIBLE, otherwise))

    @torch.no_grad()
    def sample(self, sample_shape: SampleShape = ()) -> Tensor:
        """One-hot rows, (*sample, *batch, *positions, K), by the largest of logits plus Gumbel noise."""
        logits = self.logits.expand(self._extended_shape(sample_shape))
        return one_hot((logits + gumbel(logits)).argmax(-1), logits)

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """As `sample`: nothing is differentiated through a draw, and its log density carries the gradient."""
        return self.sample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats; `value` has one-hot rows."""
        return sum_event(value * self.logits.log_softmax(-1), self.event_dims)


class RelaxedOneHot(_Classes):
    """Draws softmax((ln p + g) / tau) with Gumbel noise g: close to one-hot rows where tau is small.

    The gradient goes through the softmax (E. Jang, S. Gu, B. Poole, Categorical Reparameterization with
    Gumbel-Softmax, ICLR 2017, arXiv 1611.01144, equation 2).

    Args:
        logits: l, (*batch, *positions, K).
        temperature: tau, a number or a tensor ().
        hard: the straight-through variant: one-hot rows, with the gradient of the relaxed ones.
        event_dims: number of event axes, the axis of the classes included.

    Warning:
        A relaxed draw is no draw of the categorical distribution: what is averaged over it is biased, and
        `log_prob` refuses it. The divergence in closed form is that of the categorical distribution, exact.
    """

    def __init__(
        self, logits: Tensor, temperature: float | Tensor, hard: bool = False, event_dims: int = 2
    ) -> None:
        super().__init__(logits, event_dims)
        self.temperature = temperature
        self.hard = hard

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """(*sample, *batch, *positions, K)."""
        logits = self.logits.expand(self._extended_shape(sample_shape))
        soft = ((logits + gumbel(logits)) / self.temperature).softmax(-1)
        if not self.hard:
            return soft
        return one_hot(soft.argmax(-1), soft) + (soft - soft.detach())

    def log_prob(self, value: Tensor) -> Tensor:
        """Refuse: a relaxed draw has no probability under the categorical distribution.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(
            "a relaxed draw has no probability under the categorical distribution: take Rate() in its closed "
            "form, or evaluate in eval mode, where draws are exact"
        )


def gumbel(like: Tensor) -> Tensor:
    """Standard Gumbel noise, -ln(-ln u) with u uniform, of the shape and type of `like`."""
    return -torch.empty_like(like).exponential_().log()


def one_hot(codes: Tensor, like: Tensor) -> Tensor:
    """Rows with a single one, (*lead) int64 -> (*lead, K), of the type of `like` (..., K)."""
    return functional.one_hot(codes, like.shape[-1]).to(like.dtype)


@register_kl(_Classes, OneHot)
def _kl_classes(q: _Classes, p: OneHot) -> Tensor:
    """sum_i sum_k q_ik (ln q_ik - ln p_ik), (*batch)."""
    ours = q.logits.log_softmax(-1)
    return sum_event(ours.exp() * (ours - p.logits.log_softmax(-1)), q.event_dims)
