"""MINI_XY against plain slices."""

from __future__ import annotations

import itertools

import torch

from vaekit.data.factors import Stored
from vaekit.worlds import mini_xy


def test_the_whole_grid_pixel_by_pixel():
    world = mini_xy()
    assert isinstance(world, Stored)
    assert world.spec.factors == {"x_R": 8, "y_R": 8, "x_G": 8, "y_G": 8}
    assert (world.spec.kind, len(world.grid)) == ("binary", 4096)
    expected = torch.zeros(4096, 2, 16, 16)
    for number, (xr, yr, xg, yg) in enumerate(itertools.product(range(8), repeat=4)):
        expected[number, 0, 2 * yr : 2 * yr + 2, 2 * xr : 2 * xr + 2] = 1
        expected[number, 1, 2 * yg : 2 * yg + 2, 2 * xg : 2 * xg + 2] = 1
    assert torch.equal(world.at(torch.arange(4096)), expected)


def test_every_step_along_a_factor_is_equally_long():
    world = mini_xy()
    steps = world.data_of(torch.tensor([[k, 2, 5, 1] for k in range(8)])).flatten(1)
    distance = (steps[:, None] - steps).square().mean(-1)
    assert torch.equal(distance, (1 - torch.eye(8)) * 8 / 512)
