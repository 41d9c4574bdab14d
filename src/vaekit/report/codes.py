"""Held-out data as the model sees them: their latents, the use of each latent, and what decodes from them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.data.batch import Batch, Data
from vaekit.metrics.passes import home_of
from vaekit.models import Model, without_withheld
from vaekit.models.columns import labels_of
from vaekit.terms import rate_per_dimension

ACTIVE = 0.01
"""A latent is in use where the variance of its posterior mean over the data exceeds this (Burda et al.)."""

_CHUNK = 256


@dataclass(frozen=True)
class Codes:
    """The latents of N held-out data, all levels side by side: K columns in the order of the model's names.

    Args:
        model: in eval mode.
        batch: the data, on the model's device.
        means: posterior means, (N, K).
        draws: one posterior draw each, (N, K): together they are draws from the aggregate posterior.
        rates: E[log q(z_k|x) - log p(z_k)] of every latent, (K,), nats; None where it is no
            sum over latents.
        shapes: latent name -> event shape.
        source: the model whose `generate` draws new data: from the prior, or from the run's later stages.
        discrete: names of the latents that are codes, 0 .. K-1: they can be decoded, not walked along.
    """

    model: Model
    batch: Batch
    means: Tensor
    draws: Tensor
    rates: Tensor | None
    shapes: dict[str, torch.Size]
    source: Model
    discrete: frozenset[str] = frozenset()

    @property
    def labels(self) -> list[str]:
        """A name for every column: z 3, or z2 3 for the third of the second level; counted from 1."""
        return labels_of(self.shapes)

    @property
    def level(self) -> list[int]:
        """The level of every column, 0 next to the data."""
        return [level for level, shape in enumerate(self.shapes.values()) for _ in range(shape.numel())]

    @property
    def spread(self) -> Tensor:
        """Variance of the posterior means over the data, (K,)."""
        return self.means.var(0) if len(self.means) > 1 else torch.zeros_like(self.means[0])

    @property
    def active(self) -> Tensor:
        """Whether a latent is in use, (K,)."""
        return self.spread > ACTIVE

    @property
    def order(self) -> list[int]:
        """Columns from the most to the least used: by rate, or by spread where there is none."""
        use = self.spread if self.rates is None else self.rates
        found: list[int] = use.argsort(descending=True, stable=True).tolist()
        return found

    def context(self, rows: Tensor | slice) -> Tensor | None:
        """The conditions of some of the data, if the model takes any."""
        c = self.batch.get("c")
        return None if c is None else c[rows]

    def decode(self, values: Tensor, context: Tensor | None, lowest: int = 0) -> Distribution:
        """p(x|z) of rows (R, K); levels below `lowest` are left to follow from those above."""
        given = apart(values, self.shapes, self.discrete)
        return self.model.decode(dict(list(given.items())[lowest:]), context)

    def walk(self, centre: int, column: int, values: Tensor) -> Tensor:
        """Likelihood means as one latent goes through `values` (R,), the others at the datum `centre`."""
        rows = self.means[centre].repeat(len(values), 1)
        rows[:, column] = values
        context = self.context(slice(centre, centre + 1))
        context = None if context is None else context.expand(len(values), *context.shape[1:])
        decoded = self.decode(rows, context).mean
        level = self.level[column]
        if level > 0 and torch.equal(decoded[0], decoded[-1]):
            # in a chain the data hang on the lowest level alone: let the levels below follow this one
            decoded = self.decode(rows, context, lowest=level).mean
        return decoded


def apart(values: Tensor, shapes: Mapping[str, torch.Size], discrete: Collection[str]) -> dict[str, Tensor]:
    """Latents that stand side by side, (R, K), as a model takes them: latent name -> (R, *event).

    Args:
        values: the first latent's elements first.
        shapes: latent name -> event shape, in the order of the columns.
        discrete: names of the latents that are codes, which become int64.
    """
    parts = values.split([shape.numel() for shape in shapes.values()], dim=1)
    found = {}
    for (name, shape), part in zip(shapes.items(), parts, strict=True):
        found[name] = part.reshape(-1, *shape).long() if name in discrete else part.reshape(-1, *shape)
    return found


def take(data: Data, rows: Sequence[int] | Tensor, model: Model) -> Batch:
    """Some of the data, on the model's device."""
    where, _ = home_of(model)
    return {name: value.to(where) for name, value in data.take(rows).items()}


def evenly(size: int, most: int) -> Tensor:
    """Numbers of at most `most` of `size` data, evenly spread over the set: (n,)."""
    return torch.linspace(0, size - 1, min(most, size)).round().long()


def evenly_shuffled(size: int, most: int) -> Tensor:
    """The same in a shuffled order, which is always the same one: (n,)."""
    rows = evenly(size, most)
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]


@torch.no_grad()
def encode(model: Model, data: Data, most: int, source: Model | None = None) -> Codes:
    """Latents of `most` of the data, evenly spread over the set, in a shuffled order.

    Random numbers come from torch's global generator: fork and seed it outside.
    """
    rows = evenly_shuffled(len(data), most)
    batch, count = take(data, rows, model), len(rows)
    shown = without_withheld(model, batch)
    pieces = [{name: value[i : i + _CHUNK] for name, value in shown.items()} for i in range(0, count, _CHUNK)]
    means, draws = _each(pieces, model.encode), _each(pieces, lambda piece: model.encode(piece, sample=True))
    return Codes(
        model=model,
        batch=batch,
        means=_flat(means, batch["x"]),
        draws=_flat(draws, batch["x"]),
        rates=_rates(model, pieces),
        shapes={name: value.shape[1:] for name, value in means.items()},
        source=model if source is None else source,
        discrete=frozenset(name for name, value in means.items() if not value.is_floating_point()),
    )


def _each(pieces: list[Batch], code: Callable[[Batch], dict[str, Tensor]]) -> dict[str, Tensor]:
    found = [code(piece) for piece in pieces]
    return {name: torch.cat([part[name] for part in found]) for name in found[0]}


def _flat(values: dict[str, Tensor], x: Tensor) -> Tensor:
    columns = [value.flatten(1).float() for value in values.values()]
    return torch.cat(columns, dim=1) if columns else x.new_zeros(len(x), 0)


def _rates(model: Model, pieces: list[Batch]) -> Tensor | None:
    if not model.names:
        return None
    totals: list[Tensor] = []
    for piece in pieces:
        columns = []
        for latent in model.infer(piece).latents.values():
            rates = rate_per_dimension(latent)
            if rates is None:
                return None
            columns.append(rates.flatten(1))
        totals.append(torch.cat(columns, dim=1))
    return torch.cat(totals).mean(0)
