"""Distances between factors, between data and between codes, and how far they agree.

A VAE puts close together what its reconstruction loss finds alike. Where the distances that this loss sees do
not follow those of the factors, neither can those of the codes (Michlo et al. 2023).

References:
    Overlooked Implications of the Reconstruction Loss for VAE Disentanglement, N. Michlo, R. Klein, S. James,
    IJCAI 2023, arXiv 2202.13341; measures as in the authors' code (nmichlo/disent, `metrics`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vaekit.checks import whole
from vaekit.data.factors import Grid
from vaekit.disentanglement.points import Represent

Distance = Callable[[Tensor, Tensor], Tensor]
"""Two lists of N points -> N distances."""
Pair = Literal["ground_data", "ground_latent", "latent_data"]

_ELEMENTS = 2**22  # of the data that are compared at once


def index_distance(first: Tensor, second: Tensor) -> Tensor:
    """The ground distance: sum over factors of the steps between two values, (N, F) -> (N,) float64."""
    steps: Tensor = (first - second).abs().sum(-1)
    return steps.double()


def perceived_distance(first: Tensor, second: Tensor) -> Tensor:
    """The distance that a squared error of pixels sees: its mean over elements, (N, ...) -> (N,) float64."""
    return (first.double() - second.double()).square().flatten(1).mean(1)


def latent_distance(first: Tensor, second: Tensor, norm: float = 2.0) -> Tensor:
    """|z - z'|, (N, d) -> (N,) float64."""
    length: Tensor = torch.linalg.vector_norm(first.double() - second.double(), norm, -1)
    return length


@dataclass(frozen=True)
class Agreement:
    """How far two distances agree on triplets of an anchor a and two other points p and n.

    Args:
        rsame: share of triplets that both order alike; where one finds p and n equally far, so must the
            other.
        rcorr: Spearman's correlation of all distances, from a to p and from a to n.
        lcorr: Pearson's. Both are NaN where one of the distances is constant.
    """

    rsame: float
    rcorr: float
    lcorr: float


def agreement(first: Tensor, second: Tensor) -> Agreement:
    """How far two distances agree.

    Args:
        first, second: one distance each: from anchors to p, and from anchors to n, (2, N).
    """
    order = [(near - far).sign() for near, far in (first, second)]
    same = (order[0] == order[1]).double().mean()
    together = first.flatten(), second.flatten()
    return Agreement(float(same), spearman(*together), pearson(*together))


def pearson(first: Tensor, second: Tensor) -> float:
    """The linear correlation of two lists of numbers, (N,) and (N,); NaN where one of them is constant."""
    pair = torch.stack([first.double(), second.double()])
    if not bool((pair != pair[:, :1]).any(1).all()):  # the variance of a constant is rarely quite 0
        return math.nan
    pair = pair - pair.mean(1, keepdim=True)
    return float((pair[0] @ pair[1]) / pair.square().sum(1).sqrt().prod())


def spearman(first: Tensor, second: Tensor) -> float:
    """The linear correlation of ranks, (N,) and (N,); equal values share the mean of their ranks."""
    return pearson(_ranks(first), _ranks(second))


def _ranks(values: Tensor) -> Tensor:
    from scipy.stats import rankdata

    return torch.from_numpy(rankdata(values.detach().cpu().numpy()))


def distance_agreement(
    data_of: Represent,
    represent: Represent | None,
    grid: Grid,
    *,
    seed: int = 0,
    triplets: int = 64,
    subset: int = 32,
    repeats: int = 1024,
    norm: float = 2.0,
    perceived: Distance = perceived_distance,
) -> dict[Pair, dict[str, Agreement]]:
    """How far ground distances, perceived distances and distances of codes agree.

    Triplets are drawn, with replacement, from traversals (all values of one factor, the others fixed) and
    from random points of the whole grid; those of all repeats are taken together.

    Args:
        data_of: makes the data, such as `FactorData.data_of`.
        represent: makes the codes; None compares factors and data alone.
        grid: of the factors.
        seed: of points and triplets.
        triplets: of each traversal or subset.
        subset: number of points in a random subset of the grid.
        repeats: number of traversals of each factor, and of random subsets.
        norm: of the difference of codes, 2 or 1.
        perceived: distance of two data, such as a reconstruction loss between them.

    Returns:
        Pair of distances -> where: the name of a factor, "factors" for the geometric mean over all factors
        with two values or more (NaN where one is negative), or "random".
    """
    for name, value in (("triplets", triplets), ("repeats", repeats)):
        whole(name, value)
    whole("subset", subset, least=2)
    generator = torch.Generator().manual_seed(seed)
    found: dict[Pair, dict[str, Agreement]] = {"ground_data": {}}
    if represent is not None:
        found |= {"ground_latent": {}, "latent_data": {}}
    active = [name for name, size in zip(grid.names, grid.sizes, strict=True) if size > 1]
    for where in (*active, "random"):
        parts: dict[str, list[Tensor]] = {"ground": [], "data": [], "latent": []}
        for points in _points(grid, where, subset, repeats, triplets, data_of, generator):
            places = torch.randint(points.shape[1], (3, len(points), triplets), generator=generator)
            rows = (places + points.shape[1] * torch.arange(len(points))[:, None]).flatten(1)
            flat = points.flatten(0, 1)
            parts["ground"].append(_apart(flat, rows, index_distance))
            parts["data"].append(_apart(data_of(flat, generator), rows, perceived))
            if represent is not None:
                codes = represent(flat, generator)
                parts["latent"].append(_apart(codes, rows, lambda a, b: latent_distance(a, b, norm)))
        distances = {name: torch.cat(part, 1) for name, part in parts.items() if part}
        for pair, places_of in found.items():
            one, other = (distances[name] for name in pair.split("_"))
            places_of[where] = agreement(one, other)
    for places_of in found.values():
        places_of["factors"] = _geometric([places_of[name] for name in active])
    return found


