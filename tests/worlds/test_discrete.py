"""The enumerable world: bounds, forms and estimators as finite sums."""

from __future__ import annotations

import math

import pytest
import torch

from vaekit.terms import Distortion, ImportanceBound, Rate, log_weight
from vaekit.worlds import Discrete


@pytest.fixture
def world():
    return Discrete.random(codes=3, bits=4, seed=3)


def test_evidence_is_a_distribution_and_bayes_holds(world):
    assert abs(float(world.evidence.sum()) - 1) < 1e-12
    torch.testing.assert_close(world.true_posterior.sum(-1), torch.ones(16).double())
    x, z = 5, 2  # 0101
    assert world.points[x].tolist() == [0, 1, 0, 1]
    ones = world.ones[z]
    by_hand = world.prior[z] * (1 - ones[0]) * ones[1] * (1 - ones[2]) * ones[3]
    torch.testing.assert_close(by_hand, world.true_posterior[x, z] * world.evidence[x])


def test_all_forms_of_the_elbo_agree(world):
    forms = world.elbos()
    for name in ("parts", "gap", "energy"):
        assert (forms[name] - forms["joint"]).abs().max() < 1e-12
    for name in ("surgery", "matching"):
        assert abs(float(forms[name] - world.data @ forms["joint"])) < 1e-12
    assert (forms["joint"] < world.evidence.log()).all()


def test_rate_is_information_plus_marginal_kl(world):
    torch.testing.assert_close(world.data @ world.rate, world.information + world.marginal_kl)
    assert world.information > 0
    assert world.marginal_kl > 0
    assert world.information < math.log(3)


def enumerated(world, values):
    """E_q of values (K, 2^D), one row per code."""
    return (world.q * values.mT).sum(-1)


def test_terms_give_the_enumerated_values(world):
    rows = []
    for code in range(3):
        trace = world.trace(torch.full((16,), code))
        rows.append((Distortion()(trace), Rate("sample")(trace), log_weight(trace)))
    distortion, rate, weights = (torch.stack(column) for column in zip(*rows, strict=True))
    torch.testing.assert_close(enumerated(world, distortion), world.distortion)
    torch.testing.assert_close(enumerated(world, rate), world.rate)
    torch.testing.assert_close(enumerated(world, weights), world.elbos()["joint"])
    # E_q w = p(x): the estimate of the evidence is unbiased
    torch.testing.assert_close(enumerated(world, weights.exp()), world.evidence)


@pytest.mark.parametrize("draws", [1, 2, 3, 4])
def test_importance_bound_over_all_outcomes(world, draws):
    codes, chances = world.tuples(draws)
    torch.testing.assert_close(chances.sum(-1), torch.ones(16).double())
    for x in (0, 7, 13):
        trace = world.trace(codes, rows=torch.full((codes.shape[1],), x))
        bounds = -ImportanceBound()(trace)
        torch.testing.assert_close(chances[x] @ bounds, world.bound(draws)[x])


def test_groups_and_draws_are_not_swapped(world):
    """MIWAE(M, K) over all outcomes of M K draws is L_K: three values for (1, 4), (2, 2) and (4, 1)."""
    codes, chances = world.tuples(4)
    x = 6
    trace = world.trace(codes, rows=torch.full((codes.shape[1],), x))
    found = {}
    for groups in (1, 2, 4):
        found[groups] = chances[x] @ -ImportanceBound(groups=groups)(trace)
        torch.testing.assert_close(found[groups], world.bound(4 // groups)[x])
    assert found[4] < found[2] < found[1]
    codes, chances = world.tuples(6)
    trace = world.trace(codes, rows=torch.full((codes.shape[1],), x))
    torch.testing.assert_close(chances[x] @ -ImportanceBound(groups=2)(trace), world.bound(3)[x])
    torch.testing.assert_close(chances[x] @ -ImportanceBound(groups=3)(trace), world.bound(2)[x])
    mixed = 0.25 * world.bound(1)[x] + 0.75 * world.bound(3)[x]
    torch.testing.assert_close(chances[x] @ -ImportanceBound(groups=2, b=0.25)(trace), mixed)


def test_bounds_rise_to_the_evidence(world):
    bounds = torch.stack([world.bound(k) for k in range(1, 8)])
    assert (bounds[1:] > bounds[:-1]).all()
    assert (bounds < world.evidence.log()).all()
    torch.testing.assert_close(bounds[0], world.elbos()["joint"])


def test_at_the_true_posterior_all_is_the_evidence(world):
    exact = Discrete(world.prior, world.ones, world.true_posterior, world.data)
    for value in (exact.elbos()["parts"], exact.bound(3), log_weight(exact.trace(torch.ones(16).long()))):
        assert (value - world.evidence.log()).abs().max() < 1e-12


def test_refusals():
    half = torch.full((2,), 0.5)
    tables = (torch.full((4, 2), 0.5), torch.full((4,), 0.25))
    Discrete(half, torch.full((2, 2), 0.5), *tables)
    with pytest.raises(ValueError, match="posterior"):
        Discrete(half, torch.full((2, 2), 0.5), torch.full((3, 2), 0.5), tables[1])
    with pytest.raises(ValueError, match="prior"):
        Discrete(torch.tensor([0.5, 0.6]), torch.full((2, 2), 0.5), *tables)
