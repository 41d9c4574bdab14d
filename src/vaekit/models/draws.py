"""Drawing latents, the same in every model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.trace import Batch


def context_of(batch: Batch) -> tuple[Tensor, ...]:
    """The condition of a batch as call arguments: () or (c,)."""
    c = batch.get("c")
    return () if c is None else (c,)


def draw(q: Distribution, samples: int | None) -> Tensor:
    """Reparameterised draws (*batch, n), or (samples, *batch, n) with a sample axis."""
    return q.rsample() if samples is None else q.rsample(torch.Size((samples,)))


def draw_prior(p: Distribution, n: int, samples: int | None) -> Tensor:
    """Draws for n data from a prior with or without batch axes: (n, *event) or (samples, n, *event)."""
    lead: tuple[int, ...] = () if samples is None else (samples,)
    if not p.batch_shape:
        lead = (*lead, n)
    size = torch.Size(lead)
    return p.rsample(size) if p.has_rsample else p.sample(size)


def reject_branches(asked: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a branch that a model does not have."""
    for name in asked:
        if name not in known:
            offer = f"it has {', '.join(known)}" if known else "it has none"
            raise ValueError(f"this model has no branch {name!r}; {offer}")
