"""Back from what a network sees to what a person gave: whole pictures, original units."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.data.prepare import quadrant_order
from vaekit.data.spec import Spec


def assemble(spec: Spec, x: Tensor, c: Tensor) -> Tensor:
    """Whole pictures from predicted pixels and visible ones.

    Args:
        spec: of a prediction task (`picture` and `quadrants` are set).
        x: hidden pixels, (..., D').
        c: visible pixels, (..., D - D'), the same leading axes or ones that broadcast.

    Returns:
        Pictures, (..., C, H, W).

    Raises:
        ValueError: if the spec is of no prediction task.
    """
    if spec.picture is None or spec.quadrants is None:
        raise ValueError(f"{spec.name} is no prediction task: its spec has no `picture` and `quadrants`")
    order, _ = quadrant_order(spec.name, spec.picture, spec.quadrants)
    leading = torch.broadcast_shapes(x.shape[:-1], c.shape[:-1])
    parts = torch.cat((x.expand(*leading, -1), c.expand(*leading, -1)), dim=-1)
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.from_numpy(order)] = torch.arange(len(order))
    return parts[..., back.to(x.device)].reshape(*leading, *spec.picture)


def original_units(spec: Spec, x: Tensor) -> Tensor:
    """Values of standardised data in their original units: x * scale + offset, by column or by channel.

    Args:
        spec: of the data; those that were not standardised stay as they are.
        x: values, (..., *shape); rows of a table also (..., columns).
    """
    if spec.offset is None or spec.scale is None:
        return x
    scale, offset = x.new_tensor(spec.scale), x.new_tensor(spec.offset)
    if len(scale) != spec.dimensions:  # one for each channel
        scale, offset = (constants.view(-1, *(1 for _ in spec.shape[1:])) for constants in (scale, offset))
    return x * scale + offset


def shown(spec: Spec, p: Distribution) -> Tensor:
    """The one value that stands for a likelihood: its mean; of tokens the most probable, for names have none.

    Args:
        spec: of the data.
        p: p(x|z), batch shape (*batch).

    Returns:
        (*batch, *shape).
    """
    value: Tensor = p.mean if spec.vocabulary is None else p.mode
    return value
