"""A discrete density that is a product over positions in a fixed order."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from vaekit.distributions.lean import Lean, SampleShape, sum_event

Network = Callable[..., Tensor]


class Autoregressive(Lean):
    """log p(x) = sum_i log p(x_i | x_<i, context), with x_i one of K classes and i in raster order.

    Args:
        network: (x, *context) -> logits (*lead, *event, K), those at i functions of x_<i alone.
        event: event shape of x.
        context: (*batch, ...) each; without any the distribution has no batch axes.
        lead: the shape (*batch) of the context.
        like: a tensor whose dtype and device the draws take.
    """

    has_rsample = False

    def __init__(
        self,
        network: Network,
        event: tuple[int, ...],
        context: tuple[Tensor, ...],
        lead: torch.Size,
        like: Tensor,
    ) -> None:
        super().__init__(len(event))
        self.network = network
        self.event = torch.Size(event)
        self.context = context
        self.lead = lead
        self.like = like
        self.repeated: torch.Size | None = None

    @property
    def shape(self) -> torch.Size:
        """(*batch, *event)."""
        return (self.lead if self.repeated is None else self.repeated) + self.event

    def expand(self, batch_shape: SampleShape, _instance: object = None) -> Autoregressive:
        """The same distribution, repeated along batch axes: its density is computed once."""
        repeated = copy.copy(self)
        repeated.repeated = torch.Size(batch_shape)
        return repeated

    def logits(self, value: Tensor) -> Tensor:
        """Logits of every position given the ones before it, (*lead, *event, K)."""
        return self.network(value, *self.context)

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats."""
        logits = self.logits(value)
        # classes behind the one leading axis, where convolutions left them: one pass there and one back
        classes = logits.reshape(-1, *logits.shape[-self.event_dims - 1 :]).movedim(-1, 1)
        codes = value.long().reshape(-1, *self.event)
        cost = functional.cross_entropy(classes, codes, reduction="none").reshape(logits.shape[:-1])
        found = -sum_event(cost, self.event_dims)
        return found if self.repeated is None else found.expand(self.repeated)

    @torch.no_grad()
    def sample(self, sample_shape: SampleShape = ()) -> Tensor:
        """Ancestral draws, one position after the other; class numbers as floats, so that they can be data.

        Takes as many passes as there are positions.
        """
        shape = torch.Size(sample_shape) + self.lead
        # one leading axis for the network, and the contexts repeated along it
        count = shape.numel()
        repeats = torch.Size(sample_shape).numel()
        context = tuple(c.repeat(repeats, *(1 for _ in c.shape[1:])) for c in self.context)
        value = self.like.new_zeros((count, *self.event))
        flat = value.view(count, -1)
        for position in range(flat.shape[1]):
            logits = self.network(value, *context).flatten(1, -2)[:, position]
            noise = -torch.empty_like(logits).exponential_().log()
            flat[:, position] = (logits + noise).argmax(-1).to(value.dtype)
        return value.reshape(shape + self.event)
