"""How near samples come to the training data, held against how near held-out data come to these.

data    d(a, b) = sqrt(mean of (a - b)^2 over elements)
tokens  d(a, b) = share of the places at which a and b differ (Hamming distance over length)

Tokens are names and have no squares of their own; of one-hot vectors the squared difference is twice the
number of places that differ, so that one search serves both. Places are compared one by one: a text that is
the same but for a shift by one place is far away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.data.batch import Batch, Data
from vaekit.data.restore import shown
from vaekit.data.spec import Spec
from vaekit.report.codes import Codes, evenly, take

QUERIES = (60, 300)
"""Samples, and held-out data, that are held against the training data: fewest and most."""

_WORK = 2e10  # products of a query's element and a training datum's: about two seconds of one core
_BLOCK = 1000


@dataclass(frozen=True)
class Nearest:
    """The nearest training datum of each of Q data.

    Args:
        distance: sqrt of the mean squared difference of an element, or the share of other tokens, (Q,).
        rows: its number in the training set, (Q,).
        x: the datum as it was drawn when it was compared, (Q, *event).
        c: its condition, (Q, *context), if there are any.
    """

    distance: Tensor
    rows: Tensor
    x: Tensor
    c: Tensor | None = None


@dataclass(frozen=True)
class Closeness:
    """How near to the training data samples lie, and data that the model never saw.

    Args:
        samples: distances of samples to their nearest training data, (Q,).
        held: those of held-out data, (R,).
        rebuilt: those of the reconstructions of these, (R,): as smooth as samples are; None where the
            samples have the noise of data, or there are no reconstructions.
        searched: number of training data that were looked at.
        of: number of training data.
    """

    samples: Tensor
    held: Tensor
    rebuilt: Tensor | None
    searched: int
    of: int

    @property
    def reference(self) -> Tensor:
        """What the samples are to be compared with."""
        return self.held if self.rebuilt is None else self.rebuilt

    @property
    def nearer(self) -> float:
        """The chance that a sample lies nearer to its training datum than a held-out one; a tie is half."""
        a, b = self.samples.double().unsqueeze(1), self.reference.double().unsqueeze(0)
        return float((a < b).double().mean() + 0.5 * (a == b).double().mean())

    @property
    def nearer_se(self) -> float:
        """Its standard error where both are distributed alike (Mann and Whitney 1947)."""
        n, m = len(self.samples), len(self.reference)
        return math.sqrt((n + m + 1) / (12 * n * m))


@torch.no_grad()
def find_nearest(queries: Tensor, data: Data, rows: Tensor, codes: Codes) -> Nearest:
    """The nearest of some training data, by looking at all of them.

    Args:
        queries: (Q, *event).
        data: training data.
        rows: numbers of those that are looked at, (M,).
        codes: of the model, which says where to compute.
    """
    flat = _vectors(data.spec, queries)
    best = flat.new_full((len(flat),), math.inf)
    place = torch.zeros(len(flat), dtype=torch.long, device=flat.device)
    kept: Batch = {}  # the data themselves: taken again, pixels that are drawn by grey levels would differ
    for part in rows.split(_BLOCK):
        batch = {name: v for name, v in take(data, part, codes.model).items() if name in ("x", "c")}
        x = _vectors(data.spec, batch["x"])
        found, which = (x.square().sum(1) - 2 * flat @ x.mT).min(1)
        better = found < best
        best[better] = found[better]
        place[better] = part.to(place.device)[which[better]]
        for name, values in batch.items():
            if name not in kept:
                kept[name] = values[which]
            kept[name][better] = values[which[better]]
    # by differences, which leave equal data at zero
    squared = (flat - _vectors(data.spec, kept["x"])).square()
    if data.spec.vocabulary is not None:
        distance = squared.sum(1) / (2 * data.spec.dimensions)
    else:
        distance = squared.mean(1).sqrt()
    return Nearest(distance, place, kept["x"], kept.get("c"))


def _vectors(spec: Spec, x: Tensor) -> Tensor:
    """Data (N, *event) as vectors whose squared differences say how far they are apart, (N, D)."""
    if spec.vocabulary is None:
        return x.flatten(1).float()
    return torch.nn.functional.one_hot(x.long(), len(spec.vocabulary)).flatten(1).float()


def _elements(spec: Spec) -> int:
    return spec.dimensions * len(spec.vocabulary or (1,))


def closeness(codes: Codes, train: Data, samples: Tensor, smooth: bool) -> tuple[Closeness, Nearest]:
    """Distances of samples and of held-out data to their nearest training data.

    Args:
        codes: held-out data.
        train: training data.
        samples: (Q, *event).
        smooth: whether the samples are likelihood means, or the most probable tokens: then the
            reconstructions of held-out data, which are so too, are what they are compared with.
    """
    queries = queries_for(codes, train)
    x = codes.batch["x"][:queries]
    sets = [samples, x]
    if smooth and codes.shapes:
        sets.append(shown(train.spec, codes.decode(codes.means[: len(x)], codes.context(slice(0, len(x))))))
    most = max(1000, int(_WORK / (sum(map(len, sets)) * _elements(train.spec))))
    count = min(len(train), most)
    rows = evenly(len(train), count)
    found = find_nearest(torch.cat([part.reshape(-1, *x.shape[1:]) for part in sets]), train, rows, codes)
    parts = found.distance.cpu().split([len(part) for part in sets])
    rebuilt = parts[2] if len(parts) > 2 else None
    own = slice(0, len(samples))
    beside = Nearest(parts[0], found.rows[own], found.x[own], None if found.c is None else found.c[own])
    return Closeness(parts[0], parts[1], rebuilt, count, len(train)), beside


def queries_for(codes: Codes, train: Data) -> int:
    """How many samples, and how many held-out data, are held against all training data."""
    least, most = QUERIES
    room = _WORK / (3 * len(train) * _elements(train.spec))
    return int(min(max(room, least), most, len(codes.means)))
