"""MINI_SPRITES as the studies of disentanglement train on grey pictures: by the cross-entropy of coins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.metrics.passes import evaluating
from vaekit.models import Model
from vaekit.trace import Batch
from vaekit.worlds import mini_sprites

NETWORKS: dict[str, Any] = {"latents": 6, "hidden": (200, 200), "architecture": "mlp"}
"""Of all systems that are compared here."""

BATCH = 64


def grey_sprites(held_out: int | None = None) -> Splits:
    """The whole grid three times; its spec says binary, so that recipes take coins for the grey levels.

    A Bernoulli likelihood of grey levels is no density; it is what the studies of disentanglement train with.

    Args:
        held_out: only the first so many for validation, where nobody reads it.
    """
    stored = mini_sprites()
    batch = stored.data.take(range(len(stored.grid)))
    spec = replace(stored.spec, kind="binary", note="grey levels, as if they were chances of coins")
    data = ArrayData(spec, batch["x"], factors=batch["factors"])
    return Splits(data, data if held_out is None else data.subset(range(held_out)), data)


def everything(splits: Splits) -> Batch:
    """All pictures of the grid, in its order, with their factors."""
    return splits.train.take(range(len(splits.train)))


def excess(model: Model, batch: Batch) -> float:
    """What a reconstruction at the posterior mean loses beyond the least cross-entropy there is, nats.

    -sum_i [x_i ln m_i + (1 - x_i) ln(1 - m_i)] - H(x), H(x) = the same at m = x; 0 is perfect.
    """
    x = batch["x"].double()
    with evaluating(model, 0):
        mean = model.decode(model.encode(batch)).mean.double().clamp(1e-7, 1 - 1e-7)
        return float((_coins(x, mean) - _coins(x, x)).flatten(1).sum(1).mean())


def _coins(x: Tensor, m: Tensor) -> Tensor:
    return -(torch.xlogy(x, m) + torch.xlogy(1 - x, 1 - m))
