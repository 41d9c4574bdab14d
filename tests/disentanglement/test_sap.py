"""The separated attribute predictability, and the machines behind it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from vaekit.disentanglement import sap, sap_continuous
from vaekit.disentanglement.machines import _fit, decide


def test_perfect_shuffled_and_doubled_codes(ten, shuffled):
    factors = ten(3000)
    assert sap_continuous(factors.astype(float), factors).value >= 0.9
    assert sap_continuous(shuffled(factors), factors).value <= 0.2
    assert sap_continuous(np.concatenate((factors, factors), 1), factors).value <= 0.2


def test_continuous_by_plain_loops(messy):
    gaps = []
    for v in messy.factors.T:
        squared = sorted(np.corrcoef(z, v)[0, 1] ** 2 for z in messy.codes.T)
        gaps.append(squared[-1] - squared[-2])
    result = sap_continuous(messy.codes, messy.factors)
    assert result.value == pytest.approx(np.mean(gaps), abs=1e-12)


def test_constant_codes_correlate_with_nothing(messy):
    result = sap_continuous(np.ones((600, 3)), messy.factors)
    assert result.value == 0


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("scale", [0.3, 1.0, 30.0])
def test_machines_are_those_of_liblinear_run_to_its_end(classes, scale):
    draws = np.random.default_rng(classes)
    labels = draws.integers(0, classes, 300)
    x = scale * (labels - 1 + draws.standard_normal(300))
    svc = LinearSVC(C=0.01, class_weight="balanced", tol=1e-13, max_iter=100_000)
    theirs = svc.fit(x[:, None], labels)
    balanced = 0.01 * 300 / (classes * np.bincount(labels))
    if classes == 2:
        w, b = _fit(x, [labels == 1], balanced[1:], balanced[:1])
    else:
        w, b = _fit(x, [labels == k for k in range(classes)], balanced, np.full(classes, 0.01))
    assert w == pytest.approx(theirs.coef_[:, 0], abs=1e-6)
    assert b == pytest.approx(theirs.intercept_, abs=1e-6)
    test = scale * 4 * draws.standard_normal(500)
    assert (decide(x, labels, classes, test, 0.01) == theirs.predict(test[:, None])).all()


def test_machines_of_constant_codes_and_of_a_value_that_is_missing():
    labels = np.r_[np.zeros(30, int), np.full(10, 2)]
    told = decide(np.zeros(40), labels, 4, np.zeros(5), 0.01)
    assert len(set(told.tolist())) == 1
    assert set(told.tolist()) <= {0, 2}
    x = np.r_[-np.ones(30), np.ones(10)]
    assert decide(x, labels, 4, np.array([-2.0, 2.0]), 0.01).tolist() == [0, 2]
    assert decide(x, np.full(40, 3), 4, np.zeros(2), 0.01).tolist() == [3, 3]


def test_discrete_by_plain_loops(messy):
    accuracy = np.zeros((4, 3))
    for j in range(4):
        for k in range(3):
            svc = LinearSVC(C=0.01, class_weight="balanced", tol=1e-12, max_iter=100_000)
            model = svc.fit(messy.codes[:, [j]], messy.factors[:, k])
            accuracy[j, k] = np.mean(model.predict(messy.test_codes[:, [j]]) == messy.test_factors[:, k])
    ordered = np.sort(accuracy, 0)
    result = sap(*messy)
    assert result.value == pytest.approx((ordered[-1] - ordered[-2]).mean(), abs=1e-9)
    assert np.array(result.details["scores"]) == pytest.approx(accuracy, abs=1e-9)


def test_liblinear_stops_close_to_it(messy):
    exact, theirs = (np.array(sap(*messy, machine=m).details["scores"]) for m in ("exact", "liblinear"))
    assert theirs == pytest.approx(exact, abs=0.01)
    svc = LinearSVC(C=0.01, class_weight="balanced", random_state=0).fit(
        messy.codes[:, :1], messy.factors[:, 2]
    )
    assert theirs[0, 2] == np.mean(svc.predict(messy.test_codes[:, :1]) == messy.test_factors[:, 2])


def test_one_latent_is_set_against_one_that_says_nothing(messy):
    alone = sap(messy.codes[:, :1], messy.factors, messy.test_codes[:, :1], messy.test_factors)
    silent = [np.insert(c[:, :1], 1, 0.0, axis=1) for c in (messy.codes, messy.test_codes)]
    assert alone.value == sap(silent[0], messy.factors, silent[1], messy.test_factors).value > 0
