"""The grid of known factors, and what is drawn from it."""

from __future__ import annotations

import pytest
import torch

from vaekit.data.factors import FactorData, Grid
from vaekit.data.spec import Spec

FACTORS = {"shape": 3, "x": 4, "y": 5}


class Values(FactorData):
    """Data that are their own factors."""

    def __init__(self) -> None:
        self.spec = Spec("values", (3,), "real", 60, factors=FACTORS)
        self.grid = Grid(FACTORS)

    def data_of(self, factors, generator=None):
        return factors.float()


def test_the_last_factor_runs_fastest_and_index_and_factors_are_inverse():
    grid = Grid(FACTORS)
    every = torch.arange(len(grid))
    assert len(grid) == 60
    assert grid.factors_of(torch.tensor([0, 1, 5, 20])).tolist() == [
        [0, 0, 0],
        [0, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
    ]
    assert torch.equal(grid.index_of(grid.factors_of(every)), every)


def test_points_are_drawn_uniformly_with_replacement_by_the_generator():
    grid = Grid(FACTORS)
    first, again = (grid.sample(60_000, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, again)
    counts = grid.index_of(first).bincount(minlength=60)
    assert counts.min() > 850  # 1000 each, sd 31
    assert counts.max() < 1150


def test_kept_factors_stay_and_the_others_are_independent():
    data, generator = Values(), torch.Generator().manual_seed(2)
    first, second = data.pairs(50_000, torch.tensor([False, True, False]), generator)
    assert torch.equal(first["factors"][:, 1], second["factors"][:, 1])
    assert torch.equal(second["x"], second["factors"].float())
    joint = torch.stack((first["x"], second["x"]))[:, :, [0, 2]].double()
    for column in (0, 1):
        assert abs(torch.corrcoef(joint[:, :, column])[0, 1]) < 0.02
    assert (first["factors"][:, 0] == second["factors"][:, 0]).double().mean().sub(1 / 3).abs() < 0.01


def test_which_factors_stay_may_differ_between_pairs():
    grid, generator = Grid(FACTORS), torch.Generator().manual_seed(3)
    factors = grid.sample(1_000, generator)
    kept = torch.rand(1_000, 3, generator=generator) < 0.5
    changed = grid.resample(factors, kept, generator)
    assert torch.equal(changed[kept], factors[kept])
    assert not torch.equal(changed[~kept], factors[~kept])


@pytest.mark.parametrize("factors", [{}, {"x": 0}])
def test_a_grid_needs_factors_with_values(factors):
    with pytest.raises(ValueError, match="expected one or more"):
        Grid(factors)
