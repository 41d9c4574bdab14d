"""Sums over the processes that share a batch, for what couples its data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

_counting: list[bool] = []  # of the part of a batch that is being worked on, if any: whether its rows count


class _Sum(torch.autograd.Function):
    """y = sum over processes of x. The loss of all is the sum of theirs, so dx = sum over processes of dy."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        total = slopes[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def summed(values: Tensor) -> Tensor:
    """The sum over processes, with gradient; the same on all of them."""
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]  # torch gives it no types
    return total


def pooled(sums: Tensor) -> Tensor | None:
    """The sum over processes of sums over rows, with gradient; None where this process has the whole batch.

    For what couples the batch and says `pools = True`: its result is then of the whole batch everywhere.
    """
    if not _counting:
        return None
    return summed(sums if _counting[-1] else 0 * sums)


@contextmanager
def pooling(counts: bool) -> Iterator[None]:
    """Inside, `pooled` is over processes.

    Args:
        counts: whether the rows of this process are its own, and not borrowed.
    """
    _counting.append(counts)
    try:
        yield
    finally:
        _counting.pop()
