"""Scores of codes alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
from sklearn.metrics import mutual_info_score

from vaekit.disentanglement import gaussian_total_correlation, gaussian_wasserstein, unsupervised


def test_independent_latents_score_0():
    assert gaussian_total_correlation(np.eye(5)) == pytest.approx(0, abs=1e-12)
    assert gaussian_wasserstein(np.eye(5)) == pytest.approx(0, abs=1e-12)
    assert gaussian_wasserstein(np.diag([4.0, 1.0, 0.1])) == pytest.approx(0, abs=1e-12)


def test_two_correlated_latents():
    s = np.array([[1, 0.9], [0.9, 1]])
    divergence = 0.5 * (2 - 2 - math.log(np.linalg.det(s)))  # KL(N(0, S) || N(0, I))
    assert gaussian_total_correlation(s) == pytest.approx(divergence, abs=1e-12)
    # eigenvalues 1.9 and 0.1: 2 tr S - 2 (sqrt 1.9 + sqrt 0.1)
    assert gaussian_wasserstein(s) == pytest.approx(4 - 2 * (1.9**0.5 + 0.1**0.5), abs=1e-12)


def test_wasserstein_by_a_root_of_a_general_matrix():
    root = np.random.default_rng(0).standard_normal((4, 6))
    s = root @ root.T
    d = np.diag(np.diag(s))
    expected = np.trace(s + d - 2 * scipy.linalg.sqrtm(s @ d)).real
    assert gaussian_wasserstein(s) == pytest.approx(expected, abs=1e-9)


def test_scores_of_codes(messy):
    z = messy.codes
    found = unsupervised(z).values
    s = np.cov(z.T)
    assert found["gaussian_total_correlation"] == pytest.approx(
        0.5 * (np.log(np.diag(s)).sum() - np.log(np.linalg.det(s))), abs=1e-9
    )
    assert found["gaussian_wasserstein_normed"] == pytest.approx(
        gaussian_wasserstein(s) / np.trace(s), abs=1e-12
    )
    numbers = [np.digitize(c, np.histogram(c, 20)[1][:-1]) for c in z.T]
    pairs = [mutual_info_score(a, b) for i, a in enumerate(numbers) for j, b in enumerate(numbers) if i != j]
    assert found["mutual_information"] == pytest.approx(np.mean(pairs), abs=1e-9)


def test_constant_and_dependent_latents(messy):
    z = messy.codes
    with_constant = unsupervised(np.insert(z, 2, 0.7, axis=1))
    plain = unsupervised(z)
    for name in ("gaussian_total_correlation", "gaussian_wasserstein", "gaussian_wasserstein_normed"):
        assert with_constant.values[name] == pytest.approx(plain.values[name], abs=1e-12)
    assert "latents [2]" in with_constant.notes[0]
    # the mean over pairs has more pairs then, 20 instead of 12
    share = plain.values["mutual_information"] * 12 / 20
    assert with_constant.values["mutual_information"] == pytest.approx(share, abs=1e-12)
    assert unsupervised(z[:, [0, 0]]).value > 15  # infinite but for rounding
    assert unsupervised(np.ones((9, 2))).value == 0
    assert gaussian_total_correlation(np.ones((2, 2))) == math.inf
