"""XYSquares and its relatives: pixel by pixel, and the distances that they were made for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from vaekit.data import ground_truth
from vaekit.data.squares import Object, Squares


def plain(factors, *, size=8, spacing=8, side=64, begin=0, columns=False):
    """One image by slices, (C, side, side)."""
    step = 1 if columns else 2
    pairs = [factors[k : k + step] for k in range(0, len(factors), step)]
    image = np.zeros((len(pairs), side, side), np.float32)
    for channel, place in enumerate(pairs):
        x = begin + spacing * place[0]
        rows = (
            slice(None) if columns else slice(begin + spacing * place[1], begin + spacing * place[1] + size)
        )
        image[channel, rows, x : x + size] = 1
    return image


def some(grid, n=40):
    return grid.sample(n, torch.Generator().manual_seed(1))


@pytest.mark.parametrize("spacing", range(1, 9))
def test_squares_pixel_by_pixel_at_every_spacing(spacing):
    data = ground_truth("xysquares", spacing=spacing)
    begin = (64 - (8 + 7 * spacing)) // 2
    factors = some(data.grid)
    expected = np.stack([plain(f, spacing=spacing, begin=begin) for f in factors.tolist()])
    assert torch.equal(data.data_of(factors), torch.from_numpy(expected))


def test_columns_and_a_single_square():
    data = ground_truth("xcolumns")
    factors = some(data.grid)
    assert data.spec.factors == {"x_R": 8, "x_G": 8, "x_B": 8}
    expected = np.stack([plain(f, columns=True) for f in factors.tolist()])
    assert torch.equal(data.data_of(factors), torch.from_numpy(expected))
    single = ground_truth("xy_single_square", spacing=5, placements=12)
    assert single.spec.factors == {"x": 12, "y": 12}
    factors = some(single.grid)
    expected = np.stack([plain(f, spacing=5, begin=0) for f in factors.tolist()])  # (64 - 63) // 2
    assert torch.equal(single.data_of(factors), torch.from_numpy(expected))


def test_the_number_of_each_image_counts_y_of_blue_fastest():
    data = ground_truth("xysquares")
    assert len(data.grid) == 262_144
    assert data.spec.kind == "binary"
    assert list(data.spec.factors) == ["x_R", "y_R", "x_G", "y_G", "x_B", "y_B"]
    for index in (0, 1, 8, 64, 123_456, 262_143):
        factors = np.unravel_index(index, (8,) * 6)
        assert torch.equal(data.at(torch.tensor([index]))[0], torch.from_numpy(plain(factors)))


def distances(x):
    """Mean squared difference of all pairs, (N, N) float64."""
    flat = x.flatten(1).double()
    return (flat[:, None] - flat).square().mean(-1)


def traversal(data, column):
    factors = torch.full((8, len(data.grid.sizes)), 3)
    factors[:, column] = torch.arange(8)
    return data.data_of(factors)


@pytest.mark.parametrize("column", range(6))
def test_every_step_along_a_factor_is_equally_long(column):
    found = distances(traversal(ground_truth("xysquares"), column))
    assert torch.equal(found, (1 - torch.eye(8, dtype=torch.float64)) / 96)  # 128 of 12,288 pixels


def test_the_expected_distance_of_random_images():
    data = ground_truth("xysquares")
    places = torch.full((64, 6), 5)
    places[:, :2] = torch.cartesian_prod(torch.arange(8), torch.arange(8))
    one_square = distances(data.data_of(places)).mean()  # all pairs of places, equal ones included
    assert 3 * float(one_square) == pytest.approx(3 * (1 - 1 / 64) / 96, abs=1e-15)
    generator = torch.Generator().manual_seed(0)
    a, b = (data.sample(1000, generator)["x"] for _ in range(2))
    found = (a - b).square().flatten(1).mean(1).double()
    assert float(found.mean()) == pytest.approx(0.0307617, abs=4 * float(found.std()) / 1000**0.5)


@pytest.mark.parametrize(
    ("spacing", "distinct", "order"),
    [(1, 7, 1.0), (2, 4, 0.979), (3, 3, 0.923), (4, 2, 0.764), (5, 2, 0.764), (6, 2, 0.764), (7, 2, 0.764)],
)
def test_overlap_brings_distances_back(spacing, distinct, order):
    found = distances(traversal(ground_truth("xysquares", spacing=spacing), 0))
    pairs = list(itertools.combinations(range(8), 2))
    seen = [round(float(found[i, j]), 9) for i, j in pairs]
    assert len(set(seen)) == distinct
    assert spearmanr([j - i for i, j in pairs], seen).statistic == pytest.approx(order, abs=6e-4)


def object_by_slices(x, y, scale, shade, hue, spacing):
    image = np.zeros((64, 64, 3), np.uint8)
    size = (7, 9, 11, 13, 15)[scale]
    left, top = (spacing * place + (15 - size) // 2 for place in (x, y))
    colours = ((255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255))
    image[top : top + size, left : left + size] = [c * (shade + 1) // 4 for c in colours[hue]]
    return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32)) / 255


@pytest.mark.parametrize("spacing", [1, 2, 7])
def test_objects_pixel_by_pixel(spacing):
    data = ground_truth("xyobject", spacing=spacing)
    count = (64 - 15) // spacing + 1
    assert data.grid.sizes == (count, count, 5, 24)
    factors = some(data.grid, 60)
    expected = [object_by_slices(x, y, s, c // 6, c % 6, spacing) for x, y, s, c in factors.tolist()]
    assert torch.equal(data.data_of(factors), torch.stack(expected))


def test_objects_have_the_published_number_of_images_and_shades_are_only_named():
    plain, shaded = ground_truth("xyobject"), ground_truth("xyobject_shaded")
    assert len(plain.grid) == len(shaded.grid) == 75_000
    assert shaded.spec.factors == {"x": 25, "y": 25, "scale": 5, "intensity": 4, "colour": 6}
    index = torch.arange(0, 75_000, 677)
    assert torch.equal(plain.at(index), shaded.at(index))
    levels = plain.at(index).mul(255).round().unique()
    assert levels.tolist() == [0, 63, 127, 191, 255]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spacing": 0}, "steps of 1"),
        ({"placements": 9}, r"expected 1\.\.8"),
        ({"placements": 0}, r"expected 1\.\.8"),
        ({"size": 65}, r"1\.\.64"),
        ({"channels": 4}, "1, 2 or 3"),
    ],
)
def test_squares_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        Squares(**options)
    with pytest.raises(ValueError, match="spacing"):
        Object(spacing=0)


def test_wide_steps_leave_fewer_places():
    assert Squares(spacing=9).grid.sizes == (7,) * 6
    assert Squares(spacing=60, placements=1).grid.sizes == (1,) * 6
