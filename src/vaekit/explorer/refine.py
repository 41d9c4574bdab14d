"""A better code for a datum than the encoder's guess: some steps uphill from there.

z* = argmax_z log p(x|z, c) + log p(z|c), by Adam in units of each latent's spread over the data
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.errors import UnsupportedError
from vaekit.explorer.subject import Subject
from vaekit.models import Flat
from vaekit.report.codes import apart

STEPS = 40
"""Steps for a press of the button."""

_PACE = 0.1  # of Adam: a step moves a latent by a tenth of its spread at most
_NARROWEST = 1e-3  # spread of a latent that hardly moves


@dataclass(frozen=True)
class Refined:
    """Codes after some steps, never less likely than before.

    Args:
        codes: (N, K).
        before: log p(x, z|c) at the codes that it began with, (N,), nats.
        after: the same at `codes`.
    """

    codes: Tensor
    before: Tensor
    after: Tensor


def refinable(subject: Subject) -> bool:
    """Whether a code can be refined: real latents with a prior of their own, a likelihood with a density."""
    if subject.discrete or not subject.encodes:
        return False
    try:
        with torch.no_grad():
            _joint(subject, torch.zeros(1, *subject.spec.shape), subject.middle[None], subject.given(1))
    except (UnsupportedError, NotImplementedError):
        return False
    return True


def refine(subject: Subject, x: Tensor, codes: Tensor, context: Tensor | None, steps: int = STEPS) -> Refined:
    """The most likely of the codes that lie on the way uphill.

    Args:
        subject: a model whose codes are `refinable`.
        x: (N, *event).
        codes: where to begin, (N, K).
        context: (N, *context) in a conditional model.
        steps: of Adam.

    Raises:
        UnsupportedError: unless the model is `refinable`.
    """
    spread = subject.aggregate.std(0).clamp_min(_NARROWEST)
    shift = torch.zeros_like(codes, requires_grad=True)
    climb = torch.optim.Adam([shift], _PACE)
    best, before, after = codes, torch.empty(0), torch.empty(0)
    with torch.enable_grad():
        for step in range(steps + 1):
            here = codes + shift * spread
            value = _joint(subject, x, here, context)
            told = value.detach()
            if step == 0:
                before = after = told
            better = told > after
            after = torch.where(better, told, after)
            best = torch.where(better[:, None], here.detach(), best)
            if step < steps:
                # of the shift alone: the model's own parameters gather nothing
                (shift.grad,) = torch.autograd.grad(-value.sum(), shift)
                climb.step()
    return Refined(best, before, after)


def _joint(subject: Subject, x: Tensor, codes: Tensor, context: Tensor | None) -> Tensor:
    """log p(x|z, c) + log p(z|c), (N,)."""
    model = subject.model
    if not isinstance(model, Flat):
        raise UnsupportedError(f"codes are refined in flat models; this is a {type(model).__name__}")
    given = () if context is None else (context,)
    values = apart(codes, subject.shapes, subject.discrete)
    total: Tensor = model.decode(values, context).log_prob(x)
    for name, prior in zip(model.names, model.priors, strict=True):
        total = total + prior(*given).log_prob(values[name])
    return total
