"""The loss of each recipe on fixed noise equals one written by hand from the equations."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from vaekit import recipes

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def noise(seed, *shape):
    torch.manual_seed(seed)
    return torch.randn(*shape)


def bernoulli(x, logits):
    """-log p(x|z), summed over pixels."""
    p = torch.sigmoid(logits)
    return -(x * p.log() + (1 - x) * (1 - p).log()).flatten(-3).sum(-1)


def gaussian(value, mean, log_std):
    """log N, summed over the last axis."""
    return (-0.5 * ((value - mean) / log_std.exp()) ** 2 - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)


def kl(mean, log_std):
    return 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1)


def heads(model, *inputs, level=0):
    return model.posteriors[level].network(*inputs).chunk(2, -1)


@pytest.fixture
def data(spec, batch_of):
    here = spec()
    return here, batch_of(here)


@pytest.mark.parametrize("samples", [1, 4])
def test_vae_with_the_rate_in_closed_form(samples, data, small, judge):
    system = recipes.vae(data[0], **small["vae"], samples=samples, estimator="closed")
    x = data[1]["x"]
    _, said = judge(system, data[1])
    mean, log_std = heads(system.model, x)
    shape = mean.shape if samples == 1 else (samples, *mean.shape)
    logits = system.model.likelihood.network(mean + log_std.exp() * noise(5, *shape))
    distortion = bernoulli(x, logits) if samples == 1 else bernoulli(x, logits).mean(0)
    torch.testing.assert_close(said["vae"].total, (distortion + kl(mean, log_std)).mean(), **EXACT)
    torch.testing.assert_close(said["vae"].values["rate"], kl(mean, log_std).mean(), **EXACT)


@pytest.mark.parametrize("estimator", ["sample", "stl"])
def test_vae_with_the_rate_by_its_draw(estimator, data, small, judge):
    system = recipes.vae(data[0], **small["vae"], estimator=estimator)
    x = data[1]["x"]
    _, said = judge(system, data[1])
    mean, log_std = heads(system.model, x)
    z = mean + log_std.exp() * noise(5, *mean.shape)
    rate = gaussian(z, mean, log_std) - gaussian(z, torch.zeros(3), torch.zeros(3))
    expected = (bernoulli(x, system.model.likelihood.network(z)) + rate).mean()
    torch.testing.assert_close(said["vae"].total, expected, **EXACT)


def test_vae_with_learned_and_mixture_prior(data, small, judge):
    x = data[1]["x"]
    system = recipes.vae(data[0], **small["vae"], prior="mixture")
    trace, said = judge(system, data[1])
    mean, log_std = heads(system.model, x)
    z = trace.latents["z"].value
    prior = system.model.priors[0]
    log_weights = torch.log_softmax(prior.weights, 0)
    density = torch.stack(
        [log_weights[k] + gaussian(z, prior.means[k], prior.log_stds[k]) for k in range(10)]
    ).logsumexp(0)
    torch.testing.assert_close(
        said["vae"].values["rate"], (gaussian(z, mean, log_std) - density).mean(), **EXACT
    )


@pytest.mark.parametrize("posterior", ["full", "low_rank", "rank_one"])
def test_full_covariance_vae(posterior, data, small, judge):
    rank = 2 if posterior == "low_rank" else None
    system = recipes.full_covariance_vae(
        data[0], **small["full_covariance_vae"], posterior=posterior, rank=rank
    )
    x = data[1]["x"]
    trace, said = judge(system, data[1])
    out = system.model.posteriors[0].network(x)
    mean, log_std, rest = out[:, :3], out[:, 3:6], out[:, 6:]
    if posterior == "full":
        factor = torch.diag_embed(log_std.exp())
        factor[:, [1, 2, 2], [0, 0, 1]] = rest
        covariance = factor @ factor.mT
    elif posterior == "low_rank":
        directions = rest.reshape(-1, 3, 2) / math.sqrt(2)
        covariance = torch.diag_embed((2 * log_std).exp()) + directions @ directions.mT
    else:
        precision = torch.diag_embed((-2 * log_std).exp()) + rest[:, :, None] * rest[:, None, :]
        covariance = torch.linalg.inv(precision)
    normal = torch.distributions.MultivariateNormal(mean, covariance)
    standard = torch.distributions.MultivariateNormal(torch.zeros(3), torch.eye(3))
    rate = torch.distributions.kl_divergence(normal, standard)
    distortion = bernoulli(x, system.model.likelihood.network(trace.latents["z"].value))
    expected = (distortion + rate).mean()
    torch.testing.assert_close(said["vae"].total, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_beta_vae_is_affine_in_beta(beta, data, small, judge):
    system = recipes.beta_vae(data[0], **small["beta_vae"], beta=beta)
    x = data[1]["x"]
    _, said = judge(system, data[1])
    mean, log_std = heads(system.model, x)
    logits = system.model.likelihood.network(mean + log_std.exp() * noise(5, *mean.shape))
    expected = (bernoulli(x, logits) + beta * kl(mean, log_std)).mean()
    torch.testing.assert_close(said["vae"].total, expected, **EXACT)


@pytest.mark.parametrize(("step", "target"), [(0, 0.0), (5, 2.0), (10, 4.0), (99, 4.0)])
def test_annealed_vae_along_the_ramp(step, target, data, small, judge):
    system = recipes.annealed_vae(data[0], **small["annealed_vae"], gamma=7.0)
    x = data[1]["x"]
    schedule = system.procedure.players[0].objective.terms["capacity"][1].capacity
    schedule.step.fill_(step)
    _, said = judge(system, data[1])
    mean, log_std = heads(system.model, x)
    logits = system.model.likelihood.network(mean + log_std.exp() * noise(5, *mean.shape))
    # the absolute value of the mean, not the mean of the absolute values
    expected = bernoulli(x, logits).mean() + 7.0 * abs(kl(mean, log_std).mean() - target)
    torch.testing.assert_close(said["vae"].total, expected, **EXACT)


def test_annealed_capacity_moves_once_a_step_and_is_judged_on_the_batch_mean(data, small, judge):
    system = recipes.annealed_vae(data[0], **small["annealed_vae"])
    capacity = system.procedure.players[0].objective.terms["capacity"][1]
    for _ in range(3):
        system.procedure.step([data[1]])
    assert capacity.capacity().item() == pytest.approx(4.0 * 3 / 10)
    rates = kl(*heads(system.model, data[1]["x"]))
    assert rates.std() > 0
    capacity.capacity.end, capacity.capacity.start = rates.mean().item(), rates.mean().item()
    assert judge(system, data[1])[1]["vae"].values["capacity"].item() == pytest.approx(0, abs=1e-12)
    assert system.monitor == "last"


def test_annealed_gradient_is_that_of_beta_vae_with_the_sign_of_the_distance(data, small, gradients):
    arguments = small["annealed_vae"] | {"ramp": 1, "learning_rate": 1e-4}
    for capacity, beta in ((0.0, 7.0), (50.0, -7.0)):
        torch.manual_seed(1)
        annealed = recipes.annealed_vae(data[0], **arguments | {"capacity": capacity}, gamma=7.0)
        annealed.procedure.players[0].objective.terms["capacity"][1].capacity.step.fill_(1)
        torch.manual_seed(1)
        plain = recipes.beta_vae(data[0], **small["beta_vae"], beta=7.0)
        plain.procedure.players[0].objective.terms["rate"] = (
            beta,
            plain.procedure.players[0].objective.terms["rate"][1],
        )
        ours, theirs = gradients(annealed, data[1]), gradients(plain, data[1])
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            torch.testing.assert_close(value, theirs[key], **EXACT)


def test_dlgm_equals_the_recursion_by_hand(data, small, judge):
    system = recipes.dlgm(data[0], hidden=(8,), latents=(3, 4, 2), posterior="diagonal")
    x, decoder = data[1]["x"], system.model.likelihood.network
    _, said = judge(system, data[1])
    torch.manual_seed(5)
    xi, rate = [], 0.0
    for level, n in enumerate((3, 4, 2)):
        mean, log_std = heads(system.model, x, level=level)
        xi.append(mean + log_std.exp() * torch.randn(len(x), n))
        rate = rate + kl(mean, log_std)
    with torch.no_grad():  # away from the identity at which they start
        for matrix in decoder.noise:
            assert torch.equal(matrix.weight, torch.eye(*matrix.weight.shape))
    g = [matrix.weight for matrix in decoder.noise]

    def layer(net, h):
        hidden = torch.relu(functional.linear(h, net.hidden[0].weight, net.hidden[0].bias))
        return functional.linear(hidden, net.output_layer.weight, net.output_layer.bias)

    h3 = xi[2] @ g[2].T
    h2 = layer(decoder.between[1], h3) + xi[1] @ g[1].T
    h1 = layer(decoder.between[0], h2) + xi[0] @ g[0].T
    logits = layer(decoder.observe, h1).reshape(-1, 1, 4, 4)
    torch.testing.assert_close(said["dlgm"].total, (bernoulli(x, logits) + rate).mean(), **EXACT)


def test_dlgm_rate_is_that_of_the_rank_one_precision_in_every_layer(data, small, judge):
    system = recipes.dlgm(data[0], **small["dlgm"])
    _, said = judge(system, data[1])
    total = 0.0
    for conditional in system.model.posteriors:
        mean, log_std, u = conditional.network(data[1]["x"]).chunk(3, -1)
        covariance = torch.linalg.inv(torch.diag_embed((-2 * log_std).exp()) + u[:, :, None] * u[:, None, :])
        spread = covariance.diagonal(dim1=-2, dim2=-1).sum(-1) - torch.logdet(covariance)
        total = total + 0.5 * (spread + (mean**2).sum(-1) - mean.shape[-1]).mean()
    torch.testing.assert_close(said["dlgm"].values["rate"], total, rtol=1e-10, atol=1e-10)
