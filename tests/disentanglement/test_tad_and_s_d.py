"""The total AUROC difference, and the score of covariances."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score, roc_auc_score

from vaekit.disentanglement import s_d, tad, upper_half


def test_tad_of_perfect_detectors():
    draws = np.random.default_rng(0)
    truth = draws.integers(0, 2, (400, 3))
    noise = draws.random((400, 3))
    found = tad(np.concatenate((1 - truth, noise), 1) * 1.0, truth)
    rest = np.array(found.details["areas"])
    assert rest[:3].max(0) == pytest.approx([1, 1, 1])
    assert found.values["tad_attributes"] == 3
    assert found.value == pytest.approx(sum(1 - np.sort(column)[-2] for column in rest.T))
    assert found.value > 1.2
    assert found.values["tad_normed"] == pytest.approx(2 * found.value)
    alone = tad(truth[:, :1] * 1.0, truth[:, :1])
    assert alone.values == {"tad": 0.5, "tad_normed": 1, "tad_attributes": 1}


def test_tad_by_plain_loops(messy):
    truth = upper_half(messy.factors)
    truth[:, 1] |= truth[:, 0]  # tells of the first
    z = messy.codes
    areas = np.array([[roc_auc_score(t, c) for t in truth.T] for c in z.T])
    areas = np.maximum(areas, 1 - areas)
    total = 0.0
    for a in range(3):
        first, second = sorted(areas[:, a])[::-1][:2]
        told = max(mutual_info_score(truth[:, a], truth[:, b]) for b in range(3) if b != a)
        if first >= 0.75 and told <= 0.2 * mutual_info_score(truth[:, a], truth[:, a]):
            total += first - second
    found = tad(z, truth)
    assert found.value == pytest.approx(total, abs=1e-9)
    assert 0 < found.values["tad_attributes"] < 3


def test_latents_of_small_range_and_constant_attributes():
    truth = np.random.default_rng(1).integers(0, 2, (200, 1))
    assert tad(truth * 0.1, truth).value == 0
    found = tad(truth * 1.0, np.concatenate((truth, np.ones_like(truth)), 1))
    assert found.values["tad_attributes"] == 1
    assert "[1] are constant" in found.notes[0]
    with pytest.raises(ValueError, match="holds 2; expected 0 and 1"):
        tad(truth * 1.0, 2 * truth)


def test_upper_half():
    assert upper_half(np.array([[0, 0], [1, 1], [2, 1]])).tolist() == [[0, 0], [0, 1], [1, 1]]


def test_s_d_of_independent_and_turned_factors():
    draws = np.random.default_rng(0)
    theta = draws.standard_normal((20_000, 2))
    assert s_d(theta, theta).value == pytest.approx(1, abs=0.02)
    turn = np.array([[1.0, 1], [-1, 1]]) / math.sqrt(2)
    assert s_d(theta @ turn, theta).value == pytest.approx(0.5, abs=0.02)


def test_s_d_by_plain_loops(messy):
    z, v = messy.codes, messy.factors * np.array([1, 10, 1])
    cov = np.array([[abs(np.cov(a, b)[0, 1]) for b in v.T] for a in z.T])
    cor = np.array([[abs(np.corrcoef(a, b)[0, 1]) for b in v.T] for a in z.T])
    found = s_d(z, v).values
    assert found["s_d"] == pytest.approx(np.mean([max(r) / sum(r) for r in cov]), abs=1e-9)
    assert found["s_d_pearson"] == pytest.approx(np.mean([max(r) / sum(r) for r in cor]), abs=1e-9)
    shares = cor / cor.sum(1, keepdims=True)
    best = max(np.mean([shares[j, k] for k, j in enumerate(chosen)]) for chosen in permutations(range(4), 3))
    assert found["s_d_matched"] == pytest.approx(best, abs=1e-9)


def test_the_match_counts_a_factor_once():
    draws = np.random.default_rng(2)
    theta = draws.standard_normal((5000, 2))
    twice = theta[:, [0, 0]] + 0.01 * draws.standard_normal((5000, 2))
    found = s_d(twice, theta).values
    assert found["s_d"] > 0.95
    assert found["s_d_matched"] < 0.6


def test_silent_latents_are_left_out(messy):
    found = s_d(np.insert(messy.codes, 1, 2.5, axis=1), messy.factors)
    assert found.values == pytest.approx(s_d(messy.codes, messy.factors).values)
    assert "latents [1]" in found.notes[0]
    nothing = s_d(np.ones((600, 2)), messy.factors)
    assert math.isnan(nothing.value)