def _apart(values: Tensor, rows: Tensor, distance: Distance) -> Tensor:
    """From anchors to both others, (2, T), in triplets given by their rows in the values, (3, T)."""
    anchors, near, far = (values[row] for row in rows.to(values.device))
    return torch.stack([distance(anchors, near), distance(anchors, far)]).cpu()


def _points(
    grid: Grid,
    where: str,
    subset: int,
    repeats: int,
    triplets: int,
    data_of: Represent,
    generator: torch.Generator,
) -> Iterator[Tensor]:
    """Traversals of a factor, or random subsets, as many at once as memory should hold: (R, M, F)."""
    one = data_of(grid.sample(1, generator), generator)
    together = max(1, _ELEMENTS // (max(triplets, subset) * one[0].numel()))
    for start in range(0, repeats, together):
        count = min(together, repeats - start)
        if where == "random":
            yield grid.sample(count * subset, generator).unflatten(0, (count, subset))
        else:
            yield traversals(grid, where, count, generator)


def traversals(grid: Grid, factor: str, count: int, generator: torch.Generator) -> Tensor:
    """All values of a factor in their order, the others fixed at random: (count, size, F) int64."""
    column = grid.names.index(factor)
    size = grid.sizes[column]
    points = grid.sample(count, generator)[:, None].repeat(1, size, 1)
    points[:, :, column] = torch.arange(size, device=points.device)
    return points


def _geometric(parts: list[Agreement]) -> Agreement:
    def mean(values: list[float]) -> float:
        if not values or any(math.isnan(value) or value < 0 for value in values):
            return math.nan
        return math.prod(values) ** (1 / len(values))

    return Agreement(*(mean([getattr(part, name) for part in parts]) for name in ("rsame", "rcorr", "lcorr")))


@dataclass(frozen=True)
class Importance:
    """Perceived distances of two data that differ in one factor, or in all.

    Args:
        mean: over random pairs; how much a reconstruction loss cares for the factor.
        std: of the pairs. With 0 all are equally far apart ("constant overlap"): the loss sees no order.
    """

    mean: float
    std: float


def factor_importance(
    data_of: Represent,
    grid: Grid,
    *,
    seed: int = 0,
    pairs: int = 10_000,
    perceived: Distance = perceived_distance,
) -> dict[str, Importance]:
    """How far apart a reconstruction loss finds data that differ in one factor alone.

    Args:
        data_of: makes the data, such as `FactorData.data_of`.
        grid: of the factors.
        seed: of the pairs.
        pairs: drawn for each factor.
        perceived: distance of two data.

    Returns:
        Name of a factor -> distances of pairs with two different values of it and all others equal; factors
        with one value are left out. "random": of two points drawn from the whole grid with replacement.
    """
    whole("pairs", pairs, least=2)
    generator = torch.Generator().manual_seed(seed)
    one = data_of(grid.sample(1, generator), generator)
    together = max(1, _ELEMENTS // one[0].numel())
    found: dict[str, Importance] = {}
    for column, (name, size) in enumerate(zip((*grid.names, "random"), (*grid.sizes, 0), strict=True)):
        if size == 1:
            continue
        parts = []
        for start in range(0, pairs, together):
            count = min(together, pairs - start)
            first = grid.sample(count, generator)
            if name == "random":
                second = grid.sample(count, generator)
            else:
                steps = torch.randint(1, size, (count,), generator=generator)
                second = first.clone()
                second[:, column] = (first[:, column] + steps) % size
            parts.append(perceived(data_of(first, generator), data_of(second, generator)).double())
        distances = torch.cat(parts)
        found[name] = Importance(float(distances.mean()), float(distances.std()))
    return found
