"""Distances between data: intrinsic dimension, and pairs that are too close to be independent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEAREST = 10
"""Neighbours that are looked at: up to eight near copies of one datum are found."""
EXPECTED = 1e-3
"""Near copies that are expected by chance among all data asked about, where the density is smooth."""


@dataclass(frozen=True)
class Nearest:
    """Distances to the nearest other data.

    Args:
        distance: ascending, (queries, NEAREST); 0 for exact copies.
        index: which they are, (queries, NEAREST), rows of the reference.
    """

    distance: NDArray[np.float64]
    index: NDArray[np.int64]


def nearest(queries: NDArray[np.float64], reference: NDArray[np.float64], apart: bool) -> Nearest | None:
    """The nearest data of every query; None where the reference is too small to have so many.

    Args:
        queries: (q, D).
        reference: (n, D).
        apart: whether queries are no part of the reference; else each query finds itself first, which is left
            out.
    """
    wanted = NEAREST if apart else NEAREST + 1
    if len(reference) <= 2 * wanted or not len(queries):
        return None
    squares = (reference**2).sum(axis=1)
    distances, indices = [], []
    for begin in range(0, len(queries), 256):
        part = queries[begin : begin + 256]
        between = np.maximum((part**2).sum(axis=1)[:, None] + squares - 2 * part @ reference.T, 0.0)
        best = np.argpartition(between, wanted, axis=1)[:, :wanted]
        # cancellation leaves nothing of small distances: those of the nearest are taken from differences
        exact = np.sqrt(((part[:, None] - reference[best]) ** 2).sum(axis=2))
        order = np.argsort(exact, axis=1, kind="stable")
        distances.append(np.take_along_axis(exact, order, 1))
        indices.append(np.take_along_axis(best, order, 1))
    own = 0 if apart else 1
    return Nearest(np.concatenate(distances)[:, own:], np.concatenate(indices)[:, own:].astype(np.int64))


def two_nn(found: Nearest) -> float | None:
    """Intrinsic dimension by the ratio of the distances to the second and the first neighbour.

    The ratio mu of a datum is Pareto(d) where the density does not change within the second neighbour:
    P(mu > t) = t^-d. The estimate is the one of maximum likelihood on the smallest nine tenths of the ratios,
    with the others counted as larger than the largest of them: d = k / (sum_{i<=k} ln mu_i + (n - k) ln
    mu_k).

    Returns:
        d, or None where fewer than 50 data have neighbours at positive, different distances.

    References:
        E. Facco, M. d'Errico, A. Rodriguez, A. Laio, Estimating the intrinsic dimension of datasets by a
        minimal neighborhood information, Scientific Reports 7, 2017, https://doi.org/10.1038/s41598-017-11873-y
    """
    first, second = found.distance[:, 0], found.distance[:, 1]
    ratios = np.sort(np.log(second[first > 0] / first[first > 0]))
    if len(ratios) < 50 or ratios[int(0.5 * len(ratios))] <= 0:
        return None
    kept = int(0.9 * len(ratios))
    total = ratios[:kept].sum() + (len(ratios) - kept) * ratios[kept - 1]
    return float(kept / total) if total > 0 else None


def closeness(dimension: float, asked: int) -> float:
    """Largest d_1 / d_K that no independent datum is expected to have.

    Where the density is the same within the K-th neighbour, (d_1 / d_K)^d is the smallest of K - 1 uniform
    numbers: P(d_1 / d_K < r) = 1 - (1 - r^d)^(K - 1) <= (K - 1) r^d. With r = (EXPECTED / ((K - 1)
    asked))^(1/d) fewer than one alarm is expected in 1,000 sets.

    Args:
        dimension: d, at least 1.
        asked: number of data that are asked about.
    """
    return math.exp(math.log(EXPECTED / ((NEAREST - 1) * max(1, asked))) / max(1.0, dimension))
