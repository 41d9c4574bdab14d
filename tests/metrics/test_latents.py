from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

from vaekit import conditionals as c
from vaekit.data import ArrayData
from vaekit.data.spec import Spec
from vaekit.distributions import DiagonalNormal
from vaekit.errors import UnsupportedError
from vaekit.metrics import elbo, evaluate, latent_use, mutual_information
from vaekit.models import Flat


class Posterior(nn.Module):
    """mean = gain * x, one standard deviation for all."""

    def __init__(self, gain: list[float], std: float) -> None:
        super().__init__()
        self.register_buffer("gain", torch.tensor(gain, dtype=torch.float64))
        self.std = std

    def forward(self, x, *context):
        mean = x * self.gain
        return DiagonalNormal(mean, torch.full_like(mean, math.log(self.std)))


def model_with(posterior: nn.Module, n: int, prior: nn.Module | None = None) -> Flat:
    def identity(event):
        return nn.Linear(n, event[0]).double()

    return Flat(posterior, prior or c.StandardGaussian((n,)), c.FixedGaussian(identity, (n,))).double()


def normal_data(n: int, size: int = 3, name: str = "normal") -> ArrayData:
    x = torch.randn(n, size, generator=torch.Generator().manual_seed(1))
    return ArrayData(Spec(name, (size,), "real", n), x)


