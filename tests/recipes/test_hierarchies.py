"""Hierarchies: their losses by hand, and what a hierarchy without connections comes to."""

from __future__ import annotations

import math

import pytest
import torch

from vaekit import recipes
from vaekit.errors import UnsupportedError
from vaekit.terms import Distortion, Rate, divergence

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def gaussian(value, mean, log_std):
    """log N, summed over the last axis."""
    return (-0.5 * ((value - mean) / log_std.exp()) ** 2 - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)


def bernoulli(x, logits):
    p = torch.sigmoid(logits)
    return -(x * p.log() + (1 - x) * (1 - p).log()).flatten(-3).sum(-1)


def heads(conditional, *inputs):
    return conditional.network(*inputs).chunk(2, -1)


@pytest.mark.parametrize("prior", ["vamp", "mixture", "standard"])
def test_hvae_by_hand(prior, small, spec, batch_of, judge):
    """Every one of its five densities counts, the prior of the upper level included."""
    arguments = {key: value for key, value in small["hvae"].items() if key != "components"}
    system = recipes.hvae(spec(), **arguments, prior=prior)
    x, model = batch_of(spec())["x"], system.model
    weight = system.procedure.players[0].objective.terms["rate"][0]
    weight.step.fill_(3)
    _, said = judge(system, batch_of(spec()))
    torch.manual_seed(5)
    mean2, log_std2 = heads(model.posteriors[1], x)
    z2 = mean2 + log_std2.exp() * torch.randn_like(mean2)
    mean1, log_std1 = heads(model.posteriors[0], x, z2)
    z1 = mean1 + log_std1.exp() * torch.randn_like(mean1)
    if prior == "vamp":
        means, log_stds = heads(model.posteriors[1], model.priors[1].pseudo_inputs)
        top = torch.stack([gaussian(z2, m, s) for m, s in zip(means, log_stds, strict=True)])
        top = top.logsumexp(0) - math.log(500)
    elif prior == "mixture":
        mixture = model.priors[1]
        weights = mixture.weights.log_softmax(0)
        each = zip(weights, mixture.means, mixture.log_stds, strict=True)
        top = torch.stack([w + gaussian(z2, m, s) for w, m, s in each]).logsumexp(0)
    else:
        top = gaussian(z2, torch.zeros(2), torch.zeros(2))
    rate = gaussian(z2, mean2, log_std2) - top
    below = gaussian(z1, mean1, log_std1) - gaussian(z1, *heads(model.priors[0], z2))
    if prior == "standard":  # both levels are then in closed form, given the draw above
        p, q = heads(model.priors[0], z2), (mean1, log_std1)
        rate = 0.5 * (mean2**2 + (2 * log_std2).exp() - 1 - 2 * log_std2).sum(-1)
        ratio = q[1] - p[1]
        below = (0.5 * ((2 * ratio).exp() + ((q[0] - p[0]) / p[1].exp()) ** 2 - 1) - ratio).sum(-1)
    expected = bernoulli(x, model.likelihood.network(z1, z2)) + 0.3 * (rate + below)
    torch.testing.assert_close(said["vae"].total, expected.mean(), **EXACT)


def cut(layer, columns):
    """Let a first layer not see some of its inputs."""
    with torch.no_grad():
        layer.weight[:, columns] = 0


def test_levels_without_connections_are_two_vaes(spec, batch_of):
    """With z1 blind to z2 the rate is the sum of the rates of two independent latents."""
    torch.manual_seed(0)
    system = recipes.hvae(spec(), prior="standard", warmup=0, latents=(3, 2), hidden=(8,))
    model, batch = system.model, batch_of(spec())
    cut(model.posteriors[0].network.hidden[0], slice(16, 18))
    cut(model.priors[0].network.hidden[0], slice(None))
    with torch.no_grad():
        model.priors[0].network.output_layer.weight.zero_()
        model.priors[0].network.output_layer.bias.zero_()  # p(z1|z2) = N(0, I)
    trace = model(batch)
    single = []
    for level in (0, 1):
        x = batch["x"]
        given = (x,) if level else (x, torch.randn(len(x), 2))
        mean, log_std = heads(model.posteriors[level], *given)
        single.append(0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1))
    torch.testing.assert_close(Rate()(trace), single[0] + single[1], **EXACT)
    torch.testing.assert_close(divergence(trace.latents["z1"]), single[0], **EXACT)
    values = system.procedure.players[0].objective(trace)
    torch.testing.assert_close(values.total, (Distortion()(trace) + single[0] + single[1]).mean(), **EXACT)


