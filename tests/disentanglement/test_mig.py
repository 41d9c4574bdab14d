"""The mutual information gap, binned and exact."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from scipy.integrate import quad
from sklearn.metrics import mutual_info_score

from vaekit.disentanglement import exact_mig, mig


def test_perfect_useless_and_doubled_codes(ten):
    factors = ten(3000)
    assert 0.9 <= mig(factors.astype(float), factors, bins=10).value <= 1
    assert mig(np.zeros((3000, 10)), factors, bins=10).value == 0
    assert 0 <= mig(np.concatenate((factors, factors), 1), factors, bins=10).value <= 0.1


def test_by_plain_loops(messy):
    bins, expected = 20, []
    for v in messy.factors.T:
        found = []
        for z in messy.codes.T:
            edges = np.histogram(z, bins)[1]
            numbers = [sum(value >= edge for edge in edges[:-1]) for value in z]
            found.append(mutual_info_score(v, numbers))
        found.sort()
        expected.append((found[-1] - found[-2]) / mutual_info_score(v, v))
    result = mig(messy.codes, messy.factors, bins=bins)
    assert result.value == pytest.approx(np.mean(expected), abs=1e-9)
    assert result.details["gaps"] == pytest.approx(expected, abs=1e-9)


def test_one_latent_is_set_against_none(messy):
    result = mig(messy.codes[:, :1], messy.factors)
    share = np.array(result.details["information"][0])
    h = [mutual_info_score(v, v) for v in messy.factors.T]
    assert result.value == pytest.approx((share / h).mean())


def test_constant_factors_are_left_out_and_noted(messy):
    with_constant = np.insert(messy.factors, 1, 4, axis=1)
    result = mig(messy.codes, with_constant)
    assert result.value == mig(messy.codes, messy.factors).value
    assert result.notes == ("factor 1 is constant in these points, and left out",)


def entropy_by_quadrature(means, stds):
    def integrand(z):
        q = np.mean(np.exp(-0.5 * ((z - means) / stds) ** 2) / (stds * math.sqrt(2 * math.pi)))
        return -q * math.log(q) if q > 0 else 0.0

    low, high = (means - 9 * stds).min(), (means + 9 * stds).max()
    return quad(integrand, low, high, limit=400, epsabs=1e-10)[0]


def test_exact_form_by_adaptive_quadrature():
    draws = np.random.default_rng(1)
    factors = np.stack(np.meshgrid(range(2), range(3), indexing="ij"), -1).reshape(-1, 2)
    mean = factors @ np.array([[1.0, 0.2, 0.0], [0.3, 1.5, 0.0]]) + 0.1 * draws.standard_normal((6, 3))
    std = np.exp(0.3 * draws.standard_normal((6, 3))) * np.array([0.3, 0.5, 1.0])
    result = exact_mig(mean, std, factors)
    gaps = []
    for k, count in enumerate((2, 3)):
        information = []
        for j in range(3):
            given = 0.0
            for value in range(count):
                rows = factors[:, k] == value
                given += rows.mean() * entropy_by_quadrature(mean[rows, j], std[rows, j])
            information.append(entropy_by_quadrature(mean[:, j], std[:, j]) - given)
            assert result.details["information"][j][k] == pytest.approx(information[-1], abs=1e-7)
        information.sort()
        gaps.append((information[-1] - information[-2]) / math.log(count))
    assert result.value == pytest.approx(np.mean(gaps), abs=1e-7)


def test_exact_form_of_codes_that_are_far_apart_and_of_none():
    factors = np.stack(np.meshgrid(range(4), range(3), indexing="ij"), -1).reshape(-1, 2)
    apart = exact_mig(100.0 * factors, np.ones(factors.shape), factors)
    assert apart.value == pytest.approx(1, abs=1e-9)
    silent = exact_mig(np.zeros(factors.shape), np.ones(factors.shape), factors)
    assert silent.value == pytest.approx(0, abs=1e-9)
    assert apart.seed is None


def test_exact_form_does_not_depend_on_the_step_or_the_blocks(monkeypatch):
    draws = np.random.default_rng(2)
    factors = draws.integers(0, 3, (50, 2))
    mean, std = draws.standard_normal((50, 2)), np.exp(draws.standard_normal((50, 2)) * 0.2 - 1)
    whole = exact_mig(mean, std, factors).value
    assert exact_mig(mean, std, factors, step=0.2).value == pytest.approx(whole, abs=1e-8)
    monkeypatch.setattr(sys.modules["vaekit.disentanglement.mig"], "_ELEMENTS", 600)
    assert exact_mig(mean, std, factors).value == pytest.approx(whole, abs=1e-12)


def test_exact_form_refuses_what_it_cannot_integrate(messy):
    std = np.full(messy.codes.shape, 1e-7)
    with pytest.raises(ValueError, match=r"nodes, more than `most` = 20,000.*bins the means"):
        exact_mig(messy.codes, std, messy.factors)
    with pytest.raises(ValueError, match="positive"):
        exact_mig(messy.codes, 0 * std, messy.factors)