def test_active_units_are_counted_exactly():
    n = 700  # more than one loaded batch
    x = torch.cat([torch.ones(n // 2, 4), -torch.ones(n // 2, 4)])  # variance 1
    data = ArrayData(Spec("two", (4,), "real", n), x)
    posterior = Posterior([0.0, 0.0999, 0.1001, 2.0], 0.5)
    use = latent_use(model_with(posterior, 4), data)
    assert use.active == {"z": 2}
    assert use.size == {"z": 4}
    assert use.variances["z"] == pytest.approx([0.0, 0.0999**2, 0.1001**2, 4.0])
    assert latent_use(model_with(posterior, 4), data, threshold=0.001).active == {"z": 3}
    # a shift of a mean is no activity, and the noise of the draws is none either
    closed = [0.5 * (g * g + 0.25 - 1 - math.log(0.25)) for g in (0.0, 0.0999, 0.1001, 2.0)]
    assert use.rates["z"] == pytest.approx(closed)
    bound = elbo(model_with(posterior, 4), data)
    assert sum(use.rates["z"]) == pytest.approx(bound.rate)


def test_rates_against_a_learned_prior_and_none_for_correlations(linear_world):
    prior = c.LearnedGaussian((3,))
    prior.mean.data.copy_(torch.tensor([1.0, 0.0, 0.0]))
    prior.log_std.data.copy_(torch.tensor([0.0, 0.5, 0.0]))
    data = normal_data(50)
    use = latent_use(model_with(Posterior([0.0, 0.0, 0.0], 1.0), 3, prior), data)
    second = 0.5 * (math.exp(-1.0) - 1) + 0.5
    assert use.rates["z"] == pytest.approx([0.5, second, 0.0])
    world = linear_world()
    assert latent_use(world.model(), world.data(20)).rates == {"z": None}


def test_a_chain_counts_each_level(chained):
    model, data, _ = chained
    use = latent_use(model, data)
    assert use.active == {"z1": 1, "z2": 1}
    spread = float(data.x.double().var(correction=0))
    assert use.variances["z1"] == pytest.approx([0.64 * spread])
    assert use.variances["z2"] == pytest.approx([(0.8 * 0.45) ** 2 * spread])
    # z1's share is no divergence, since the prior of z1 is given a z2 that was drawn from it; z2's is
    assert use.rates["z1"] is None
    square = 0.45**2 * (0.64 * float(data.x.double().square().mean()) + 0.36)
    assert use.rates["z2"] == pytest.approx([0.5 * (square + 0.75**2 - 1 - math.log(0.75**2))], abs=0.1)


@pytest.mark.parametrize("n", [1, 37, 450])
def test_a_posterior_that_ignores_x_carries_nothing(n):
    found = mutual_information(model_with(Posterior([0.0, 0.0, 0.0], 0.7), 3), normal_data(n))
    assert found.mutual_information == pytest.approx(0, abs=1e-12)
    assert found.marginal_kl == pytest.approx(found.rate, abs=1e-12)
    assert found.n == n
    assert found.bound == pytest.approx(math.log(n))


@pytest.mark.parametrize("n", [2, 64, 450])
def test_posteriors_apart_carry_log_n(n):
    x = torch.arange(n)[:, None].float().expand(n, 3)
    data = ArrayData(Spec("grid", (3,), "real", n), x)
    found = mutual_information(model_with(Posterior([100.0, 1.0, 0.0], 0.1), 3), data)
    assert found.mutual_information == pytest.approx(math.log(n), abs=1e-9)


def test_information_and_marginal_in_closed_form():
    # x ~ N(0, 1), z = g x + s eps: I = 1/2 ln(1 + g^2 / s^2), q(z) = N(0, g^2 + s^2), per dimension
    n, gain, std = 3000, [1.5, 0.4], 0.8
    found = mutual_information(model_with(Posterior(gain, std), 2), normal_data(n, 2), n=n)
    information = sum(0.5 * math.log(1 + (g / std) ** 2) for g in gain)
    marginal = sum(0.5 * (v - 1 - math.log(v)) for v in (g**2 + std**2 for g in gain))
    assert found.mutual_information == pytest.approx(information, abs=0.06)
    assert found.marginal_kl == pytest.approx(marginal, abs=0.08)
    assert found.rate == pytest.approx(found.mutual_information + found.marginal_kl, abs=1e-12)
    assert found.mutual_information < found.bound == pytest.approx(math.log(n))
    bound = elbo(model_with(Posterior(gain, std), 2), normal_data(n, 2))
    assert found.rate == pytest.approx(bound.rate, abs=0.15)


def test_correlated_posteriors(linear_world):
    # the exact posterior of data from the world: q(z) is the prior, and I = 1/2 ln det(I + W W^T / sigma^2)
    world = linear_world()
    data = world.data(1500)
    found = mutual_information(world.model(), data)
    identity = torch.eye(5, dtype=torch.float64)
    exact = 0.5 * float(torch.logdet(identity + world.w @ world.w.T / world.sigma**2))
    assert found.mutual_information == pytest.approx(exact, abs=0.12)
    assert found.marginal_kl == pytest.approx(0, abs=0.12)
    # Hoffman and Johnson: distortion, information and marginal KL make the bound, here tight
    total = -found.distortion - found.mutual_information - found.marginal_kl
    assert total == pytest.approx(float(world.log_evidence(data.x).mean()), abs=1e-9)
    assert found.n == 1500


def test_all_pairs_by_hand():
    data = normal_data(5, 2)
    model = model_with(Posterior([1.0, 0.5], 0.6), 2)
    found = mutual_information(model, data, seed=3)
    # the draws of that seed
    with torch.random.fork_rng():
        torch.manual_seed(3)
        z = model.posteriors[0](data.x.double()).rsample()
    pairs = torch.empty(5, 5, dtype=torch.float64)
    mean = data.x.double() * torch.tensor([1.0, 0.5])
    for i in range(5):
        for j in range(5):
            pairs[i, j] = torch.distributions.Normal(mean[j], 0.6).log_prob(z[i]).sum()
    expected = (pairs.diagonal() - pairs.exp().mean(1).log()).mean()
    assert found.mutual_information == pytest.approx(float(expected), abs=1e-10)


def test_information_of_a_chain_is_that_of_its_first_level(chained):
    model, _, _ = chained
    x = torch.randn(2000, 1, generator=torch.Generator().manual_seed(2))
    data = ArrayData(Spec("chain", (1,), "real", 2000), x)
    found = mutual_information(model, data)
    assert found.mutual_information == pytest.approx(0.5 * math.log(1 + (0.8 / 0.6) ** 2), abs=0.05)
    assert found.rate == pytest.approx(elbo(model, data, samples=20).rate, abs=0.1)


def test_a_prior_with_a_condition_is_refused():
    def net(event):
        return nn.Linear(3, event[0]).double()

    model = Flat(Posterior([1.0] * 3, 1.0), c.Gaussian(net, (3,)), Decoder())
    x = normal_data(6).x
    data = ArrayData(Spec("c", (3,), "real", 6, context=(3,)), x, c=x)
    with pytest.raises(UnsupportedError, match="depends on the condition"):
        mutual_information(model, data)
    record = evaluate(model, data, samples=10)
    assert "depends on the condition" in record["notes"]["mutual_information"]
    assert "mutual_information" not in record
    assert {"elbo", "nll", "active_units"} <= set(record)


class Decoder(nn.Module):
    def forward(self, z, condition):
        return DiagonalNormal(z + condition, torch.zeros((), dtype=z.dtype))


def test_deterministic_and_quiet():
    model, data = model_with(Posterior([1.0] * 3, 0.5), 3), normal_data(40)
    model.train()
    before = torch.random.get_rng_state()
    first = mutual_information(model, data, n=30)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    assert mutual_information(model, data, n=30) == first
    assert first.n == 30
    assert mutual_information(model, data, n=30, seed=1) != first
    assert model.training
    assert latent_use(model, data) == latent_use(model, data)


def test_one_record(linear_world):
    world = linear_world()
    data, model = world.data(45), world.model(widen=1.1)
    record = evaluate(model, data, samples=500, seed=3)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["notes"] == {}
    assert record["elbo"] == elbo(model, data, seed=3).elbo
    assert record["elbo"] == pytest.approx(-record["distortion"] - record["rate"])
    assert record["nll"] == pytest.approx(-float(world.log_evidence(data.x).mean()), abs=0.05)
    assert (record["nll_samples"], record["n"], record["seed"]) == (500, 45, 3)
    assert record["bits_per_dim"] == pytest.approx(record["nll"] / (5 * math.log(2)))
    assert (record["active_units"], record["latents"]) == (2, 2)
    assert record["mutual_information"] <= record["mutual_information_bound"]
    assert evaluate(model, data, samples=5, limit=7)["n"] == 7
    assert record == evaluate(model, data, samples=500, seed=3)


def test_a_record_says_what_is_missing(linear_world):
    world = linear_world()
    data, model = world.data(8), world.model()
    record = evaluate(model, data, samples=0)
    assert "nll" not in record
    assert "left out" in record["notes"]["nll"]

    def make(event):
        return nn.Linear(5, event[0]).double()

    point = Flat(c.Deterministic(make, (2,)), model.priors[0], model.likelihood)
    record = evaluate(point, data, samples=4)
    x = data.x.double()
    rebuilt = point.decode(point.encode({"x": x})).mean.detach()
    assert record["squared_error"] == pytest.approx(float((x - rebuilt).square().mean()))
    assert "squared_error" not in evaluate(model, data, samples=0)
    assert set(record["notes"]) == {"elbo", "nll", "mutual_information"}
    assert "no density" in record["notes"]["nll"]
    assert record["n"] == 8
    assert record["latents"] == 2
    assert "elbo" not in record
