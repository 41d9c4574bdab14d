"""Traces and batches to check with: a trace cut down or repeated along an axis, and data of any kind."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.data.spec import Spec
from vaekit.distributions import Autoregressive, Lean
from vaekit.trace import Batch, Trace


def select(trace: Trace, axis: str, index: Tensor) -> Trace:
    """The same trace with some of the places of an axis, in any order and number.

    What happened at each place stays as it was, the draws included. So a batch can be repeated, permuted or
    cut down to one datum without a second pass.

    Args:
        trace: with named axes; parameters of its distributions start with them.
        axis: "batch" or "sample".
        index: numbers of the places, (n,).

    Raises:
        ValueError: if the trace has no such axis.
    """
    if axis not in trace.axes:
        raise ValueError(f"`axis` is {axis!r}; the trace has {', '.join(trace.axes)}")
    behind = len(trace.axes) - trace.axes.index(axis)  # 1 for the last leading axis, 2 for the one before

    def pick(value: Tensor, event: int) -> Tensor:
        place = value.dim() - event - behind
        return value.index_select(place, index) if place >= 0 else value

    data = len(trace.batch["x"])

    def narrow(distribution: Distribution) -> Distribution:
        shape = distribution.batch_shape
        if axis == "batch" and data > 1 and shape and shape[-1] == 1:
            return distribution  # one for all of the batch
        return _narrow(distribution, distribution.batch_shape, len(distribution.event_shape), behind, index)

    latents = {
        name: replace(
            part, value=pick(part.value, len(part.q.event_shape)), q=narrow(part.q), p=narrow(part.p)
        )
        for name, part in trace.latents.items()
    }
    observed = {
        name: replace(part, value=pick(part.value, len(part.p.event_shape)), p=narrow(part.p))
        for name, part in trace.observed.items()
    }
    predicted = {
        name: replace(part, value=pick(part.value, len(part.p.event_shape)), p=narrow(part.p))
        for name, part in trace.predicted.items()
    }
    weights = None if trace.weights is None else pick(trace.weights, 0)
    whole = axis != "batch"
    batch = {name: value if whole else value.index_select(0, index) for name, value in trace.batch.items()}
    branches = {name: select(branch, axis, index) for name, branch in trace.branches.items()}
    return replace(
        trace, batch=batch, latents=latents, observed=observed, branches=branches, weights=weights,
        predicted=predicted,
    )  # fmt: skip


def _narrow(
    distribution: Distribution, batch_shape: torch.Size, event: int, behind: int, index: Tensor
) -> Distribution:
    lead = len(batch_shape)
    place = lead - behind
    if place < 0:
        return distribution
    narrowed = copy.copy(distribution)
    for name, value in vars(distribution).items():
        if isinstance(getattr(type(distribution), name, None), cached_property):
            delattr(narrowed, name)  # it is computed anew from what is left
        elif isinstance(value, Tensor):
            if value.dim() >= lead + event and value.shape[:lead] == batch_shape:
                setattr(narrowed, name, value.index_select(place, index))
        elif isinstance(value, Distribution):
            setattr(narrowed, name, _narrow(value, batch_shape, event, behind, index))
        elif (
            isinstance(distribution, Autoregressive) and name == "context"
        ):  # its rows are those of the batch
            setattr(narrowed, name, tuple(part.index_select(0, index) for part in value))
        elif (isinstance(distribution, Autoregressive) and name == "lead") or (
            name == "_batch_shape" and value[:lead] == batch_shape
        ):
            setattr(narrowed, name, torch.Size((*value[:place], len(index), *value[place + 1 :])))
    if isinstance(narrowed, Lean):
        narrowed.forget()
    return narrowed


def batch_for(spec: Spec, n: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Batch:
    """A batch of n made-up data of the kind that a spec describes, with all else that it says they have."""
    generator = torch.Generator().manual_seed(seed)
    batch = {"x": _made_up(spec, n, generator, dtype)}
    if spec.classes is not None:
        batch["y"] = torch.randint(spec.classes, (n,), generator=generator)
        if spec.labelled is not None:
            batch["y"][1::2] = -1  # every other label is unknown
    if spec.theta is not None:
        batch["theta"] = torch.randn((n, len(spec.theta)), generator=generator, dtype=dtype)
        if spec.labelled is not None:
            batch["theta"][1::2] = torch.nan
    if spec.context is not None:
        batch["c"] = torch.rand((n, *spec.context), generator=generator, dtype=dtype)
    if spec.pairs is not None:
        batch["partner"] = _made_up(spec, n, generator, dtype)
    return batch


def _made_up(spec: Spec, n: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Values of the kind of a spec, (n, *shape)."""
    shape = (n, *spec.shape)

    def whole(levels: int) -> Tensor:
        return torch.randint(levels, shape, generator=generator).to(dtype)

    if spec.kind == "binary":
        return whole(2)
    if spec.kind == "categorical":
        return whole(spec.levels or 2)
    if spec.kind == "count":
        return whole(6)
    if spec.kind == "unit" and spec.levels is not None:
        return whole(spec.levels) / (spec.levels - 1)
    if spec.kind == "unit":
        return torch.rand(shape, generator=generator, dtype=dtype)
    return torch.randn(shape, generator=generator, dtype=dtype)
