"""Points of small grids, and codes of them that are neither perfect nor useless."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch

from vaekit.data.factors import Grid

TEN = Grid({f"factor_{k}": 10 for k in range(10)})


class Points(NamedTuple):
    codes: np.ndarray
    factors: np.ndarray
    test_codes: np.ndarray
    test_factors: np.ndarray


def _mixed(factors, noise=0.3, seed=0):
    """Codes that turn, bend and mix the factors, in float64; the fourth is noise."""
    draws = np.random.default_rng(seed)
    v = factors - np.mean(factors, 0)
    turned = v @ (np.eye(v.shape[1]) + 0.3 * draws.standard_normal((v.shape[1], v.shape[1])))
    codes = np.concatenate((turned + 0.2 * np.tanh(v) ** 2, np.zeros((len(v), 1))), 1)
    return codes + noise * draws.standard_normal(codes.shape)


def _sampled(grid, n, seed):
    return grid.sample(n, torch.Generator().manual_seed(seed)).numpy()


@pytest.fixture(scope="session")
def mixed():
    return _mixed


@pytest.fixture(scope="session")
def shuffled():
    return _shuffled


@pytest.fixture(scope="session")
def grid():
    return Grid({"shape": 3, "scale": 4, "x": 6})


@pytest.fixture(scope="session")
def messy(grid):
    train, test = _sampled(grid, 600, 1), _sampled(grid, 300, 2)
    return Points(_mixed(train, seed=3), train, _mixed(test, seed=3), test)


@pytest.fixture(scope="session")
def ten():
    """Points of ten factors with ten values, as in the tests of the published code."""

    def points(n, seed=0):
        return _sampled(TEN, n, seed)

    points.grid = TEN
    return points


def _shuffled(factors, seed=0):
    """Codes that are the factors in an order that is drawn for every point."""
    return np.random.default_rng(seed).permuted(factors.astype(float), axis=1)
