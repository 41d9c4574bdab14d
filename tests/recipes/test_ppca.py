"""Probabilistic PCA: the bound is the evidence, and training finds the closed form."""

from __future__ import annotations

import math

import pytest
import torch

from vaekit import recipes
from vaekit.conditionals import LinearPosterior
from vaekit.data.spec import Spec
from vaekit.terms import ImportanceBound
from vaekit.worlds import LinearGaussian, mean_log_likelihood, ppca_closed_form

SPEC = Spec("toy", (5,), "real", 400)


def parameters(system):
    likelihood = system.model.likelihood
    layer = likelihood.network.output_layer
    return layer.weight, layer.bias, likelihood.log_std


def evidence(system, x):
    weight, mean, log_std = parameters(system)
    covariance = weight @ weight.T + (2 * log_std).exp() * torch.eye(5)
    return torch.distributions.MultivariateNormal(mean, covariance).log_prob(x)


@pytest.fixture
def system():
    found = recipes.ppca(SPEC, latents=2)
    with torch.no_grad():
        for value in (*parameters(found)[:2], found.model.likelihood.head):
            value.copy_(torch.randn(value.shape))
    return found


def test_every_log_weight_is_the_evidence(system, judge):
    x = torch.randn(9, 5)
    for seed in range(3):
        said = judge(system, {"x": x}, seed)[1]["ppca"]
        torch.testing.assert_close(said.total, -evidence(system, x).mean(), rtol=1e-12, atol=1e-12)
    trace = system.model({"x": x}, samples=7)
    torch.testing.assert_close(-ImportanceBound()(trace), evidence(system, x), rtol=1e-12, atol=1e-12)


def test_the_gradient_is_that_of_the_evidence_and_has_no_variance(system, gradients):
    x = torch.randn(9, 5)
    expected = torch.autograd.grad(-evidence(system, x).mean(), list(system.model.parameters()))
    for seed in range(2):
        ours = gradients(system, {"x": x}, seed)
        for value, theirs in zip(ours.values(), expected, strict=True):
            torch.testing.assert_close(value, theirs, rtol=1e-10, atol=1e-10)


def test_posterior_is_that_of_the_world(system):
    weight, mean, log_std = parameters(system)
    x = torch.randn(9, 5)
    expected = LinearGaussian(weight, (2 * log_std).exp().item(), mean).posterior(x)
    q = system.model.posteriors[0](x)
    torch.testing.assert_close(q.mean, expected[0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(q.covariance_matrix[4], expected[1], rtol=1e-10, atol=1e-10)
    assert q.variance.shape == (9, 2)


def test_parameters_stand_once_in_the_state(system):
    assert sorted(system.model.state_dict()) == [
        "likelihood.head",
        "likelihood.network.output_layer.bias",
        "likelihood.network.output_layer.weight",
    ]
    assert len(system.procedure.players[0].parameters) == 3


def test_training_converges_to_the_closed_form():
    torch.manual_seed(2)
    mixing = torch.randn(5, 5) * torch.tensor([2.0, 1.5, 0.5, 0.4, 0.3])
    x = torch.randn(400, 5) @ mixing.T + torch.tensor([1.0, -1.0, 0.5, 0.0, 2.0])
    system = recipes.ppca(SPEC, latents=2, learning_rate=0.05)
    for _ in range(700):
        said = system.procedure.step([{"x": x}])
    weight, sigma2, mean = ppca_closed_form(x, 2)
    best = mean_log_likelihood(LinearGaussian(weight, sigma2, mean), x)
    ours, centre, log_std = (value.detach() for value in parameters(system))
    assert -said["loss"].item() == pytest.approx(best, abs=1e-6)
    assert (2 * log_std).exp().item() == pytest.approx(sigma2, rel=1e-3)
    torch.testing.assert_close(centre, mean, atol=5e-3, rtol=0)
    torch.testing.assert_close(ours @ ours.T, weight @ weight.T, atol=2e-2, rtol=1e-2)


def test_pictures_are_flattened(judge):
    here = Spec("toy", (1, 2, 3), "real", 400)
    system = recipes.ppca(here, latents=2)
    x = torch.randn(4, 1, 2, 3)
    weight, mean, log_std = parameters(system)
    covariance = weight @ weight.T + (2 * log_std).exp() * torch.eye(6)
    exact = torch.distributions.MultivariateNormal(mean, covariance).log_prob(x.flatten(1))
    torch.testing.assert_close(judge(system, {"x": x})[1]["ppca"].total, -exact.mean())
    assert system.model.generate(3).mean.shape == (3, 1, 2, 3)
    assert math.isfinite(system.model.encode({"x": x})["z"].sum().item())


def test_mixed_precision_keeps_the_covariance_whole(system):
    with torch.autocast("cpu", torch.bfloat16):
        q = system.model.posteriors[0](torch.randn(4, 5))
    assert q.mean.dtype == q.factor.dtype == torch.float64


def test_a_layer_of_another_model_is_refused(system):
    with pytest.raises(ValueError, match="`layer` ends in 4 numbers; expected 5"):
        LinearPosterior(system.model.likelihood, torch.nn.Linear(2, 4))
