"""The rows of all processes, with gradients."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.distributions import CholeskyNormal
from vaekit.distributions.lean import Lean, lazy
from vaekit.errors import UnsupportedError
from vaekit.pooling import summed
from vaekit.trace import Latent, Trace


def gathered(tensors: Sequence[Tensor], axis: int, start: int, count: int, total: int) -> list[Tensor]:
    """The rows of all processes, with gradient, in one message.

    Args:
        tensors: each with rows along `axis`; the first `count` of them are this process's own.
        axis: of the rows.
        start: place of the first own row among those of all.
        count: number of own rows, which may be 0.
        total: number of rows of all.
    """
    # everybody adds its rows to zeros elsewhere: shares of unequal size need no padding, and the gradient of
    # a sum is one sum more
    moved = [tensor.movedim(axis, 0) for tensor in tensors]
    flat = torch.cat([tensor[:count].flatten(1) for tensor in moved], 1)
    room = flat.new_zeros(total, flat.shape[1])
    whole = summed(torch.cat([room[:start], flat, room[start + count :]]))
    parts = whole.split([tensor[0].numel() for tensor in moved], 1)
    shapes = [tensor.shape[1:] for tensor in moved]
    return [
        part.unflatten(1, shape).movedim(0, axis) if shape else part.squeeze(1).movedim(0, axis)
        for part, shape in zip(parts, shapes, strict=True)
    ]


def gather_trace(trace: Trace, start: int, count: int, total: int, batch: dict[str, Tensor]) -> Trace:
    """The trace of the whole batch, as far as terms that couple it may look: batch and latents.

    Args:
        trace: of this process's share.
        start, count, total: see `gathered`.
        batch: the whole batch.
    """
    axis = trace.axes.index("batch")
    found: list[tuple[object, str, Tensor]] = []
    latents: dict[str, Latent] = {}
    for name, latent in trace.latents.items():
        q, p = _copy(latent.q, found), _copy(latent.p, found)
        latents[name] = Latent(latent.value, q, p, latent.chained, latent.closed)
    tensors = [latent.value for latent in trace.latents.values()] + [tensor for _, _, tensor in found]
    if tensors:
        whole = gathered(tensors, axis, start, count, total)
        latents = {
            name: Latent(value, latent.q, latent.p, latent.chained, latent.closed)
            for (name, latent), value in zip(latents.items(), whole, strict=False)
        }
        for (owner, name, _), value in zip(found, whole[len(latents) :], strict=True):
            setattr(owner, name, value)
    branches = {
        name: gather_trace(branch, start, count, total, batch) for name, branch in trace.branches.items()
    }
    return Trace(batch, latents, {}, trace.axes, branches)


def _copy(distribution: Distribution, found: list[tuple[object, str, Tensor]]) -> Distribution:
    """A copy of a distribution; its parameters that have the rows of the share are added to `found`.

    Raises:
        UnsupportedError: for a distribution whose parameters are not known.
    """
    lead, event = len(distribution.batch_shape), len(distribution.event_shape)
    if not lead:  # one for all data
        return distribution
    if not isinstance(distribution, Lean):
        raise UnsupportedError(
            f"{type(distribution).__name__} cannot be gathered over processes: train with one process"
        )
    made = copy.copy(distribution)
    made.forget()
    for name, value in vars(distribution).items():
        if isinstance(getattr(type(distribution), name, None), lazy):
            delattr(made, name)  # it is computed anew from what is gathered
        elif isinstance(value, Distribution):
            setattr(made, name, _copy(value, found))
        elif isinstance(value, Tensor):
            # a factor (n, n) that all data share is no batch of n rows
            least = lead + event + (name == "factor" and isinstance(distribution, CholeskyNormal))
            if value.dim() >= least and value.shape[:lead] == distribution.batch_shape:
                found.append((made, name, value))
    return made
