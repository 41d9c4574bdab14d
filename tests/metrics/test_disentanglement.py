"""Scores of a trained model are the scores of its codes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from vaekit import conditionals as c
from vaekit.data import ArrayData
from vaekit.data.factors import FactorData, Grid, Stored
from vaekit.data.spec import Spec
from vaekit.disentanglement import DSPRITES_TWINS, PRESETS, exact_mig, from_table, score, udr
from vaekit.distributions import DiagonalNormal
from vaekit.errors import UnsupportedError
from vaekit.metrics import disentanglement
from vaekit.metrics import exact_mig as exact_mig_of
from vaekit.metrics import udr as udr_of
from vaekit.metrics.disentanglement import twins_of
from vaekit.models import Flat

SMALL = replace(PRESETS["modern"], train=300, test=150, batch=8, labels=(10, 100))
NAMES = ["beta_vae", "factor_vae", "mig", "sap"]
FACTORS = {"shape": 2, "x": 5, "y": 4}


class Posterior(nn.Module):
    """mean = x A, one standard deviation."""

    def __init__(self, std: float, correlated: bool = False) -> None:
        super().__init__()
        self.register_buffer(
            "a", torch.tensor([[1.0, 0.2, 0.0, 0.0], [0.1, 1.0, 0.3, 0.0], [0, 0, 1.0, 0.0]])
        )
        self.std, self.correlated = std, correlated

    def forward(self, x, *context):
        mean = x @ self.a.to(x)
        normal = DiagonalNormal(mean, torch.full_like(mean, math.log(self.std)))
        return (
            normal
            if not self.correlated
            else torch.distributions.Independent(torch.distributions.Normal(mean, self.std), 1)
        )


def model_of(std=0.1, **more):
    likelihood = c.FixedGaussian(lambda event: nn.Linear(4, event[0]), (3,))
    return Flat(Posterior(std, **more), c.StandardGaussian((4,)), likelihood)


def spec_of(name="world"):
    return Spec(name, (3,), "real", 40, factors=FACTORS)


@pytest.fixture
def data():
    grid = Grid(FACTORS)
    factors = grid.factors_of(torch.arange(len(grid)))
    return Stored(ArrayData(spec_of(), (factors - 1.0), factors=factors))


class Noisy(FactorData):
    """The factors, with something beside them."""

    noisy = True

    def __init__(self, name="noisy", factors=None):
        self.spec = replace(spec_of(name), factors=factors or FACTORS)
        self.grid = Grid(self.spec.factors)
        self.asked = 0

    def data_of(self, factors, generator=None):
        self.asked += len(factors)
        return factors - 1.0 + 0.05 * torch.randn(factors.shape, generator=generator)


def test_means_are_scored_as_a_table_of_codes(data):
    model = model_of().train()
    torch.manual_seed(4)
    before = torch.get_rng_state()
    found = disentanglement(model, data, preset=SMALL, seed=3, names=NAMES)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    table = model.posteriors[0](data.data.x).loc
    expected = score(from_table(data.grid, table), data.grid, SMALL, 3, NAMES)
    assert found.values == expected.values
    assert found.representation == "mean"
    assert found.notes == ("latents [3] are left out: their standard deviations are below 0.05",)


@pytest.mark.parametrize("names", [NAMES, ["mig", "sap"]])
def test_the_grid_is_encoded_once_or_less(data, names):
    model, seen = model_of(), []
    model.posteriors[0].register_forward_hook(lambda module, given, made: seen.append(len(given[0])))
    disentanglement(model, data, preset=SMALL, names=names)
    assert sum(seen) == 40
    seen.clear()
    tiny = replace(SMALL, train=20, test=10, labels=(10,))
    disentanglement(model, data, preset=tiny, names=["mig"])
    assert sum(seen) == 30  # fewer than the grid has


def test_a_sampled_representation_has_the_noise_of_the_posterior(data):
    """By a table of moments for Gaussians, by a pass for others; both draw anew at every visit."""
    wide = replace(SMALL, train=4000, test=100)
    mean = disentanglement(model_of(0.5), data, preset=wide, names=["unsupervised", "mig"])
    by_table, by_pass, other = (
        disentanglement(
            model_of(0.5, correlated=passes),
            data,
            preset=wide,
            names=["unsupervised", "mig"],
            representation="sampled",
            seed=seed,
        )
        for passes, seed in ((False, 0), (True, 0), (False, 1))
    )
    for found in (by_table, by_pass):
        assert found.representation == "sampled"
        for name, value in found.values.items():
            assert value == pytest.approx(other.values[name], abs=0.05), name
        told, exactly = (max(each["mig"].details["information"][2]) for each in (found, mean))
        assert told < exactly - 0.2  # noise hides some of it
    assert by_table.values != by_pass.values


def test_noisy_data_are_encoded_as_they_are_drawn():
    data = Noisy()
    first = disentanglement(model_of(), data, preset=SMALL, names=NAMES)
    count = 300 + 150
    assert data.asked == count + 2 * 8 * count + 8 * count + 300
    assert disentanglement(model_of(), Noisy(), preset=SMALL, names=NAMES).values == first.values
    alone = disentanglement(model_of(), Noisy(), preset=SMALL, names=["mig"], representation="sampled")
    again = disentanglement(model_of(), Noisy(), preset=SMALL, names=["sap", "mig"], representation="sampled")
    assert again["mig"].values == alone["mig"].values


def test_twins_are_said_and_can_be_merged(data):
    sprites = Noisy("color_dsprites", {"orientation": 40, "x": 3, "y": 2})
    assert twins_of(sprites) == DSPRITES_TWINS
    assert twins_of(data) == {}
    found = disentanglement(model_of(), sprites, preset=SMALL, names=["mig"])
    assert "orientation 39 and 0 are one picture" in found.notes[-1]
    merged = disentanglement(model_of(), sprites, preset=SMALL, names=["mig"], merge=True)
    assert "values of orientation counted as one: 39 with 0" in merged.notes
    assert merged.values != found.values
    with pytest.raises(ValueError, match="no two values of a factor"):
        disentanglement(model_of(), data, merge=True)


def test_bad_arguments(data):
    with pytest.raises(ValueError, match="`representation` is 'median'"):
        disentanglement(model_of(), data, representation="median")
    with pytest.raises(ValueError, match="did you mean 'modern'"):
        disentanglement(model_of(), data, preset="modem")
    model = model_of()
    model.posteriors[0].a.fill_(math.nan)
    with pytest.raises(ValueError, match="diverged"):
        disentanglement(model, data, preset=SMALL)


def test_models_without_coordinates_are_refused(data, monkeypatch):
    model = model_of()
    monkeypatch.setattr(model, "encode", lambda batch, sample=False: {})
    with pytest.raises(UnsupportedError, match="no latents"):
        disentanglement(model, data, preset=SMALL)
    numbers = torch.zeros(40, 2, dtype=torch.int64)
    monkeypatch.setattr(model, "encode", lambda batch, sample=False: {"z": numbers})
    with pytest.raises(UnsupportedError, match="code numbers"):
        disentanglement(model, data, preset=SMALL)


def test_exact_mig_of_a_model(data):
    model = model_of(0.4)
    mean = model.posteriors[0](data.data.x).loc
    expected = exact_mig(mean, torch.full_like(mean, 0.4), data.data.factors)
    assert exact_mig_of(model, data).value == pytest.approx(expected.value, abs=1e-6)
    some = exact_mig_of(model, data, limit=30, seed=2)
    assert (some.sizes, some.seed) == ({"data": 30}, 2)
    with pytest.raises(UnsupportedError, match="diagonal Gaussian"):
        exact_mig_of(model_of(correlated=True), data)


def test_udr_of_models(data):
    models = [model_of(0.4), model_of(0.4)]
    found = udr_of(models, data, n=200, seed=5)
    factors = data.grid.sample(200, torch.Generator().manual_seed(5))
    mean = models[0].posteriors[0](data.data_of(factors)).loc
    rates = 0.5 * (mean.square() + 0.16 - 1 - math.log(0.16)).mean(0)
    assert found.values == pytest.approx(udr([mean, mean], [rates.tolist()] * 2).values, abs=1e-6)
    assert found.seed == 5
    # the last latent says nothing, but its narrow posterior costs: it counts, as zeros
    assert found.details["used"] == [[0, 1, 2, 3]] * 2
    without = udr_of([model_of(correlated=True)] * 2, data, n=200)
    assert "no rate of each latent" in without.notes[-1]


class Wide(FactorData):
    """A grid whose data take 500 MB in all; it notes the memory that is held whenever some are made."""

    def __init__(self) -> None:
        self.spec = Spec("wide", (4096,), "real", 32_000, factors={"x": 160, "y": 200})
        self.grid = Grid(self.spec.factors)
        self.held: list[int] = []

    def data_of(self, factors, generator=None):
        self.held.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
        return torch.cat([factors.float(), torch.ones(len(factors), 4094)], 1)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="what a process holds is read from /proc")
@pytest.mark.parametrize("representation", ["mean", "sampled"])
def test_encoding_a_grid_keeps_the_codes_and_not_the_data(representation):
    """Small codes between large data kept the memory of the data from being used again."""

    class Six(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4096, 12)

        def forward(self, x, *context):
            mean, log_std = self.layer(x).chunk(2, 1)
            return DiagonalNormal(mean, log_std)

    likelihood = c.FixedGaussian(lambda event: nn.Linear(6, event[0]), (4096,))
    model, data = Flat(Six(), c.StandardGaussian((6,)), likelihood), Wide()
    preset = replace(SMALL, train=20_000, test=13_000)
    disentanglement(model, data, preset=preset, representation=representation, names=["mig"])
    assert len(data.held) >= 64  # all of it, in parts
    assert max(data.held) - data.held[2] < 150e6
