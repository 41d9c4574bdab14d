from __future__ import annotations

import json

import pytest
import torch

from vaekit.errors import UnsupportedError
from vaekit.metrics import Annealing, ais, annealed_weights, bdmc, nll, sigmoid_schedule


def test_schedule():
    b = sigmoid_schedule(100)
    assert len(b) == 101
    assert (b[0], b[-1]) == (0.0, 1.0)
    assert b == sorted(b)
    assert b[50] == pytest.approx(0.5)
    s = torch.tensor([-4.0, -2.0, 4.0]).sigmoid()
    assert b[25] == pytest.approx(float((s[1] - s[0]) / (s[2] - s[0])), abs=1e-6)


@pytest.mark.parametrize("start", ["prior", "posterior"])
def test_agrees_with_the_exact_evidence(linear_world, start):
    world = linear_world()
    data, model = world.data(12), world.model(widen=1.5, shift=0.3)
    exact = -float(world.log_evidence(data.x).mean())
    how = Annealing(chains=64, steps=60, leapfrog=5, start=start)
    found = ais(model, data, how, seed=2)
    assert 0 < found.mc_error < 0.1
    assert abs(found.nll - exact) < 4 * found.mc_error + 0.005
    assert 0.4 < found.acceptance < 0.95
    sampled = nll(model, data, samples=4000)
    assert abs(found.nll - sampled.nll) < 4 * (found.mc_error + sampled.mc_error) + 0.005
    assert 1 < found.median_ess <= 64


def test_more_steps_are_nearer(linear_world):
    world = linear_world(latents=3, pixels=8, sigma=0.2)
    data, model = world.data(20), world.model()
    exact = -float(world.log_evidence(data.x).mean())
    few, many = (ais(model, data, Annealing(chains=4, steps=t, leapfrog=5)).nll for t in (5, 200))
    assert few > many > exact - 0.15
    assert many - exact < 0.25 * (few - exact)


def test_from_the_exact_posterior_no_step_matters(linear_world):
    world = linear_world()
    x = world.data(7).x.double()
    how = Annealing(chains=3, steps=9, leapfrog=2, start="posterior")
    weights = annealed_weights(world.model(), {"x": x}, how)
    # f_0 and f_1 differ by the constant p(x), wherever the chains go
    assert weights.shape == (3, 7)
    assert (weights - world.log_evidence(x)).abs().max() < 1e-10


def test_coins(coins):
    weights = annealed_weights(coins.model, {"x": coins.x}, Annealing(chains=1000, steps=20, leapfrog=3))
    ratios = (weights - coins.exact).exp()
    error = ratios.std(0) / 1000**0.5
    assert error.max() < 0.05
    assert ((ratios.mean(0) - 1) / error).abs().max() < 4


def test_weights_are_unbiased_on_long_paths(linear_world):
    world = linear_world()
    x = world.data(12).x.double()
    weights = annealed_weights(world.model(), {"x": x}, Annealing(chains=1000, steps=80, leapfrog=4))
    ratios = (weights - world.log_evidence(x)).exp()
    error = float((ratios.var(0) / 1000).sum().sqrt() / 12)
    assert error < 0.015  # chains that steer their own step sizes are 0.04 off
    assert abs(float(ratios.mean()) - 1) < 4 * error


@pytest.mark.parametrize("start", ["prior", "posterior"])
def test_bdmc_sandwiches(linear_world, start):
    world = linear_world()
    data, model = world.data(60), world.model(widen=1.4, shift=0.2)
    loose = bdmc(model, data, Annealing(chains=2, steps=6, leapfrog=3, start=start))
    tight = bdmc(model, data, Annealing(chains=16, steps=60, leapfrog=4, start=start))
    if start == "prior":
        assert loose.gap > 4 * loose.gap_se > 0
        assert tight.gap < 0.25 * loose.gap
    assert -4 * tight.gap_se - 0.01 < tight.gap < 0.2
    assert tight.gap_se < loose.gap_se
    # the simulated data are the same for one seed, and come from the world itself
    covariance = world.w @ world.w.T + world.sigma**2 * torch.eye(5, dtype=torch.float64)
    expected = -float(torch.distributions.MultivariateNormal(world.b, covariance).entropy())
    assert abs(0.5 * (tight.lower + tight.upper) - expected) < 4 * (2.5 / 60) ** 0.5
    assert tight.n == 60
    assert json.loads(json.dumps(tight.to_json(), allow_nan=False))["gap"] == tight.gap


def test_double_precision_copy(linear_world):
    world = linear_world()
    data, model = world.data(4), world.model(widen=1.2).float()
    exact = -float(world.log_evidence(data.x).mean())
    found = ais(model, data, Annealing(chains=200, steps=20, leapfrog=3), dtype=torch.float64)
    assert abs(found.nll - exact) < 4 * found.mc_error + 0.01
    assert model.likelihood.network.weight.dtype == torch.float32
    assert found.nll != ais(model, data, Annealing(chains=200, steps=20, leapfrog=3)).nll


def test_deterministic_and_quiet(linear_world):
    world = linear_world()
    data, model = world.data(3), world.model()
    model.train()
    how = Annealing(chains=2, steps=4, leapfrog=2)
    before = torch.random.get_rng_state()
    first = ais(model, data, how)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(8)
    assert ais(model, data, how) == first
    assert ais(model, data, how, seed=1).nll != first.nll
    assert model.training
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    "changed", [{"chains": 3}, {"steps": 5}, {"leapfrog": 3}, {"step_size": 0.3}, {"start": "posterior"}]
)
def test_every_argument_matters(linear_world, changed):
    world = linear_world()
    data, model = world.data(3), world.model(widen=1.3)
    usual = {"chains": 2, "steps": 4, "leapfrog": 2}
    assert ais(model, data, Annealing(**usual)).nll != ais(model, data, Annealing(**{**usual, **changed})).nll


def test_chains_and_bad_numbers_are_refused(chained):
    model, data, _ = chained
    with pytest.raises(UnsupportedError, match="chains them"):
        ais(model, data, Annealing(chains=2, steps=2))
    with pytest.raises(UnsupportedError, match="chains them"):
        bdmc(model, data, Annealing(chains=2, steps=2))
    with pytest.raises(ValueError, match="`steps` is 0"):
        Annealing(steps=0)
    with pytest.raises(ValueError, match="`start` is 'encoder'"):
        Annealing(start="encoder")
    with pytest.raises(ValueError, match="`step_size` is -1"):
        Annealing(step_size=-1)
