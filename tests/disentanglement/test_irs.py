"""The interventional robustness score."""

from __future__ import annotations

import numpy as np
import pytest

from vaekit.disentanglement import irs


def test_perfect_and_silent_codes(ten):
    factors = ten(3000)
    assert 0.9 <= irs(factors.astype(float), factors).value <= 1
    silent = irs(np.zeros((3000, 10)), factors)
    assert silent.value == 0
    assert "constant" in silent.notes[0]


def test_constant_latents_are_left_out(messy):
    codes = messy.codes.copy()
    codes[:, 0], codes[:, 3] = 1.0, 0.0
    found = irs(codes, messy.factors)
    assert found.details["latents"] == [1, 2]
    assert found.value == irs(codes[:, 1:3], messy.factors).value


@pytest.mark.parametrize("quantile", [0.5, 0.99, 1.0])
def test_by_plain_loops(messy, quantile):
    z, v = messy.codes, messy.factors
    reach = [max(abs(x - column.mean()) for x in column) for column in z.T]
    scores = []
    for j in range(4):
        robust = []
        for k in range(3):
            moved = []
            for value in sorted(set(v[:, k])):
                group = z[v[:, k] == value, j]
                moved.append(np.quantile([abs(x - group.mean()) for x in group], quantile))
            robust.append(1 - np.mean(moved) / reach[j])
        scores.append(max(robust))
    found = irs(z, v, quantile=quantile)
    assert found.value == pytest.approx(np.average(scores, weights=reach), abs=1e-12)
    assert found.details["of_latents"] == pytest.approx(scores, abs=1e-12)


def test_factors_in_bins(messy):
    """As in the code of the study: with more bins than values nothing changes, with fewer values merge."""
    plain = irs(messy.codes, messy.factors).value
    assert irs(messy.codes, messy.factors, factor_bins=20).value == pytest.approx(plain, abs=1e-12)
    assert irs(messy.codes, messy.factors, factor_bins=2).value < plain