def test_ladder_by_hand(small, spec, batch_of, judge):
    """Precisions add; each level's divergence is in closed form given the draw above."""
    system = recipes.ladder_vae(spec(), latents=(4, 3, 2), hidden=(8, 7, 6), warmup=10)
    system.procedure.players[0].objective.terms["rate"][0].step.fill_(3)
    x, model = batch_of(spec())["x"], system.model
    trace, said = judge(system, batch_of(spec()))
    torch.manual_seed(5)
    h1, h2, h3 = model.features(x)

    def message(level, h):
        mean, log_std = heads(getattr(model.posteriors[level], "message", model.posteriors[level]), h)
        return mean, (-2 * log_std).exp()

    def divide(m, precision, p_mean, p_precision):
        """KL(N(m, 1/precision) || N(p_mean, 1/p_precision))."""
        ratio = p_precision / precision
        return 0.5 * (ratio + p_precision * (m - p_mean) ** 2 - 1 - ratio.log()).sum(-1)

    mean, precision = message(2, h3)
    rate = divide(mean, precision, torch.zeros(2), torch.ones(2))
    z = mean + precision**-0.5 * torch.randn_like(mean)
    for level, h in ((1, h2), (0, h1)):
        m, precision = message(level, h)
        p_mean, p_log_std = heads(model.priors[level], z)
        p_precision = (-2 * p_log_std).exp()
        mean = (m * precision + p_mean * p_precision) / (precision + p_precision)
        rate = rate + divide(mean, precision + p_precision, p_mean, p_precision)
        z = mean + (precision + p_precision) ** -0.5 * torch.randn_like(mean)
    expected = bernoulli(x, model.likelihood.network(z)) + 0.3 * rate
    torch.testing.assert_close(said["vae"].total, expected.mean(), rtol=1e-10, atol=1e-10)
    assert all(latent.closed for latent in trace.latents.values())


def test_ladder_makes_each_prior_once(spec, batch_of):
    system = recipes.ladder_vae(spec(), latents=(4, 3, 2), hidden=(8,), warmup=0)
    calls = []
    for number, prior in enumerate(system.model.priors):
        prior.register_forward_hook(lambda *_, number=number: calls.append(number))
    system.model(batch_of(spec()))
    assert sorted(calls) == [0, 1, 2]
    calls.clear()
    system.model.encode(batch_of(spec()))
    assert sorted(calls) == [0, 1]  # the top level's posterior starts from nothing


def test_ladder_is_a_chain(spec):
    """p(x|z1) sees nothing of z2, and p(z1|z2) nothing of z3."""
    system = recipes.ladder_vae(spec(), latents=(4, 3, 2), hidden=(8,), warmup=0)
    z1, z2, z3 = torch.randn(5, 4), torch.randn(5, 3), torch.randn(5, 2)
    first = system.model.decode({"z1": z1, "z2": z2, "z3": z3}).logits
    assert torch.equal(first, system.model.decode({"z1": z1, "z2": -z2, "z3": -z3}).logits)
    assert not torch.equal(first, system.model.decode({"z1": -z1, "z2": z2, "z3": z3}).logits)
    low = system.model.priors[0]
    assert torch.equal(low(z2, z3).mean, low(z2, -z3).mean)


def test_ladder_posterior_without_a_message_is_the_prior(spec, batch_of):
    """A message of no precision leaves the prior as it is, and the level costs nothing."""
    system = recipes.ladder_vae(spec(), latents=(4, 3), hidden=(8,), warmup=0)
    head = system.model.posteriors[0].message.network.output_layer
    with torch.no_grad():
        head.weight[4:] = 0
        head.bias[4:] = 4.0  # ln s at its upper end: a precision of exp(-8)
        head.weight[:4] = 0
        head.bias[:4] = 0
    trace = system.model(batch_of(spec()))
    assert divergence(trace.latents["z1"]).max() < 1e-5
    assert divergence(trace.latents["z2"]).min() > 1e-3


@pytest.mark.parametrize(
    ("name", "arguments", "error", "words"),
    [
        ("ladder_vae", {"hidden": (8, 7, 6), "latents": (3, 2)}, ValueError, "one for each level"),
        ("ladder_vae", {"latents": (3,)}, ValueError, "at least 2"),
        ("hvae", {"latents": (3,)}, ValueError, "at least 2"),
        ("hvae", {"latents": 3}, TypeError, "`latents` is 3"),
    ],
)
def test_refusals(name, arguments, error, words, spec):
    with pytest.raises(error, match=words):
        getattr(recipes, name)(spec(), **arguments)


def test_batch_normalisation_couples_the_batch_and_is_named_once(spec):
    arguments = {"latents": (4, 3), "hidden": (8,), "warmup": 0}
    assert recipes.ladder_vae(spec(), **arguments).procedure.coupled == []
    found = recipes.ladder_vae(spec(), **arguments, batch_norm=True).procedure.coupled
    assert found == ["the model's BatchNorm"]


@pytest.mark.parametrize("name", ["hvae", "ladder_vae", "vamp_vae"])
def test_conditions_have_no_place(name, spec):
    with pytest.raises(UnsupportedError, match="no place"):
        getattr(recipes, name)(spec(context=True))
