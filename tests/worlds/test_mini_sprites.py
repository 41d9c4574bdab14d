"""MINI_SPRITES: pictures whose factors can be read off them."""

from __future__ import annotations

import pytest
import torch

from vaekit.data.arrays import ArrayData
from vaekit.data.factors import Stored
from vaekit.worlds import mini_sprites


def test_position_and_size_can_be_read_off_the_pictures():
    world = mini_sprites()
    factors = torch.tensor([[0, 0, 0, 11], [1, 0, 11, 0], [0, 4, 5, 5], [1, 2, 5, 5]])
    x = world.data_of(factors).double()[:, 0]
    assert x.shape == (4, 16, 16)
    mass = x.sum((1, 2))
    centre = (torch.arange(16, dtype=torch.float64) + 0.5) / 16
    across = (x.sum(1) * centre).sum(1) / mass
    down = (x.sum(2) * centre).sum(1) / mass
    torch.testing.assert_close(across, 0.25 + 0.5 * factors[:, 2] / 11, atol=4e-3, rtol=0, check_dtype=False)
    torch.testing.assert_close(down, 0.25 + 0.5 * factors[:, 3] / 11, atol=4e-3, rtol=0, check_dtype=False)
    assert abs(mass[2] / 256 - (2 * 0.22) ** 2) < 0.02  # a square of half-side 0.22, in whole pixels
    assert abs(mass[3] / 256 - torch.pi * (1.13 * 0.17) ** 2) < 0.02  # a disc of radius 1.13 * 0.17


def test_the_whole_grid_lies_in_the_order_of_its_numbers():
    world = mini_sprites()
    assert (len(world.grid), world.noisy) == (1440, False)
    splits = world.splits()
    index = torch.tensor([0, 1439, 700])
    batch = splits.train.take(index)
    assert torch.equal(world.grid.index_of(batch["factors"]), index)
    assert torch.equal(world.data_of(batch["factors"]), batch["x"])


def test_factors_may_be_left_out():
    world = mini_sprites(("scale", "x", "y"))
    assert world.grid.sizes == (5, 12, 12)
    whole = mini_sprites().data_of(torch.tensor([[1, 3, 2, 7]]))
    assert torch.equal(world.data_of(torch.tensor([[3, 2, 7]])), whole)
    with pytest.raises(ValueError, match="colour"):
        mini_sprites(("colour",))


def test_stored_data_are_one_for_each_point():
    world = mini_sprites()
    with pytest.raises(ValueError, match="expected 1440"):
        Stored(world.data.subset(range(10)))
    nameless = ArrayData(world.spec.from_json({**world.spec.to_json(), "factors": None}), world.data.x)
    with pytest.raises(ValueError, match="no `factors`"):
        Stored(nameless)
