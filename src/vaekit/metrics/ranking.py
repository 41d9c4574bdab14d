"""Unsupervised disentanglement ranking of trained models, which encode the same data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from vaekit import disentanglement as scores
from vaekit.checks import whole
from vaekit.data.batch import Data
from vaekit.data.factors import FactorData
from vaekit.disentanglement import Score
from vaekit.disentanglement.udr import Relation
from vaekit.metrics.passes import LOAD, coordinates, evaluating, home_of, loaded
from vaekit.models import Model
from vaekit.terms import rate_per_dimension
from vaekit.trace import Batch

NO_RATES = "a model has no rate of each latent: all latents but constant ones count"


def udr(
    models: Sequence[Model],
    data: FactorData | Data,
    *,
    n: int = 1000,
    seed: int = 0,
    relation: Relation = "lasso",
) -> Score:
    """Unsupervised disentanglement ranking of models of one kind; see `vaekit.disentanglement.udr`.

    Args:
        models: two or more, such as those of different seeds.
        data: all encode the same n of them: of data with known factors n points of the grid, of others a
            random subset, or all if there are no more.
        n: number of data; 1,000 in the study.
        seed: of these data.
        relation: "lasso" or "spearman".

    Raises:
        ValueError: for fewer than two models.
        UnsupportedError: if a model has no latents, or encodes to code numbers.
    """
    encoded = [codes_and_rates(model, data, n=n, seed=seed) for model in models]
    known_rates = [rates.tolist() for _, rates in encoded if rates is not None]
    everyone = len(known_rates) == len(encoded)
    found = scores.udr([codes for codes, _ in encoded], known_rates if everyone else None, relation=relation)
    return replace(found, seed=seed, notes=found.notes if everyone else (*found.notes, NO_RATES))


def codes_and_rates(
    model: Model, data: FactorData | Data, *, n: int = 1000, seed: int = 0
) -> tuple[Tensor, Tensor | None]:
    """What UDR asks of a model: the means of n data, (n, d), and the rate of every latent, (d,), nats.

    Args:
        model: on any device; its mode and the random streams are left as they were.
        data, n, seed: see `udr`.

    Returns:
        Both in float32 on the CPU; rates are None where they have no closed form.

    Raises:
        UnsupportedError: if there are no latents, or they are code numbers.
    """
    means, rates = [], []
    with evaluating(model, seed):
        for batch in _batches(model, data, whole("n", n, 2), seed):
            means.append(coordinates(model, batch).float().cpu())
            latents = model.infer(batch).latents.values()
            each = [rate_per_dimension(latent) if latent.closed else None for latent in latents]
            parts = [rate.flatten(1).float().cpu() for rate in each if rate is not None]
            if len(parts) == len(each):
                rates.append(torch.cat(parts, 1))
    complete = len(rates) == len(means)
    return torch.cat(means), torch.cat(rates).mean(0) if complete else None


def _batches(model: Model, data: FactorData | Data, n: int, seed: int) -> Iterator[Batch]:
    if not isinstance(data, FactorData):
        for batch, _ in loaded(data, model, seed=seed, limit=n):
            yield batch
        return
    generator = torch.Generator().manual_seed(seed)
    x = data.data_of(data.grid.sample(n, generator), generator)
    device, dtype = home_of(model)
    for part in x.split(LOAD):
        yield {"x": part.to(device, dtype)}
