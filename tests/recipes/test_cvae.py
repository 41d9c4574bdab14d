"""The conditional VAE: its hybrid objective, its limits, what it costs, and who is moved."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from vaekit import recipes
from vaekit.terms import Rate

EXACT = {"rtol": 1e-11, "atol": 1e-11}


@pytest.fixture
def data(spec, batch_of):
    here = spec(context=True)
    return here, batch_of(here)


def build(spec, seed=11, **arguments):
    torch.manual_seed(seed)
    return recipes.cvae(spec, **{"latents": 3, "hidden": (8,), **arguments})


def bernoulli(x, logits):
    p = logits.sigmoid()
    return -(x * p.log() + (1 - x) * (1 - p).log()).flatten(-3).sum(-1)


def by_hand(model, batch, seed=5):
    """L_CVAE and L_GSNN with the general KL between two diagonal Gaussians, as losses per datum."""
    x, c = batch["x"], batch["c"]
    mq, sq = model.posteriors[0].network(x, c).chunk(2, -1)
    mp, sp = model.priors[0].network(c).chunk(2, -1)
    torch.manual_seed(seed)
    zq = mq + sq.exp() * torch.randn(*mq.shape)
    zp = mp + sp.exp() * torch.randn(*mp.shape)
    kl = (sp - sq + ((2 * sq).exp() + (mq - mp) ** 2) / (2 * (2 * sp).exp()) - 0.5).sum(-1)
    reconstruct = bernoulli(x, model.likelihood.network(zq, c))
    return reconstruct + kl, bernoulli(x, model.likelihood.network(zp, c))


def calls(system, batch):
    """How often the generator runs in one step."""
    seen = []
    handle = system.model.likelihood.network.register_forward_hook(lambda *_: seen.append(1))
    system.procedure.step([batch])
    handle.remove()
    return len(seen)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.6, 1.0])
def test_hybrid_objective(alpha, data, judge):
    system = build(data[0], alpha=alpha)
    cvae, gsnn = by_hand(system.model, data[1])
    expected = (alpha * cvae + (1 - alpha) * gsnn).mean()
    torch.testing.assert_close(judge(system, data[1])[1]["cvae"].total, expected, **EXACT)


def test_the_second_pass_is_paid_for_only_where_it_weighs(data):
    assert calls(build(data[0], alpha=1.0), data[1]) == 1
    assert calls(build(data[0], alpha=0.5), data[1]) == 2


def test_alpha_one_does_not_read_the_prior_branch_and_alpha_zero_leaves_q_alone(data, gradients):
    only = build(data[0], alpha=0.0)
    moved = gradients(only, data[1])
    for key, value in moved.items():
        assert bool(value.any()) != key.startswith("posteriors"), key
    owned = {id(parameter) for parameter in only.procedure.players[0].parameters}
    assert not owned & {id(parameter) for parameter in only.model.posteriors.parameters()}
    both = gradients(build(data[0], alpha=0.5), data[1])
    assert all(bool(value.any()) for value in both.values())


def test_the_rate_moves_both_networks_and_not_the_generator(data, judge):
    system = build(data[0])
    trace, _ = judge(system, data[1])
    Rate()(trace).mean().backward()
    for key, parameter in system.model.named_parameters():
        if key.startswith("likelihood"):
            assert parameter.grad is None, key
        else:
            assert parameter.grad.any(), key


def test_with_q_equal_to_p_the_rate_is_zero_and_both_objectives_agree(data, judge):
    class FromCondition(nn.Module):
        def __init__(self, prior):
            super().__init__()
            self.prior = prior

        def forward(self, x, c):
            return self.prior(c)

    system = build(data[0], alpha=0.5)
    system.model.posteriors[0] = FromCondition(system.model.priors[0])
    trace, said = judge(system, data[1])
    assert said["cvae"].values["rate"].item() == 0
    # on the same draw, the two losses are one
    branch = trace.branches["prior"]
    z = trace.latents["z"].value
    again = system.model.likelihood(z, data[1]["c"]).log_prob(data[1]["x"])
    torch.testing.assert_close(said["cvae"].values["distortion"], -again.mean(), **EXACT)
    other = system.model.likelihood(branch.latents["z"].value, data[1]["c"]).log_prob(data[1]["x"])
    torch.testing.assert_close(said["cvae"].values["gsnn"], -other.mean(), **EXACT)


def test_with_a_standard_prior_and_an_empty_condition_it_is_the_vae(data, spec, judge):
    system = build(data[0], prior="standard")
    plain = recipes.vae(spec(), latents=3, hidden=(8,))
    with torch.no_grad():
        for ours, theirs, width in (
            (system.model.posteriors[0].network, plain.model.posteriors[0].network, 16),
            (system.model.likelihood.network, plain.model.likelihood.network, 3),
        ):
            theirs.hidden[0].weight.copy_(ours.hidden[0].weight[:, :width])
            theirs.hidden[0].bias.copy_(ours.hidden[0].bias)
            theirs.output_layer.load_state_dict(ours.output_layer.state_dict())
    x = data[1]["x"]
    empty = {"x": x, "c": torch.zeros_like(data[1]["c"])}
    said, expected = judge(system, empty)[1]["cvae"], judge(plain, {"x": x})[1]["vae"]
    torch.testing.assert_close(said.total, expected.total, **EXACT)
    assert judge(system, data[1])[1]["cvae"].total != said.total


def test_samples_average_over_draws(data, judge):
    system = build(data[0], samples=4)
    trace, said = judge(system, data[1])
    assert trace.latents["z"].value.shape == (4, 12, 3)
    each = [bernoulli(data[1]["x"], system.model.likelihood.network(z, data[1]["c"])).mean()
            for z in trace.latents["z"].value]  # fmt: skip
    torch.testing.assert_close(said["cvae"].values["distortion"], sum(each) / 4, **EXACT)


def test_generates_for_a_condition_and_with_the_prior_that_was_asked_for(data):
    system = build(data[0])
    assert system.model.generate(12, data[1]["c"]).mean.shape == (12, 1, 4, 4)
    p = system.model.priors[0](data[1]["c"])
    assert p.batch_shape == (12,)
    assert p.mean.std(0).min() > 0  # it listens to the condition
    assert build(data[0], prior="standard").model.priors[0](data[1]["c"]).batch_shape == ()


def test_default_networks(data):
    model = recipes.cvae(data[0]).model
    for network in (model.posteriors[0].network, model.priors[0].network, model.likelihood.network):
        assert [layer.out_features for layer in network.hidden] == [500, 500]
    assert model.priors[0].network.inputs == ((3,),)
    assert model.priors[0].network.output == (400,)


def test_gaussian_gsnn_is_exact_in_a_linear_world(spec, judge):
    """p(x|c) = N(A c, w w^T + s^2 I): the mean of the likelihood over draws from p(z|c) tends to it."""
    here = spec("real", context=True, shape=(2,))
    system = recipes.cvae(here, latents=1, hidden=(), alpha=0.5, samples=20_000, likelihood="gaussian_fixed")
    model, c = system.model, torch.randn(3, 3)
    weight = model.likelihood.network.output_layer.weight.detach()  # columns: z, c
    m, s = model.priors[0].network(c).detach().chunk(2, -1)
    mean = m @ weight[:, :1].T + c @ weight[:, 1:].T + model.likelihood.network.output_layer.bias.detach()
    x = mean + 0.7
    batch = {"x": x, "c": c}
    trace, _ = judge(system, batch)
    found = trace.branches["prior"].observed["x"].p.log_prob(x).logsumexp(0) - math.log(20_000)
    spread = (2 * s).exp()[:, :, None] * (weight[:, :1] @ weight[:, :1].T) + torch.eye(2)
    exact = torch.distributions.MultivariateNormal(mean, spread).log_prob(x)
    torch.testing.assert_close(found, exact, atol=0.02, rtol=0)
