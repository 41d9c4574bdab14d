"""Unsupervised disentanglement ranking."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import Lasso

from vaekit.disentanglement import relative_strength, udr
from vaekit.disentanglement.udr import _lasso, _ranks


@pytest.mark.parametrize(
    ("relations", "low", "high"),
    [
        (np.eye(3), 1, 1),
        (np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]), 0.6, 0.7),
        (np.ones((3, 3)), 0.3, 0.4),
        (np.zeros((3, 3)), 0, 0),
        (np.zeros((0, 3)), 0, 0),
    ],
)
def test_relative_strength(relations, low, high):
    assert low <= relative_strength(relations) <= high


def test_relations_of_latents_that_are_copied():
    draws = np.random.default_rng(0)
    first = draws.random((1000, 3))
    copied = first.copy()
    copied[:, 1] = copied[:, 0]
    expected = np.array([[1.0, 1, 0], [0, 0, 0], [0, 0, 1]])
    assert _ranks(first, first) == pytest.approx(np.eye(3), abs=0.1)
    assert _ranks(first, copied) == pytest.approx(expected, abs=0.1)
    assert _lasso(10 * first, 10 * first, 0.1) == pytest.approx(np.eye(3), abs=0.2)
    assert _lasso(10 * first, 10 * copied, 0.1) == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize("relation", ["lasso", "spearman"])
def test_a_permuted_model_with_other_signs_is_the_same(ten, relation):
    codes = ten(1000).astype(float)
    other = codes[:, np.random.default_rng(1).permutation(10)] * np.array([1, -1] * 5)
    found = udr([codes, other], relation=relation)
    assert found.values["udr_0"] >= 0.8
    assert found.values["udr_1"] >= 0.8


def test_latents_with_a_small_rate_do_not_count(ten):
    codes = ten(1000).astype(float)
    draws = np.random.default_rng(2)
    models = [np.concatenate((codes[:, :1], draws.random((1000, 9))), 1) for _ in range(2)]
    rates = [[1.0] + [0.0] * 9] * 2
    assert udr(models, rates, drop=False).value <= 0.2
    found = udr(models, rates)
    assert found.value >= 0.8
    assert found.details["used"] == [[0], [0]]


@pytest.mark.parametrize("relation", ["lasso", "spearman"])
def test_by_plain_loops(messy, relation):
    draws = np.random.default_rng(3)
    models = [messy.codes @ draws.standard_normal((4, d)) for d in (4, 3, 5)]
    ready = [(z - z.mean(0)) / z.std(0) for z in models]
    pairs = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            r = np.zeros((ready[i].shape[1], ready[j].shape[1]))
            for b in range(r.shape[1]):
                if relation == "lasso":
                    r[:, b] = abs(Lasso(alpha=0.1).fit(ready[i], ready[j][:, b]).coef_)
                else:
                    r[:, b] = [abs(spearmanr(a, ready[j][:, b]).statistic) for a in ready[i].T]
            over_rows = [max(c) ** 2 / sum(c) if sum(c) else 0 for c in r.T]
            over_columns = [max(c) ** 2 / sum(c) if sum(c) else 0 for c in r]
            pairs[i, j] = (np.mean(over_rows) + np.mean(over_columns)) / 2
    found = udr(models, relation=relation)
    for j in range(3):
        expected = np.median([pairs[i, j] for i in range(3) if i != j])
        assert found.values[f"udr_{j}"] == pytest.approx(expected, abs=1e-6)


def test_bad_input(messy):
    with pytest.raises(ValueError, match="two or more models"):
        udr([messy.codes])
    with pytest.raises(ValueError, match="two or more models"):
        udr([messy.codes, messy.codes[1:]])
    with pytest.raises(ValueError, match="3 entries"):
        udr([messy.codes] * 2, [[1.0] * 3] * 2)
    silent = udr([np.ones((9, 2)), messy.codes[:9]])
    assert silent.values["udr_0"] == 0
    assert "models [0]" in silent.notes[0]
