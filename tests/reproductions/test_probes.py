"""Probes of codes on Gaussians, whose total correlation and predictability are known."""

from __future__ import annotations

import pytest
import torch

from vaekit import recipes
from vaekit.data.arrays import ArrayData
from vaekit.data.spec import Spec
from vaekit.reproductions.probes import codes_of, correlation_by_critic, predicted

R = torch.tensor([[1.0, 0.6, 0.3], [0.6, 1.0, 0.2], [0.3, 0.2, 1.0]])


def draws(rows, seed):
    generator = torch.Generator().manual_seed(seed)
    factor = torch.linalg.cholesky(R)
    return torch.randn(rows, 3, generator=generator) @ factor.mT * torch.tensor([1.0, 5.0, 0.1]) + 2


def test_a_fresh_critic_finds_the_total_correlation_from_below():
    """-1/2 ln det R = 0.2706."""
    found = correlation_by_critic(draws(10_000, 1), draws(4000, 2), steps=150)
    assert 0.2 < found < 0.29
    independent = torch.randn(10_000, 3, generator=torch.Generator().manual_seed(3))
    assert abs(correlation_by_critic(independent[:5000], independent[5000:], steps=60)) < 0.02


def test_fresh_predictors_explain_what_can_be_explained():
    """R^2 = 1 - 1 / P_ii for unit variances."""
    train, test = draws(10_000, 1), draws(10_000, 2)
    found = predicted(train, test, steps=200)
    expected = float((1 - 1 / torch.linalg.inv(R).diagonal()).mean())
    assert found.used == 3
    assert found.linear == pytest.approx(expected, abs=0.02)
    assert found.network == pytest.approx(expected, abs=0.04)
    curved = torch.stack([train[:, 0] - 2, (train[:, 0] - 2).square()], 1)
    found = predicted(curved[:5000], curved[5000:], steps=200)
    assert found.linear < 0.02  # a parabola has no slope
    assert found.network > 0.4  # one of two can be told from the other


def test_latents_that_stand_still_are_left_out():
    train, test = draws(1000, 1), draws(1000, 2)
    train[:, 1], test[:, 1] = 0.5, 0.5
    assert predicted(train, test, steps=10).used == 2
    train[:, 0], test[:, 0] = 0.5, 0.6
    assert predicted(train, test, steps=10) == (1, 0.0, 0.0)


def test_codes_are_draws_and_leave_no_trace():
    spec = Spec("bits", (6,), "binary", 60)
    data = ArrayData(spec, torch.randint(2, (60, 6), dtype=torch.uint8))
    torch.manual_seed(0)
    model = recipes.vae(spec, latents=3, hidden=(4,)).model
    before = torch.get_rng_state()
    codes = codes_of(model, data, 40)
    assert codes.shape == (40, 3)
    assert torch.equal(codes, codes_of(model, data, 40))
    assert not torch.equal(codes, codes_of(model, data, 40, seed=1))
    assert torch.equal(torch.get_rng_state(), before)
    assert not codes.is_inference()
