"""The reduced study: what its checks say of tables that are made so, and which runs it has."""

from __future__ import annotations

import random

import pytest

from vaekit.reproductions import study_on_dsprites as claim

METHODS = ("beta-VAE", "FactorVAE", "DIP-VAE-I", "DIP-VAE-II", "beta-TCVAE", "AnnealedVAE")


def table(method_matters: float, falls: float = -1.0, level: float = 0.0):
    """Scores in the middle of their bands, moved by method, strength and seed."""
    draw = random.Random(0)
    found = []
    for number, method in enumerate(METHODS):
        for strength in range(3):
            for seed in range(3):
                row = {
                    "method": method,
                    "seed": seed,
                    "arguments.beta": float(strength),
                    "status": "finished",
                }
                for name, (low, high) in claim.BANDS.items():
                    noise = draw.gauss(0, 0.1) + method_matters * (number - 2.5)
                    row[name] = (low + high) / 2 + (high - low) * (noise + level)
                row[f"sampled/{claim.CORRELATION}"] = 5 + falls * strength
                row[f"mean/{claim.CORRELATION}"] = 6.0
                found.append(row)
    return found


def test_seeds_that_matter_more_than_methods_show_the_claim():
    found = claim.outcome(table(0.0), "none")
    assert found.verdict == "shown"
    assert found.seeds == [0, 1, 2]
    assert len(found.checks) == 5 + 2 + 2 + 5


@pytest.mark.parametrize(("arguments", "which"), [
    ({"method_matters": 1.0}, "methods explain less than half"),
    ({"method_matters": 1.0}, "beats the worst of the highest"),
    ({"method_matters": 0.0, "falls": 0.5}, "falls from weakest to strongest"),
    ({"method_matters": 0.0, "falls": 2.0}, "that of means is above"),
    ({"method_matters": 0.0, "level": 2.0}, "the median of the methods' medians"),
])  # fmt: skip
def test_each_check_can_fail(arguments, which):
    checks = [check for check in claim.outcome(table(**arguments), "").checks if which in check.what]
    assert checks
    assert not any(check.holds for check in checks)


def test_a_score_that_nobody_has_fails_its_check():
    rows = table(0.0)
    for row in rows:
        row[f"sampled/{claim.CORRELATION}"] = None
    assert not any(c.holds for c in claim.outcome(rows, "").checks if "drawn codes falls" in c.what)


def test_the_runs_of_both_versions():
    short, long = claim.study(full=False), claim.study(full=True)
    assert len(short.calls) == 6 * 3 * 3
    assert len(long.calls) == 6 * 6 * 5
    assert {call.method for call in short.calls} == {call.method for call in long.calls} == set(METHODS)
    assert {call.training["steps"] for call in long.calls} == {20_000}
    betas = {call.arguments["beta"] for call in long.calls if call.method == "beta-VAE"}
    assert betas == {1.0, 2.0, 4.0, 6.0, 8.0, 16.0}
    for call in short.calls:
        assert call.training["weights"] == "last"
        assert (call.data["name"], call.data["limit"]) == ("dsprites", None)
