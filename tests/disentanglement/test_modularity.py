"""Modularity and explicitness."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import label_binarize

from vaekit.disentanglement import auroc, explicitness, modularity, modularity_of

FIVE = 5 * np.eye(5)


@pytest.mark.parametrize(
    ("information", "expected"),
    [
        (FIVE, 1),
        (np.array([[1.0, 0], [0, 1], [0, 0]]), 2 / 3),
        (np.zeros((10, 10)), 0),
        (np.concatenate((FIVE, FIVE)), 1),
        (FIVE[:2], 1),
        (np.concatenate((FIVE, FIVE), 1), 1 - 1 / 9),
    ],
)
def test_matrices_with_known_modularity(information, expected):
    assert modularity_of(information).mean() == pytest.approx(expected, abs=1e-12)


def test_perfect_shuffled_and_doubled_codes(ten, shuffled):
    factors = ten(3000)
    assert modularity(factors.astype(float), factors, bins=10).value >= 0.9
    assert modularity(np.concatenate((factors, factors), 1), factors, bins=10).value >= 0.9
    factors = ten(20_000)
    assert modularity(shuffled(factors), factors, bins=10).value <= 0.2


def test_modularity_by_plain_loops(messy):
    expected = []
    for z in messy.codes.T:
        numbers = np.digitize(z, np.histogram(z, 20)[1][:-1])
        m = [mutual_info_score(v, numbers) for v in messy.factors.T]
        best = max(m)
        expected.append(1 - (sum(x * x for x in m) - best * best) / (best * best * 2))
    assert modularity(messy.codes, messy.factors).value == pytest.approx(np.mean(expected), abs=1e-9)


def test_one_factor_has_no_modularity(messy):
    result = modularity(messy.codes, messy.factors[:, :1])
    assert np.isnan(result.value)
    assert "one factor" in result.notes[0]


@pytest.mark.parametrize("classifier", ["multinomial", "one_versus_rest"])
def test_explicitness_by_scikit_learn(messy, classifier):
    mean, std = messy.codes.mean(0), messy.codes.std(0)
    train, test = ((c - mean) / std for c in (messy.codes, messy.test_codes))
    expected = []
    for k in range(3):
        inner = LogisticRegression(max_iter=2000)
        if classifier == "one_versus_rest":
            inner = OneVsRestClassifier(LogisticRegression(solver="liblinear"))
        model = inner.fit(train, messy.factors[:, k])
        truth = label_binarize(messy.test_factors[:, k], classes=model.classes_)
        expected.append(roc_auc_score(truth, model.predict_proba(test), average="macro"))
    result = explicitness(*messy, classifier=classifier)
    assert result.value == pytest.approx(np.mean(expected), abs=1e-9)
    assert result.details["of_factors"] == pytest.approx(expected, abs=1e-9)
    assert result.values["explicitness_train"] >= result.value - 0.05


def test_explicitness_of_perfect_and_useless_codes(ten):
    train, test = ten(1000, 0)[:, :2], ten(500, 1)[:, :2]
    perfect = explicitness(
        np.eye(10)[train].reshape(1000, -1), train, np.eye(10)[test].reshape(500, -1), test
    )
    assert perfect.value == pytest.approx(1)
    useless = explicitness(np.zeros((1000, 1)), train, np.zeros((500, 1)), test)
    assert useless.value == pytest.approx(0.5)


def test_a_value_that_is_not_tested_does_not_count(messy):
    rows = messy.test_factors[:, 0] != 2
    result = explicitness(messy.codes, messy.factors, messy.test_codes[rows], messy.test_factors[rows])
    assert 0.5 < result.value < 1


def test_area_is_the_statistic_of_mann_and_whitney():
    draws = np.random.default_rng(0)
    scores, positive = draws.integers(0, 6, (80, 3)), draws.random((80, 2)) < 0.3  # with ties
    found = auroc(scores, positive)
    for j in range(3):
        for a in range(2):
            up, down = scores[positive[:, a], j], scores[~positive[:, a], j]
            wins = sum((x > y) + 0.5 * (x == y) for x in up for y in down)
            assert found[j, a] == pytest.approx(wins / (len(up) * len(down)), abs=1e-12)
            assert found[j, a] == pytest.approx(roc_auc_score(positive[:, a], scores[:, j]), abs=1e-12)
    assert np.isnan(auroc(scores, np.zeros((80, 1)))).all()
