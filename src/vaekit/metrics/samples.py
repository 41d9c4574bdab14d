"""How far two sets of samples are apart, as distributions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_ROWS = 1000


@dataclass(frozen=True)
class Distance:
    """A distance between two sets of samples, and the one that two halves of the data have.

    Args:
        value: between the samples and the data.
        floor: between two random halves of the data (split-half): what no sampler can be expected to beat at
            this number of samples.
        n: number of samples and of data.
    """

    value: float
    floor: float
    n: tuple[int, int]


def frechet(a: Tensor, b: Tensor) -> float:
    """Frechet distance between Gaussians fitted to two sets of features.

    |m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^1/2). With the features of a classifier trained on the same
    data it says how alike two sets of pictures are; it is not the FID, whose features are those of one
    published network (Heusel et al. 2017, arXiv 1706.08500).

    Args:
        a, b: features, (N, F) and (M, F); sets of equal size compare best, as the distance shrinks with N.

    Raises:
        ValueError: if the sets do not fit or have fewer than two rows.
    """
    _check(a, b)
    a, b = a.double(), b.double()
    gap = (a.mean(0) - b.mean(0)).square().sum()
    first, second = _covariance(a), _covariance(b)
    # tr (S_a S_b)^1/2 = tr (R S_b R)^1/2 with R = S_a^1/2: symmetric, so that its eigenvalues are real
    values, vectors = torch.linalg.eigh(first)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ second @ root).clamp_min(0).sqrt().sum()
    return float((gap + first.trace() + second.trace() - 2 * cross).clamp_min(0))


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'|, over pairs of different rows: 0 for equal distributions.

    Szekely and Rizzo 2013. Unlike the Frechet distance it sees all of the shape, and is meant for few
    dimensions; pairs of a row with itself are left out, so that it is unbiased and may be a little negative.

    Args:
        a, b: samples, (N, D) and (M, D).

    Raises:
        ValueError: if the sets do not fit or have fewer than two rows.
    """
    _check(a, b)
    a, b = a.flatten(1).double(), b.flatten(1).double()
    between = _distances(a, b) / (len(a) * len(b))
    within = (_distances(x, x) / (len(x) * (len(x) - 1)) for x in (a, b))
    return float(2 * between - sum(within))


def against_floor(measure: str, samples: Tensor, data: Tensor, seed: int = 0) -> Distance:
    """A distance beside its split-half floor.

    Args:
        measure: "frechet" or "energy".
        samples: (N, D).
        data: held-out data, (M, D); two random halves of it give the floor. To compare like with like, the
            samples are measured against one half, with as many rows as a half has, where there are enough.
        seed: of the halves.
    """
    distance = {"frechet": frechet, "energy": energy_distance}[measure]
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    half = len(data) // 2
    first, second = data[order[:half]], data[order[half : 2 * half]]
    rows = samples[:half]
    return Distance(distance(rows, first), distance(first, second), (len(rows), half))


def sharpness(pictures: Tensor) -> float:
    """The mean length of the grey-level gradient, over pixels, channels and pictures.

    |(x(i+1, j) - x(i, j), x(i, j+1) - x(i, j))|: blurred pictures have less of it than the data, noisy ones
    more; held against that of data, 1 is right.

    Args:
        pictures: (N, channels, height, width), height and width of at least 2.

    Raises:
        ValueError: for another shape.
    """
    if pictures.dim() != 4 or min(pictures.shape[2:]) < 2 or len(pictures) == 0:
        raise ValueError(
            f"`pictures` has shape {tuple(pictures.shape)}; expected (N, channels, 2 or more, 2 or more)"
        )
    corner = pictures[..., :-1, :-1]
    return float(torch.hypot(pictures[..., 1:, :-1] - corner, pictures[..., :-1, 1:] - corner).mean())


def _covariance(x: Tensor) -> Tensor:
    centred = x - x.mean(0)
    return centred.T @ centred / (len(x) - 1)


def _distances(a: Tensor, b: Tensor) -> float:
    # without matrix products, which leave equal rows a little apart
    mode = "donot_use_mm_for_euclid_dist"
    return sum(float(torch.cdist(rows, b, compute_mode=mode).sum()) for rows in a.split(_ROWS))


def _check(a: Tensor, b: Tensor) -> None:
    if a.shape[1:] != b.shape[1:] or min(len(a), len(b)) < 2:
        raise ValueError(
            f"got samples of shapes {tuple(a.shape)} and {tuple(b.shape)}; expected two rows or more of one "
            "shape"
        )
