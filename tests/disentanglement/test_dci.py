"""Disentanglement, completeness and informativeness."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier

from vaekit.disentanglement import completeness_of, dci, disentanglement_of
from vaekit.disentanglement.learners import _gains
from vaekit.errors import UnsupportedError

FIVE = 5 * np.eye(5)
HALF = 1 - math.log(2) / math.log(10)


@pytest.mark.parametrize(
    ("importances", "disentanglement", "completeness"),
    [
        (FIVE, 1, 1),
        (np.array([[1.0, 0], [0, 1], [0, 0]]), 1, 1),
        (np.zeros((10, 10)), 0, 0),
        (np.concatenate((FIVE, FIVE)), 1, HALF),
        (FIVE[:2], 1, 1),
        (np.concatenate((FIVE, FIVE), 1), HALF, 1),
    ],
)
def test_matrices_with_known_scores(importances, disentanglement, completeness):
    assert disentanglement_of(importances) == pytest.approx(disentanglement, abs=1e-7)
    assert completeness_of(importances) == pytest.approx(completeness, abs=1e-7)


def test_formula_by_scipy():
    r = np.random.default_rng(0).random((7, 4)) ** 3
    each = 1 - scipy_entropy(r.T + 1e-11, base=4)
    assert disentanglement_of(r) == pytest.approx((each * r.sum(1) / r.sum()).sum(), abs=1e-12)
    each = 1 - scipy_entropy(r + 1e-11, base=7)
    assert completeness_of(r) == pytest.approx((each * r.sum(0) / r.sum()).sum(), abs=1e-12)


def scored(points, change, learner):
    train, test = points
    return dci(change(train), train, change(test), test, learner=learner).values


def doubled(factors):
    return np.concatenate((factors, -factors), 1).astype(float)


@pytest.mark.parametrize("learner", ["histogram", "exact"])
def test_perfect_shuffled_and_doubled_codes(ten, shuffled, learner):
    points = [ten(n, seed)[:, :3] % 2 for n, seed in ((300, 0), (150, 1))]  # few values, to be short
    perfect = scored(points, lambda v: v.astype(float), learner)
    assert perfect["dci_disentanglement"] > 0.9
    assert perfect["dci_completeness"] > 0.9
    assert perfect["dci_informativeness_test"] == 1
    useless = scored(points, shuffled, learner)
    assert useless["dci_disentanglement"] < 0.2
    assert useless["dci_completeness"] < 0.2
    twice = scored(points, doubled, learner)
    assert twice["dci_disentanglement"] > 0.9
    assert twice["dci_completeness"] == pytest.approx(1 - math.log(2) / math.log(6), abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["histogram", "exact"])
def test_perfect_shuffled_and_doubled_codes_as_published(ten, shuffled, learner):
    points = ten(1000, 0), ten(1000, 1)
    perfect = scored(points, lambda v: v.astype(float), learner)
    assert perfect["dci_disentanglement"] > 0.9
    assert perfect["dci_completeness"] > 0.9
    useless = scored(points, shuffled, learner)
    assert useless["dci_disentanglement"] < 0.2
    assert useless["dci_completeness"] < 0.2
    twice = scored(points, doubled, learner)
    assert twice["dci_disentanglement"] > 0.9
    assert twice["dci_completeness"] == pytest.approx(1 - math.log(2) / math.log(20), abs=0.1)


@pytest.fixture(scope="module")
def few(messy):
    """Fewer points, of two factors."""
    codes, factors, test_codes, test_factors = messy
    return codes[:200], factors[:200, :2], test_codes[:100], test_factors[:100, :2]


def test_exact_learner_is_that_of_the_study(few):
    result = dci(*few, learner="exact", seed=7)
    codes, factors, test_codes, test_factors = few
    importances, train, test = [], [], []
    for k in range(2):
        model = GradientBoostingClassifier(random_state=7).fit(codes, factors[:, k])
        importances.append(np.abs(model.feature_importances_))
        train.append(np.mean(model.predict(codes) == factors[:, k]))
        test.append(np.mean(model.predict(test_codes) == test_factors[:, k]))
    r = np.stack(importances, 1)
    each = 1 - scipy_entropy(r.T + 1e-11, base=2)
    assert result.value == pytest.approx((each * r.sum(1) / r.sum()).sum(), abs=1e-9)
    assert result.values["dci_informativeness_train"] == pytest.approx(np.mean(train))
    assert result.values["dci_informativeness_test"] == pytest.approx(np.mean(test))
    assert np.array(result.details["importances"]) == pytest.approx(r)


def test_histogram_learner_is_near_the_exact_one(few):
    near, exact = (dci(*few, learner=learner).values for learner in ("histogram", "exact"))
    for name in ("dci_disentanglement", "dci_completeness", "dci_informativeness_test"):
        assert near[name] == pytest.approx(exact[name], abs=0.1)


def test_gains_are_those_of_the_splits():
    """One tree with one split: its gain is G_l^2 / H_l + G_r^2 / H_r - G^2 / H of the log loss at 1/2."""
    x = np.stack((np.r_[np.zeros(30), np.ones(30)], np.zeros(60)), 1)
    y = np.r_[np.zeros(25, int), np.ones(35, int)]
    model = HistGradientBoostingClassifier(max_iter=1, max_depth=1, min_samples_leaf=1, l2_regularization=0)
    model.fit(x, y)
    assert _gains(model, 2).tolist() == [1.0, 0.0]
    node = model._predictors[0][0].nodes[0]
    p = y.mean()
    gradients, hessians = p - y, np.full(60, p * (1 - p))
    left = x[:, 0] == 0

    def part(rows):
        return gradients[rows].sum() ** 2 / hessians[rows].sum()

    assert node["gain"] == pytest.approx(part(left) + part(~left) - part(left | ~left), rel=1e-4)


def test_trees_that_are_hidden_are_asked_for_clearly():
    with pytest.raises(UnsupportedError, match="'exact'"):
        _gains(object(), 3)


def test_constant_latents_matter_to_nothing_but_the_base(few):
    codes, factors, test_codes, test_factors = few
    result = dci(*few)
    codes, test_codes = (np.insert(c, 1, 0.5, axis=1) for c in (codes, test_codes))
    more = dci(codes, factors, test_codes, test_factors)
    assert more.value == pytest.approx(result.value, abs=1e-6)
    assert more.details["importances"][1] == [0, 0]
    assert more.values["dci_completeness"] > result.values["dci_completeness"]
