"""How much of a datum comes back: the one figure that every model with a decoder has, density or none."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.metrics.evidence import mean_and_error
from vaekit.metrics.passes import LOAD, Result, evaluating, loaded
from vaekit.models import Model


@dataclass(frozen=True)
class Reconstruction(Result):
    """Squared error of reconstructions: 1/D |x - E[p(x|z)]|^2 at the mean of q(z|x).

    Args:
        squared_error: mean over elements and data, in squared units of the data.
        se: its standard error over the data.
        n: number of data.
    """

    squared_error: float
    se: float
    n: int


def reconstruction(
    model: Model, data: Data, *, limit: int | None = None, seed: int = 0, batch_size: int = LOAD
) -> Reconstruction:
    """Squared error between data and their reconstructions.

    Args:
        model: on any device; its mode and the global random stream are left as they were.
        data: what is evaluated.
        limit: evaluate a random subset of this size.
        seed: of the subset, and of the randomness in the data.
        batch_size: data per pass.

    Raises:
        UnsupportedError: if the model has no latents to reconstruct from.
    """
    errors: list[Tensor] = []
    with evaluating(model, seed):
        for batch, _ in loaded(data, model, seed=seed, limit=limit, size=batch_size):
            rebuilt = model.decode(model.encode(batch), batch.get("c")).mean
            errors.append((batch["x"] - rebuilt).square().flatten(1).mean(1).double().cpu())
    whole = torch.cat(errors)
    return Reconstruction(*mean_and_error(whole), n=len(whole))
