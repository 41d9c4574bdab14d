"""What every conditional with a network shares: how many numbers it needs, and how they are split."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]
MakeNetwork = Callable[[Shape], nn.Module]
"""Builds a network whose output has the given event shape; the conditional asks for the shape it needs."""


def stacked(event: Shape, parts: int) -> Shape:
    """Event shape of `parts` parameters for every element: they lie along the first event axis."""
    return (parts * event[0], *event[1:])


def split(output: Tensor, event: Shape, parts: int) -> tuple[Tensor, ...]:
    """Undo `stacked`: (*lead, parts * event[0], ...) -> `parts` tensors (*lead, *event)."""
    return output.chunk(parts, dim=-len(event))


def soft_floor(values: Tensor, low: float) -> Tensor:
    """low + softplus(values - low): a lower bound that keeps a gradient (Rybkin et al. 2021)."""
    return low + nn.functional.softplus(values - low)


def run(network: nn.Module, *context: Tensor) -> Tensor:
    """The network's output in full precision: mixed precision is for products, not for densities."""
    output: Tensor = network(*context)
    return output.float() if output.dtype in (torch.bfloat16, torch.float16) else output
