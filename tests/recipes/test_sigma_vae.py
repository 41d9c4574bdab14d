"""Learned variances: each against its closed form."""

from __future__ import annotations

import math

import pytest
import torch

from vaekit import recipes

EXACT = {"rtol": 1e-11, "atol": 1e-11}
D = 16


@pytest.fixture
def data(spec, batch_of):
    here = spec("unit")
    return here, batch_of(here)


def build(spec, **arguments):
    torch.manual_seed(11)
    return recipes.sigma_vae(spec, **{"latents": 3, "hidden": (8,), **arguments})


def residuals(system, trace):
    return trace.batch["x"] - system.model.likelihood.network(trace.latents["z"].value)


def test_optimal_is_the_closed_form_in_training_and_a_running_mean_in_evaluation(data, judge):
    system = build(data[0])
    system.model.train()
    trace, said = judge(system, data[1])
    variance = residuals(system, trace).square().mean()
    expected = D / 2 * ((2 * math.pi * variance).log() + 1)
    torch.testing.assert_close(said["vae"].values["distortion"], expected, **EXACT)
    torch.testing.assert_close(said["vae"].total, expected + said["vae"].values["rate"], **EXACT)

    fitted = []
    for seed in range(3):
        torch.manual_seed(seed)
        system.procedure.step([data[1]])
        system.model.eval()
        fitted.append(system.model.likelihood.variance)
        system.model.train()
    assert len({value.item() for value in fitted}) == 3
    system.model.eval()
    trace, said = judge(system, data[1])
    running = system.model.likelihood.variance
    errors = residuals(system, trace).square().flatten(1).sum(1).mean()
    expected = errors / (2 * running) + D / 2 * (2 * math.pi * running).log()
    torch.testing.assert_close(said["vae"].values["distortion"], expected, **EXACT)


def test_optimal_gradient_is_that_of_the_logarithm_of_the_error(data, judge, gradients):
    system = build(data[0])
    trace, _ = judge(system, data[1])
    substituted = D / 2 * residuals(system, trace).square().mean().log()
    mean, log_std = system.model.posteriors[0].network(data[1]["x"]).chunk(2, -1)
    rate = 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1).mean()
    names, parameters = zip(*system.model.named_parameters(), strict=True)
    expected = torch.autograd.grad(substituted + rate, parameters)
    ours = gradients(system, data[1])
    for name, value in zip(names, expected, strict=True):
        torch.testing.assert_close(ours[name], value, **EXACT)


def test_shared_has_one_parameter_whose_optimum_is_the_mean_squared_error(data, judge):
    system = build(data[0], variance="shared")
    likelihood = system.model.likelihood
    trace, said = judge(system, data[1])
    log_std = likelihood.log_std
    errors = residuals(system, trace).square().flatten(1).sum(1).mean()
    expected = errors / (2 * (2 * log_std).exp()) + D * (log_std + 0.5 * math.log(2 * math.pi))
    torch.testing.assert_close(said["vae"].values["distortion"], expected, **EXACT)
    variance = residuals(system, trace).square().mean().item()
    with torch.no_grad():  # the inverse of low + softplus(head - low), low = -6
        likelihood.head.fill_(math.log(math.expm1(0.5 * math.log(variance) + 6)) - 6)
    judge(system, data[1])[1]["vae"].total.backward()
    assert likelihood.head.grad.item() == pytest.approx(0, abs=1e-10)


def test_pixel_has_a_variance_for_every_element(data, judge):
    system = build(data[0], variance="pixel")
    trace, said = judge(system, data[1])
    out = system.model.likelihood.network(trace.latents["z"].value)
    assert out.shape == (12, 2, 4, 4)
    centre, head = out.chunk(2, 1)
    log_std = -6 + torch.log1p((head + 6).exp())
    density = -0.5 * ((data[1]["x"] - centre) / log_std.exp()) ** 2 - log_std - 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(said["vae"].values["distortion"], -density.flatten(1).sum(1).mean(), **EXACT)


def test_fixed_sigma_is_a_weight_of_the_rate(data, judge, gradients):
    sigma = 0.5
    system = build(data[0], variance="fixed", sigma=sigma)
    trace, said = judge(system, data[1])
    errors = residuals(system, trace).square().flatten(1).sum(1).mean()
    expected = errors / (2 * sigma**2) + D * (math.log(sigma) + 0.5 * math.log(2 * math.pi))
    torch.testing.assert_close(said["vae"].values["distortion"], expected, **EXACT)
    ours = gradients(system, data[1])
    torch.manual_seed(11)
    beta = recipes.beta_vae(data[0], beta=sigma**2, latents=3, hidden=(8,), likelihood="gaussian_fixed")
    theirs = gradients(beta, data[1])
    for key, value in ours.items():
        torch.testing.assert_close(sigma**2 * value, theirs[key], **EXACT)
    unit = judge(build(data[0], variance="fixed"), data[1])[1]["vae"].total
    assert unit == judge(build(data[0], variance="fixed", sigma=1.0), data[1])[1]["vae"].total
