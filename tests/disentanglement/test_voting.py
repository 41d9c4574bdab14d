"""The BetaVAE and FactorVAE scores: known cases, and loops over single points at the same protocol."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from vaekit.data.factors import Grid
from vaekit.disentanglement import beta_vae, factor_vae, from_table, voting


def perfect(factors, generator):
    return factors.double()


def silent(factors, generator):
    return torch.zeros(len(factors), 4, dtype=torch.float64)


def noise(factors, generator):
    return torch.randn(len(factors), 4, generator=generator, dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


SMALL = {"train": 1000, "test": 500}


@pytest.fixture(scope="module")
def turned(grid, mixed):
    return from_table(grid, mixed(grid.factors_of(torch.arange(len(grid))).numpy(), noise=0.0))


@pytest.mark.parametrize("classifier", ["multinomial", "one_versus_rest"])
def test_beta_vae_of_factors_themselves(ten, classifier):
    sizes = {**SMALL, "batch": 5, "classifier": classifier}
    assert beta_vae(perfect, ten.grid, seeded(), **sizes).value >= 0.9
    scaled = Grid({"a": 4, "b": 4, "c": 4})
    assert beta_vae(perfect, scaled, seeded(), **SMALL).value >= 0.99


@pytest.mark.parametrize("useless", [silent, noise])
def test_beta_vae_of_useless_codes_is_chance(useless):
    grid = Grid({"a": 5, "b": 5, "c": 5, "d": 5})
    found = beta_vae(useless, grid, seeded(), train=2000, test=2000, batch=5)
    assert found.value == pytest.approx(1 / 4, abs=0.04)


def test_beta_vae_saturates_with_one_factor_missing():
    grid = Grid({"a": 5, "b": 5, "c": 5})
    found = beta_vae(lambda v, g: v[:, :2].double(), grid, seeded(), **SMALL)
    assert found.value >= 0.99


def test_factor_vae_of_factors_themselves(ten):
    assert factor_vae(perfect, ten.grid, seeded(), **SMALL, batch=5).value >= 0.9
    # permuted, scaled and with other signs: exactly as good
    moved = factor_vae(lambda v, g: -3.0 * v.double().flip(1) + 1, ten.grid, seeded(), **SMALL, batch=64)
    assert moved.value == 1


def test_factor_vae_without_a_latent_that_varies(ten):
    found = factor_vae(silent, ten.grid, seeded(), **SMALL, batch=5)
    assert found.values == {"factor_vae": 0, "factor_vae_train": 0, "factor_vae_active": 0}
    assert "nobody votes" in found.notes[0]


def test_factor_vae_of_noise_is_chance():
    grid = Grid({"a": 5, "b": 5, "c": 5, "d": 5})
    found = factor_vae(noise, grid, seeded(), train=4000, test=4000, batch=5)
    assert found.value == pytest.approx(1 / 4, abs=0.04)  # a majority is a little above chance


def test_small_latents_have_no_vote(ten):
    def few(factors, generator):  # the last three latents lie below sqrt(var) = 0.05, whatever they say
        return factors.double() * torch.tensor([1.0] * 7 + [0.01] * 3)

    found = factor_vae(few, ten.grid, seeded(), **SMALL, batch=64)
    assert found.values["factor_vae_active"] == 7
    assert "[7, 8, 9]" in found.notes[0]
    assert all(votes == [0] * 10 for votes in found.details["votes"][7:])
    everyone = factor_vae(few, ten.grid, seeded(), **SMALL, batch=64, prune=0)
    assert everyone.value == 1 > found.value


def test_constant_factors_are_never_chosen():
    grid = Grid({"a": 4, "colour": 1, "b": 4})
    for found in (beta_vae(perfect, grid, seeded(), **SMALL), factor_vae(perfect, grid, seeded(), **SMALL)):
        assert found.value >= 0.99
        assert "colour" in found.notes[0]
    with pytest.raises(ValueError, match="every factor"):
        factor_vae(perfect, Grid({"a": 1}), seeded())


def slow_beta_vae(represent, grid, seed, train, test, batch):
    draws, zero = np.random.default_rng(seed), seeded()

    def points(count):
        features, labels = [], []
        for _ in range(count):
            k = draws.integers(len(grid.sizes))
            first, second = (np.stack([draws.integers(s, size=batch) for s in grid.sizes], 1) for _ in "ab")
            second[:, k] = first[:, k]
            codes = [represent(torch.from_numpy(v), zero).numpy() for v in (first, second)]
            features.append(np.abs(codes[0] - codes[1]).mean(0))
            labels.append(k)
        return np.array(features), np.array(labels)

    x, y = points(train)
    model = OneVsRestClassifier(LogisticRegression(solver="liblinear")).fit(x, y)
    x, y = points(test)
    return np.mean(model.predict(x) == y)


def slow_factor_vae(represent, grid, seed, train, test, batch):
    draws, zero = np.random.default_rng(seed), seeded()

    def codes(factors):
        return represent(torch.from_numpy(factors), zero).numpy()

    def points(n):
        return np.stack([draws.integers(s, size=n) for s in grid.sizes], 1)

    scale = codes(points(10_000)).var(0, ddof=1)
    active = np.flatnonzero(np.sqrt(scale) >= 0.05)

    def votes(count):
        table = np.zeros((len(scale), len(grid.sizes)))
        for _ in range(count):
            k = draws.integers(len(grid.sizes))
            factors = points(batch)
            factors[:, k] = factors[0, k]
            spread = codes(factors).var(0, ddof=1)[active] / scale[active]
            table[active[spread.argmin()], k] += 1
        return table

    told = votes(train).argmax(1)
    fresh = votes(test)
    return sum(fresh[j, told[j]] for j in range(len(scale))) / fresh.sum()


@pytest.mark.parametrize(
    ("ours", "slow", "more"),
    [(beta_vae, slow_beta_vae, {"classifier": "one_versus_rest"}), (factor_vae, slow_factor_vae, {})],
)
def test_loops_over_points_score_the_same(grid, turned, ours, slow, more):
    sizes = {"train": 400, "test": 400, "batch": 6}
    first = np.array([ours(turned, grid, seeded(seed), **sizes, **more).value for seed in range(6)])
    second = np.array([slow(turned, grid, seed, **sizes) for seed in range(3)])
    spread = np.sqrt(first.var(ddof=1) / 6 + max(second.var(ddof=1), first.var(ddof=1)) / 3)
    assert abs(first.mean() - second.mean()) <= 4 * spread
    assert 0.3 < second.mean() < 0.99  # neither chance nor perfect: the two could differ
    assert spread < 0.03


def test_portions_are_part_of_the_seed_and_nothing_else(grid, turned, monkeypatch):
    whole = factor_vae(turned, grid, seeded(), **SMALL)
    assert factor_vae(turned, grid, seeded(), **SMALL).values == whole.values
    monkeypatch.setattr(voting, "_ROWS", 700)
    again = factor_vae(turned, grid, seeded(), **SMALL)
    assert again.value == pytest.approx(whole.value, abs=0.05)
    assert sum(map(sum, again.details["votes"])) == SMALL["train"]


def test_wild_codes_are_refused(grid):
    def wild(factors, generator):
        return torch.full((len(factors), 2), torch.nan)

    for metric in (beta_vae, factor_vae):
        with pytest.raises(ValueError, match="NaN"):
            metric(wild, grid, seeded())
