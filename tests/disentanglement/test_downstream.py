"""The downstream task, and the classifiers behind it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vaekit.disentanglement import downstream
from vaekit.disentanglement.learners import logistic, standardised


def test_logistic_by_scikit_learn(messy):
    expected = {}
    for n in (50, 600):
        train, test = standardised(messy.codes[:n], messy.test_codes)
        accuracy = []
        for k in range(3):
            model = LogisticRegression(max_iter=2000).fit(train, messy.factors[:n, k])
            accuracy.append(np.mean(model.predict(test) == messy.test_factors[:, k]))
        expected[n] = np.mean(accuracy)
    found = downstream(*messy, learner="logistic", labels=(50, 600, 1000))
    assert found.values["downstream_logistic_50"] == pytest.approx(expected[50])
    assert found.values["downstream_logistic_600"] == pytest.approx(expected[600])
    assert "downstream_logistic_efficiency" not in found.values
    assert found.notes == ("there are fewer than [1000] points",)


def test_efficiency_is_the_accuracy_with_100_over_that_with_10000(messy):
    codes, factors = (np.concatenate([a] * 17)[:10_000, :2] for a in (messy.codes, messy.factors))
    found = downstream(codes, factors, messy.test_codes[:, :2], messy.test_factors[:, :2], learner="logistic")
    many, few = (found.values[f"downstream_logistic_{n}"] for n in (10_000, 100))
    assert found.values["downstream_logistic_efficiency"] == few / many


def test_boosted_trees_need_few_labels_of_perfect_codes(ten):
    train, test = ten(300, 0)[:, :2] % 3, ten(300, 1)[:, :2] % 3
    found = downstream(train, train, test, test, learner="boosted", labels=(10, 300))
    assert found.values["downstream_boosted_300"] == 1
    assert found.values["downstream_boosted_10"] > 0.8


def test_no_number_of_labels_that_fits(messy):
    with pytest.raises(ValueError, match=r"\(1000,\); expected one of at most 600"):
        downstream(*messy, learner="boosted", labels=(1000,))


def test_what_is_known_is_not_fitted_again(messy):
    done = {600: [0.5, 0.25, 0.75]}
    found = downstream(*messy, learner="boosted", labels=(600,), done=done)
    assert found.values["downstream_boosted_600"] == 0.5


@pytest.mark.parametrize("n", [10, 60])
def test_the_penalty_is_chosen_as_in_the_study(messy, n):
    """A class for itself, with ten penalties and five folds; also where a fold has none of a class."""
    model = logistic(messy.codes[:n], messy.factors[:n, 2], "one_versus_rest", tuned=True)
    chosen = {float(np.ravel(each.C_)[0]) for each in model.estimators_}
    assert chosen <= {float(c) for c in np.logspace(-4, 4, 10)}
    assert model.predict(messy.test_codes).shape == (300,)


def test_one_class_is_always_told():
    for kind in ("multinomial", "one_versus_rest"):
        model = logistic(np.zeros((5, 2)), np.full(5, 3), kind)
        assert model.predict(np.zeros((2, 2))).tolist() == [3, 3]
        assert model.predict_proba(np.zeros((2, 2))).tolist() == [[1], [1]]


def test_constant_columns_are_standardised_to_0():
    train, test = standardised(np.array([[1.0, 2], [1, 4]]), np.array([[1.0, 3]]))
    assert train.tolist() == [[0, -1], [0, 1]]
    assert test.tolist() == [[0, 0]]
