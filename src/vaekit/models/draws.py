"""Drawing latents, the same in every model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.distributions import Discrete
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


def encoded(q: Distribution, value: Tensor) -> Tensor:
    """What `encode` gives of a draw or mean of q: code numbers, int64, where it stands for codes."""
    return q.codes_of(value) if isinstance(q, Discrete) else value


def placed(posterior: nn.Module, value: Tensor) -> Tensor:
    """The latent behind what `encode` gave: code numbers go through the codebook, the rest is as it is.

    Args:
        posterior: the conditional of this latent; one over codes has `embed`, `event` and `codes`, their
        number. value: (n, *event), or code numbers (n, *positions) of any type.

    Raises:
        ValueError: if numbers are no codes of this posterior.
    """
    part: Any = posterior
    if not hasattr(part, "embed") or value.dim() == 1 + len(part.event):
        return value
    codes = value.round().long() if value.is_floating_point() else value
    levels: int = part.codes
    # what is exported as a graph cannot look at values
    known = (codes >= 0) & (codes < levels) & (codes == value)
    if not torch.compiler.is_exporting() and not bool(known.all()):
        raise ValueError(
            f"got numbers from {value.min().item()} to {value.max().item()}; expected codes, whole numbers "
            f"from 0 to {levels - 1}"
        )
    found: Tensor = part.embed(codes)
    return found


def reject_branches(asked: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a branch that a model does not have."""
    for name in asked:
        if name not in known:
            offer = f"it has {', '.join(known)}" if known else "it has none"
            raise ValueError(f"this model has no branch {name!r}; {offer}")
