"""Sums over the processes that share a batch, for what couples its data.

A module or term that couples the batch and goes through these functions says `pools = True`: its result is
that of the whole batch on every process. Where one process has the whole batch, they cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


@dataclass(frozen=True)
class Place:
    """The rows of this process in the whole batch.

    Args:
        start: of the first.
        rows: number of them.
        count: number of those that are its own: 0 where a row of another process is borrowed.
        total: number of data in the whole batch.
    """

    start: int
    rows: int
    count: int
    total: int


_places: list[Place] = []  # of the part of a batch that is being worked on, if it is a part


@contextmanager
def pooling(place: Place) -> Iterator[None]:
    """Inside, sums are over processes."""
    _places.append(place)
    try:
        yield
    finally:
        _places.pop()


def is_pooling() -> bool:
    """Whether this process has a part of the batch only."""
    return bool(_places)


def whole_count(count: int) -> int:
    """How many values the whole batch has, where the rows of this process have so many."""
    return count if not _places else count // _places[-1].rows * _places[-1].total


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


def pooled(sums: Tensor) -> Tensor:
    """Sums over the rows of this process -> sums over the whole batch, with gradient."""
    if not _places:
        return sums
    return summed(sums if _places[-1].count else 0 * sums)


def pooled_mean(values: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """The mean over axes, the batch among them, of the whole batch, with gradient."""
    if not _places:
        return values.mean(dim)
    sums = values.sum(dim)
    count = values.numel() / max(1, sums.numel())
    both = pooled(torch.cat([sums.flatten(), sums.new_tensor([count])]))
    return (both[:-1] / both[-1]).view_as(sums)


@torch.no_grad()
def chosen(rows: Tensor, count: int) -> Tensor:
    """Some rows of the whole batch, drawn uniformly with replacement: each process has its own and zeros.

    So their sum over processes is what one process would have drawn.

    Args:
        rows: (B times anything, ...), the batch first.
        count: number of draws.
    """
    if not _places:
        return rows[torch.randint(len(rows), (count,), device=rows.device)]
    place, each = _places[-1], len(rows) // _places[-1].rows
    with torch._C.DisableTorchFunction():  # the same draw on every process
        drawn = torch.randint(place.total * each, (count,), device=rows.device) - place.start * each
    mine = (drawn >= 0) & (drawn < place.count * each)
    found = rows[drawn.clamp(0, len(rows) - 1)]
    return torch.where(mine.view(-1, *(1 for _ in rows.shape[1:])), found, 0)
