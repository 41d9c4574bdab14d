"""Bins, entropies and informations against other computations of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score

from vaekit.data.factors import Grid
from vaekit.disentanglement import discretise, entropy, from_table, merged, mig, mutual_information
from vaekit.disentanglement.points import classes_of


def test_bins_of_equal_width():
    values = np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]).T
    assert discretise(values, 3)[:, 0].tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_bins_are_those_of_numpy(kind):
    values = np.random.default_rng(0).standard_normal((500, 3)).astype(kind)
    values[0] = 40  # an outlier widens all bins
    for column, numbers in zip(values.T, discretise(values, 20).T, strict=True):
        expected = np.digitize(column, np.histogram(column, 20)[1][:-1])
        assert (numbers + 1 == expected).all()
        assert numbers.max() == 19
    assert len(np.unique(discretise(values, 20)[1:, 0])) < 6


def test_a_constant_code_has_one_bin():
    assert len(np.unique(discretise(np.full((9, 1), 0.3)))) == 1


def test_entropy_of_three_values_is_ln_3():
    assert entropy(np.array([[0, 0, 1, 1, 2, 2]]).T) == pytest.approx([math.log(3)])


def test_information_by_hand():
    first = np.array([[1, 2, 1, 2], [1, 1, 2, 2]]).T - 1
    second = np.array([[1, 2, 1, 2], [2, 2, 1, 1]]).T - 1
    assert mutual_information(first, second) == pytest.approx(np.diag([math.log(2)] * 2))


def test_information_is_that_of_scikit_learn(messy):
    first, second = discretise(messy.codes, 20), messy.factors
    expected = [[mutual_info_score(b, a) for b in second.T] for a in first.T]
    assert mutual_information(first, second) == pytest.approx(np.array(expected), abs=1e-12)
    own = [mutual_info_score(column, column) for column in second.T]
    assert entropy(second) == pytest.approx(own, abs=1e-12)


def test_a_table_is_gathered_by_the_number_of_the_point(grid):
    table = torch.arange(len(grid)).double()[:, None] * torch.tensor([1.0, -1.0])
    factors = torch.tensor([[2, 3, 5], [0, 1, 2]])
    codes = from_table(grid, table)(factors, torch.Generator())
    assert codes[:, 0].tolist() == grid.index_of(factors).tolist() == [71, 8]


def test_a_table_of_another_size_is_refused(grid):
    with pytest.raises(ValueError, match=r"\(71, 2\).*\(72, d\)"):
        from_table(grid, torch.zeros(71, 2))


@pytest.mark.parametrize("wild", [math.nan, math.inf, -math.inf])
def test_codes_that_are_not_finite_are_refused(grid, messy, wild):
    codes = messy.codes.copy()
    codes[5, 1] = codes[7, 1] = wild
    with pytest.raises(ValueError, match="2 in column 1"):
        mig(codes, messy.factors)
    table = torch.zeros(len(grid), 2)
    table[3, 0] = wild
    with pytest.raises(ValueError, match="1 in column 0"):
        from_table(grid, table)


def test_tensors_and_truth_values_are_arrays(messy):
    plain = mig(messy.codes.astype(np.float32), messy.factors)
    assert mig(torch.from_numpy(messy.codes).float(), torch.from_numpy(messy.factors)).value == plain.value
    halves = torch.from_numpy(messy.codes).bfloat16()
    assert mig(halves, messy.factors).value == mig(halves.float(), messy.factors).value
    assert mig(messy.codes > 0, messy.factors).value == mig((messy.codes > 0) * 1.0, messy.factors).value


def test_arrays_that_do_not_fit_are_refused(messy):
    with pytest.raises(ValueError, match="600 rows, `factors` 599"):
        mig(messy.codes, messy.factors[1:])
    with pytest.raises(ValueError, match="are constant"):
        mig(messy.codes, np.ones((600, 2)))
    with pytest.raises(ValueError, match=r"shape \(600,\)"):
        mig(messy.codes[:, 0], messy.factors)
    with pytest.raises(TypeError, match="expected numbers"):
        mig(messy.codes.astype(str), messy.factors)
    with pytest.raises(ValueError, match=r"few values.*discretise"):
        mig(messy.codes, messy.codes)


def test_classes_are_numbered_over_training_and_test():
    train, test, counts = classes_of(np.array([[5], [9]]), np.array([[7], [9]]))
    assert train[:, 0].tolist() == [0, 2]
    assert test[:, 0].tolist() == [1, 2]
    assert counts == [3]


def test_merged_values():
    grid = Grid({"orientation": 4, "x": 2})
    factors = np.array([[3, 1], [0, 1], [2, 0]])
    assert merged(factors, grid, {"orientation": {3: 0}}).tolist() == [[0, 1], [0, 1], [2, 0]]
    with pytest.raises(ValueError, match="expected one of orientation, x"):
        merged(factors, grid, {"angle": {3: 0}})
    with pytest.raises(ValueError, match=r"orientation 4 .*0\.\.3"):
        merged(factors, grid, {"orientation": {4: 0}})
