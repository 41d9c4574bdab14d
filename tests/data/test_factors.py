"""The grid of known factors, and what is drawn from it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from vaekit.data.arrays import ArrayData
from vaekit.data.factors import FactorData, Grid, Stored
from vaekit.data.resident import ByteImages, PackedImages
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


def test_numbers_of_points_are_those_of_plain_loops():
    grid = Grid({"a": 2, "b": 3, "c": 1, "d": 4})
    points = list(itertools.product(range(2), range(3), range(1), range(4)))
    assert grid.factors_of(torch.arange(24)).tolist() == [list(point) for point in points]
    assert grid.index_of(torch.tensor(points)).tolist() == list(range(24))
    assert grid.index_of(torch.tensor(points).view(2, 12, 4)).shape == (2, 12)


def test_images_by_number_are_images_by_factors_where_only_the_latter_are_given():
    data, index = Values(), torch.tensor([7, 0, 59])
    assert torch.equal(data.at(index), data.data_of(data.grid.factors_of(index)))
    assert data.to("cpu") is data


def test_parts_tell_data_apart():
    class Others(Values):
        def data_of(self, factors, generator=None):
            return factors.float() * 2

    same, again, other = (made.parts(None)[0] for made in (Values(), Values(), Others()))
    assert torch.equal(same, again)
    assert not torch.equal(same, other)
    assert len(Values().parts(torch.tensor([3, 1]))[0]) == 2


SPEC = Spec("t", (1, 2, 4), "binary", 6, factors={"a": 2, "b": 3})
GREY = replace(SPEC, kind="unit", levels=256)


def test_bits_and_bytes_in_memory_come_back_as_they_were():
    x = torch.randint(0, 2, (6, 1, 2, 4), generator=torch.Generator().manual_seed(0))
    packed = torch.from_numpy(np.packbits(x.flatten(1).byte().numpy(), axis=1, bitorder="little"))
    points = Grid({"a": 2, "b": 3}).factors_of(torch.arange(6))
    assert torch.equal(PackedImages(SPEC, packed).data_of(points), x.float())
    assert torch.equal(PackedImages(SPEC, packed).at(torch.tensor([4, 4])), x[[4, 4]].float())
    grey = (x * 100).byte()
    assert torch.equal(ByteImages(GREY, grey).data_of(points), grey.float() / 255)


def test_parts_that_do_not_fit_a_grid_are_refused():
    bits, grey = torch.zeros(6, 1, dtype=torch.uint8), torch.zeros(6, 1, 2, 4, dtype=torch.uint8)
    for spec, packed, message in (
        (GREY, bits, "the spec says unit"),
        (SPEC, bits.float(), "of torch.float32"),
        (SPEC, torch.zeros(6, 2, dtype=torch.uint8), "D = 8"),
        (SPEC, bits[:5], "got 5 rows of `packed`; expected 6"),
        (replace(SPEC, factors=None), bits, "no `factors`"),
    ):
        with pytest.raises(ValueError, match=message):
            PackedImages(spec, packed)
    for spec, x, copies, message in (
        (GREY, grey[:5], 1, "got 5 images; expected 6"),
        (GREY, grey.float(), 1, "of torch.float32"),
        (replace(GREY, levels=17), grey, 1, "with 17 levels"),
        (GREY, grey, 3, r"expected \(N, 3, 1, 2, 4\)"),
    ):
        with pytest.raises(ValueError, match=message):
            ByteImages(spec, x, copies)
    with pytest.raises(ValueError, match="drawn anew"):
        Stored(ArrayData(SPEC, grey, binarise=True))
