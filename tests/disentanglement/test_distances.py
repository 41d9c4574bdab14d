"""Distances of factors, data and codes: exact values on squares, correlations against scipy, paths."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from vaekit.data.factors import Grid
from vaekit.disentanglement import (
    agreement,
    distance_agreement,
    factor_importance,
    flatness,
    index_distance,
    pearson,
    perceived_distance,
    spearman,
    straightness,
)
from vaekit.worlds import mini_sprites, mini_xy

GRID = Grid({"a": 5, "constant": 1, "b": 4})
RATIOS = ("linear_ratio", "axis_ratio", "axis_alignment")


def same(factors, generator=None):
    """Codes, or data, that are the factors."""
    return factors.double()


def turned(factors, generator=None):
    """The same, rotated by 45 degrees in the plane of a and b."""
    turn = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 1.0]]).double()
    return factors.double() @ turn / math.sqrt(2)


def squares(factors, generator=None):
    """XYSquares: a square of 8 x 8 in each of 3 channels, factors x, y of each."""
    pixel = torch.arange(64) // 8
    x, y = factors.unflatten(1, (3, 2)).unbind(2)
    rows, columns = (place[:, :, None] == pixel for place in (y, x))
    return (rows[:, :, :, None] & columns[:, :, None, :]).float()


def test_correlations_are_those_of_scipy():
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(7, (500,), generator=generator).double()  # many ties
    second = first + 3 * torch.randn(500, generator=generator).double()
    assert pearson(first, second) == pytest.approx(stats.pearsonr(first, second)[0], abs=1e-12)
    assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second)[0], abs=1e-12)
    assert spearman(first, -first) == pytest.approx(-1)
    assert math.isnan(pearson(first, torch.full((500,), 0.1)))
    assert math.isnan(spearman(torch.full((500,), 0.1).double(), first))


def test_agreement_counts_orders_and_ties():
    near = torch.tensor([[1.0, 2.0, 3.0, 1.0], [2.0, 1.0, 3.0, 1.0]])
    other = torch.tensor([[5.0, 9.0, 4.0, 7.0], [6.0, 8.0, 4.0, 8.0]])
    # the third is a tie for both, the last for one of them alone
    found = agreement(near, other)
    assert found.rsame == 0.75
    assert found.rcorr == pytest.approx(stats.spearmanr(near.flatten(), other.flatten())[0])
    assert found.lcorr == pytest.approx(stats.pearsonr(near.flatten(), other.flatten())[0])


def test_distances_of_squares_are_constant():
    """XYSquares: 128 of 12,288 values change, wherever a square goes; Table A1 of the paper says 0.0104."""
    grid = Grid(dict.fromkeys(("x_R", "y_R", "x_G", "y_G", "x_B", "y_B"), 8))
    found = factor_importance(squares, grid, pairs=500)
    assert list(found) == [*grid.names, "random"]
    for name in grid.names:
        assert found[name].mean == pytest.approx(1 / 96, abs=1e-15)
        assert found[name].std == pytest.approx(0, abs=1e-12)
    expected, error = 3 * (1 - 1 / 64) / 96, 3e-3 / math.sqrt(500)
    assert found["random"].mean == pytest.approx(expected, abs=4 * error)
    assert found["random"].mean == pytest.approx(0.0308, abs=5e-4)
    assert found["random"].std == pytest.approx(math.sqrt(3 * 63 / 64**2) / 96, rel=0.25)  # 0.0022


def test_importance_of_the_whole_grid_by_enumeration():
    world = mini_sprites(("scale", "x"))
    found = factor_importance(world.data_of, world.grid, pairs=20_000)
    x = world.data_of(world.grid.factors_of(torch.arange(len(world.grid)))).double().unflatten(0, (5, 12))
    apart = (x[:, None] - x[None]).square().mean((3, 4, 5))  # (scale, scale, x)
    distances = apart[~torch.eye(5, dtype=torch.bool)]
    assert found["scale"].mean == pytest.approx(float(distances.mean()), rel=0.02)
    assert found["scale"].std == pytest.approx(float(distances.std()), rel=0.05)


def test_data_that_are_their_factors_agree():
    found = distance_agreement(same, lambda factors, _: -2 * factors.double(), GRID, repeats=40)
    assert set(found) == {"ground_data", "ground_latent", "latent_data"}
    assert set(found["ground_data"]) == {"a", "b", "random", "factors"}  # not the one with one value
    for pair in ("ground_data", "ground_latent", "latent_data"):
        assert found[pair]["a"].rsame == 1
        assert found[pair]["a"].rcorr == pytest.approx(1)
    # a distance of codes is that of the indices; squared errors grow with its square
    assert found["ground_latent"]["b"].lcorr == pytest.approx(1)
    assert 0.9 < found["ground_data"]["b"].lcorr < 0.99
    assert 0.9 < found["ground_latent"]["random"].rcorr < 1  # sums of steps against lengths
    one_norm = distance_agreement(same, same, GRID, repeats=40, norm=1)
    assert one_norm["ground_latent"]["random"].rcorr == pytest.approx(1)
    assert set(distance_agreement(same, None, GRID, repeats=2)) == {"ground_data"}


def test_squares_have_no_order_and_get_one_from_another_distance():
    world = mini_xy()

    def total(first, second):
        """Distances of the centres of mass, which do have an order."""
        place = torch.arange(16.0)
        middle = [
            torch.cat([(x.sum(axis) @ place) / x.sum((2, 3)) for axis in (2, 3)], 1) for x in (first, second)
        ]
        return (middle[0] - middle[1]).abs().sum(1).double()

    plain = distance_agreement(world.data_of, None, world.grid, repeats=50)["ground_data"]
    other = distance_agreement(world.data_of, None, world.grid, repeats=50, perceived=total)["ground_data"]
    assert plain["factors"].rsame < 0.45
    assert 0.3 < plain["random"].rcorr < 0.45  # how many squares moved is all that is seen
    assert other["factors"].rsame > 0.999
    assert other["random"].rcorr > 0.999


def test_geometric_mean_over_factors():
    found = distance_agreement(same, lambda factors, _: factors.double() % 3, GRID, repeats=40)
    part = found["ground_latent"]
    assert part["factors"].rsame == pytest.approx(math.sqrt(part["a"].rsame * part["b"].rsame))
    backwards = distance_agreement(
        same, None, GRID, repeats=20, perceived=lambda a, b: -perceived_distance(a, b)
    )
    assert math.isnan(backwards["ground_data"]["factors"].rcorr)


def test_draws_are_seeded():
    first, again, other = (
        distance_agreement(same, turned, GRID, repeats=3, seed=seed)["ground_data"]["random"]
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert factor_importance(same, GRID, pairs=50, seed=1) == factor_importance(same, GRID, pairs=50, seed=1)


def test_index_distance():
    assert index_distance(torch.tensor([[0, 3], [1, 1]]), torch.tensor([[2, 0], [1, 1]])).tolist() == [5, 0]


# -- traversals --------------------------------------------------------------------------------------------


def test_a_latent_for_each_factor():
    found = straightness(same, GRID, repeats=20)
    assert set(found) == {"a", "b", "factors"}
    for part in found.values():
        assert [getattr(part, name) for name in RATIOS] == pytest.approx([1, 1, 1])
    assert flatness(same, GRID, repeats=20) == pytest.approx({"a": 1, "b": 1, "factors": 1})


def test_a_rotated_line_is_straight_and_not_aligned():
    """Of three latents two share the variance: axis ratio (1/2 - 1/3) / (1 - 1/3) = 1/4."""
    found = straightness(turned, GRID, repeats=20)["a"]
    assert [getattr(found, name) for name in RATIOS] == pytest.approx([1, 0.25, 0.25])
    # every step of length 1 has an L1 norm of sqrt 2
    assert flatness(turned, GRID, repeats=20)["a"] == pytest.approx(1 / math.sqrt(2))


def test_a_circle_is_neither_and_its_last_step_is_left_out():
    def circle(factors, generator):
        angle = 2 * math.pi * factors[:, 0].double() / 5
        return torch.stack([angle.cos(), angle.sin()], 1) + 0.1

    found = straightness(circle, GRID, repeats=10)
    assert found["a"].linear_ratio == pytest.approx(0, abs=1e-12)
    assert found["b"].axis_ratio == 0  # the codes do not follow it
    assert found["factors"].axis_alignment == 0
    angles = 2 * math.pi * torch.arange(6).double() / 5
    steps = [
        abs(math.cos(a) - math.cos(b)) + abs(math.sin(a) - math.sin(b))
        for a, b in zip(angles[:-1].tolist(), angles[1:].tolist(), strict=True)
    ]
    width = 2 * math.sin(2 * math.pi / 5)  # two steps around the circle
    expected = width / (sum(steps) - max(steps))
    assert flatness(circle, GRID, repeats=10)["a"] == pytest.approx(expected)
    assert flatness(circle, GRID, repeats=10)["b"] == 0


def test_traversals_are_averaged_before_the_ratio_is_taken():
    """Width over length of all traversals together: that of b is scaled by a, and stays 1."""
    found = flatness(lambda factors, _: (factors[:, [0]] + 1) * factors[:, [2, 2]].double(), GRID, repeats=30)
    assert found["b"] == pytest.approx(1 / math.sqrt(2))


def test_what_has_no_meaning_is_refused():
    with pytest.raises(ValueError, match="expected 2 latents or more"):
        straightness(lambda factors, _: factors[:, :1].double(), GRID, repeats=2)
    with pytest.raises(ValueError, match="expected a factor to traverse"):
        flatness(same, Grid({"a": 1}), repeats=2)
    with pytest.raises(ValueError, match="`repeats` is 0"):
        distance_agreement(same, None, GRID, repeats=0)
    with pytest.raises(ValueError, match="`pairs` is 1; expected at least 2"):
        factor_importance(same, GRID, pairs=1)
