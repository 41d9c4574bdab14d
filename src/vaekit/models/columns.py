"""Latents side by side: which column belongs to which latent, and what it is called."""

from __future__ import annotations

from collections.abc import Mapping

import torch


def columns_of(shapes: Mapping[str, torch.Size]) -> dict[str, range]:
    """The columns of every latent where all stand side by side: latent name -> columns."""
    found, start = {}, 0
    for name, shape in shapes.items():
        found[name] = range(start, start + shape.numel())
        start += shape.numel()
    return found


def labels_of(shapes: Mapping[str, torch.Size]) -> list[str]:
    """A name for every column: z 3, or z2 3 for the third of the second level; counted from 1."""
    return [f"{name} {i + 1}" for name, columns in columns_of(shapes).items() for i in range(len(columns))]
