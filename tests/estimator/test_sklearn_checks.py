"""scikit-learn's own contract of an estimator."""

from __future__ import annotations

from sklearn.utils.estimator_checks import parametrize_with_checks

from vaekit.estimator import VAE

EXPECTED_TO_FAIL: dict[str, str] = {}  # check -> reason; it is to stay empty


@parametrize_with_checks(
    [VAE(latents=2, hidden=(8,), epochs=2, n_importance=5)],
    expected_failed_checks=lambda _: EXPECTED_TO_FAIL,
)
def test_sklearn_checks(estimator, check):
    check(estimator)
