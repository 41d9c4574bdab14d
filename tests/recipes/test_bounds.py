"""The importance-weighted recipes: values by hand, limits, and who moves along which gradient."""

from __future__ import annotations

import math

import pytest
import torch

from vaekit import recipes
from vaekit.errors import UnsupportedError

EXACT = {"rtol": 1e-11, "atol": 1e-11}
NET = {"latents": 3, "hidden": (8, 7)}


@pytest.fixture
def data(spec, batch_of):
    here = spec()
    return here, batch_of(here)


def build(recipe, spec, **arguments):
    """The same weights whatever the recipe: all four have the same networks."""
    torch.manual_seed(11)
    return getattr(recipes, recipe)(spec, **{**NET, **arguments})


def log_weights(model, x, samples, seed=5):
    """log w_k = log p(x|z_k) + log p(z_k) - log q(z_k|x) by hand, with the gradient of everything."""
    mean, log_std = model.posteriors[0].network(x).chunk(2, -1)
    torch.manual_seed(seed)
    eps = torch.randn(samples, *mean.shape)
    z = mean + log_std.exp() * eps
    return log_joint(model, x, z) - log_posterior(z, mean, log_std)


def log_joint(model, x, z):
    p = model.likelihood.network(z).sigmoid()
    likelihood = (x * p.log() + (1 - x) * (1 - p).log()).flatten(-3).sum(-1)
    return likelihood + (-0.5 * z**2 - 0.5 * math.log(2 * math.pi)).sum(-1)


def log_posterior(z, mean, log_std):
    return (-0.5 * ((z - mean) / log_std.exp()) ** 2 - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)


def by_hand(loss, model):
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    zeros = [torch.zeros_like(value) for value in parameters]
    return {n: z if g is None else g for n, g, z in zip(names, found, zeros, strict=True)}


def same(ours, theirs, only=""):
    keys = [key for key in ours if key.startswith(only)]
    assert keys
    for key in keys:
        torch.testing.assert_close(ours[key], theirs[key], **EXACT)


def test_iwae_value_and_gradient(data, judge, gradients):
    system = build("iwae", data[0], samples=5)
    loss = -(log_weights(system.model, data[1]["x"], 5).exp().mean(0).log()).mean()
    torch.testing.assert_close(judge(system, data[1])[1]["vae"].total, loss, **EXACT)
    same(gradients(system, data[1]), by_hand(loss, system.model))


def test_miwae_averages_groups_of_k_bounds(data, judge, gradients):
    system = build("miwae", data[0], groups=2, samples=3)
    w = log_weights(system.model, data[1]["x"], 6)
    loss = -0.5 * (w[:3].exp().mean(0).log() + w[3:].exp().mean(0).log()).mean()
    torch.testing.assert_close(judge(system, data[1])[1]["vae"].total, loss, **EXACT)
    same(gradients(system, data[1]), by_hand(loss, system.model))


def test_miwae_limits(data, judge):
    one = judge(build("miwae", data[0], groups=1, samples=6), data[1])[1]["vae"].total
    assert torch.equal(one, judge(build("iwae", data[0], samples=6), data[1])[1]["vae"].total)
    many = judge(build("miwae", data[0], groups=6, samples=1), data[1])[1]["vae"].total
    mean = judge(build("ciwae", data[0], b=1.0, samples=6), data[1])[1]["vae"].total
    torch.testing.assert_close(many, mean, **EXACT)
    middle = judge(build("miwae", data[0], groups=2, samples=3), data[1])[1]["vae"].total
    assert one < middle < many


@pytest.mark.parametrize("b", [0.0, 0.3, 1.0])
def test_ciwae_lies_between_the_elbo_and_the_bound(b, data, judge, gradients):
    system = build("ciwae", data[0], b=b, samples=5)
    w = log_weights(system.model, data[1]["x"], 5)
    loss = -(b * w.mean(0) + (1 - b) * w.exp().mean(0).log()).mean()
    torch.testing.assert_close(judge(system, data[1])[1]["vae"].total, loss, **EXACT)
    same(gradients(system, data[1]), by_hand(loss, system.model))


def test_piwae_gives_the_encoder_miwae_and_the_generator_iwae(data, judge, gradients):
    system = build("piwae", data[0], groups=2, samples=3)
    said = judge(system, data[1])[1]
    w = log_weights(system.model, data[1]["x"], 6)
    iwae = -(w.exp().mean(0).log()).mean()
    miwae = -0.5 * (w[:3].exp().mean(0).log() + w[3:].exp().mean(0).log()).mean()
    torch.testing.assert_close(said["generator"].total, iwae, **EXACT)
    torch.testing.assert_close(said["encoder"].total, miwae, **EXACT)
    ours = gradients(system, data[1])
    same(ours, by_hand(iwae, system.model), "likelihood")
    same(ours, by_hand(miwae, system.model), "posteriors")
    # neither is the other's gradient
    wrong = by_hand(iwae, system.model)
    assert any(not torch.allclose(ours[key], wrong[key]) for key in ours if key.startswith("posteriors"))


def test_dreg_is_the_doubly_reparameterised_gradient(data, judge, gradients):
    system = build("iwae", data[0], samples=5, gradient="dreg")
    model, x = system.model, data[1]["x"]
    plain = judge(build("iwae", data[0], samples=5), data[1])[1]["vae"].total
    said = judge(system, data[1])[1]
    torch.testing.assert_close(said["encoder"].total, plain, **EXACT)
    torch.testing.assert_close(said["generator"].total, plain, **EXACT)

    mean, log_std = model.posteriors[0].network(x).chunk(2, -1)
    torch.manual_seed(5)
    z = mean + log_std.exp() * torch.randn(5, *mean.shape)
    free = z.detach().requires_grad_()
    w = log_joint(model, x, free) - log_posterior(free, mean.detach(), log_std.detach())
    (slope,) = torch.autograd.grad(w.sum(), free)  # d log w_k / d z_k, every k on its own
    squares = (w.exp() / w.exp().sum(0)).square().detach().unsqueeze(-1)
    surrogate = -(squares * slope * z).sum((0, 2)).mean()
    ours = gradients(system, data[1])
    same(ours, by_hand(surrogate, model), "posteriors")
    # the generator follows the plain bound
    same(ours, gradients(build("iwae", data[0], samples=5), data[1]), "likelihood")


def test_dreg_with_one_draw_is_stl_and_stl_differs_from_plain(data, gradients):
    found = {
        name: gradients(build("iwae", data[0], samples=1, gradient=name), data[1])
        for name in ("plain", "stl", "dreg")
    }
    same(found["dreg"], found["stl"], "posteriors")
    same(found["dreg"], found["stl"], "likelihood")
    same(found["stl"], found["plain"], "likelihood")
    keys = [key for key in found["stl"] if key.startswith("posteriors")]
    assert any(not torch.allclose(found["stl"][key], found["plain"][key]) for key in keys)


@pytest.mark.parametrize("recipe", ["iwae", "miwae", "ciwae", "piwae"])
@pytest.mark.parametrize("gradient", ["stl", "dreg"])
def test_estimators_leave_the_generator_and_the_value_alone(recipe, gradient, data, judge, gradients):
    plain, other = (build(recipe, data[0], samples=3, gradient=name) for name in ("plain", gradient))
    ours, theirs = gradients(other, data[1]), gradients(plain, data[1])
    same(ours, theirs, "likelihood")
    keys = [key for key in ours if key.startswith("posteriors")]
    assert any(not torch.allclose(ours[key], theirs[key]) for key in keys)
    values = [[j.total for j in judge(system, data[1])[1].values()] for system in (plain, other)]
    torch.testing.assert_close(values[0][0], values[1][0], **EXACT)


def test_estimators_agree_on_average(data, gradients):
    """All three are estimates of one gradient; STL and DReG are unbiased at K = 1."""
    batch = {"x": data[1]["x"][:2].repeat(2000, 1, 1, 1)}
    found = [
        gradients(build("iwae", data[0], samples=1, gradient=g), batch, seed=s)
        for s, g in enumerate(("plain", "stl"))
    ]
    bias = "posteriors.0.network.output_layer.bias"
    torch.testing.assert_close(found[0][bias], found[1][bias], atol=0.08, rtol=0)
    assert found[0][bias].abs().max() > 0.4


def test_two_layers_have_the_networks_of_the_paper_and_the_chain_bound(data, judge):
    model = recipes.iwae(data[0], layers=2).model
    widths = [
        [layer.out_features for layer in net.hidden] + [net.output_layer.out_features]
        for net in (
            model.posteriors[0].network,
            model.posteriors[1].network,
            model.priors[0].network,
            model.likelihood.network,
        )
    ]
    assert widths == [[200, 200, 200], [100, 100, 100], [100, 100, 200], [200, 200, 16]]
    assert model.likelihood.network.activation == model.posteriors[1].network.activation == "tanh"
    assert not model.priors[0].network.hidden[0].bias.any()  # Glorot: biases start at zero

    system = build("iwae", data[0], layers=2, samples=4)
    model, x = system.model, data[1]["x"]
    said = judge(system, data[1])[1]["vae"].total
    torch.manual_seed(5)
    m1, s1 = model.posteriors[0].network(x).chunk(2, -1)
    z1 = m1 + s1.exp() * torch.randn(4, *m1.shape)
    m2, s2 = model.posteriors[1].network(z1).chunk(2, -1)
    z2 = m2 + s2.exp() * torch.randn(*m2.shape)
    pm, ps = model.priors[0].network(z2).chunk(2, -1)
    p = model.likelihood.network(z1).sigmoid()
    w = (x * p.log() + (1 - x) * (1 - p).log()).flatten(-3).sum(-1)
    w = w + log_posterior(z1, pm, ps) + log_posterior(z2, torch.zeros(3), torch.zeros(3))
    w = w - log_posterior(z1, m1, s1) - log_posterior(z2, m2, s2)
    torch.testing.assert_close(said, -(w.exp().mean(0).log()).mean(), **EXACT)
    for gradient in ("stl", "dreg"):
        with pytest.raises(UnsupportedError, match="two layers"):
            recipes.iwae(data[0], layers=2, gradient=gradient)


def test_two_layers_take_a_condition(spec, batch_of, judge):
    here = spec(context=True)
    system = build("iwae", here, layers=2, samples=2)
    batch = batch_of(here)
    before = judge(system, batch)[1]["vae"].total
    assert judge(system, batch | {"c": batch["c"] + 1})[1]["vae"].total != before
    assert system.model.generate(12, batch["c"]).mean.shape == batch["x"].shape


def test_stages_are_those_of_the_paper(spec):
    system = recipes.iwae(spec(size=59_600), stages=8, **NET)
    (player,) = system.procedure.players
    assert system.epochs == 3280
    assert player.pace is not None
    # 2,980 steps an epoch; stages end after 1, 4, 13, ..., 1093 epochs
    steps = torch.tensor([0.0, 1.0 - 1e-9, 1.0, 4.0, 13.0 - 1e-9, 13.0, 1093.0 - 1e-9, 1093.0, 3279.0]) * 2980
    expected = [10 ** (-i / 7) for i in (0, 0, 1, 2, 2, 3, 6, 7, 7)]
    torch.testing.assert_close(player.pace.at(steps), torch.tensor(expected))


def test_stages_slow_both_players_of_dreg(spec, batch_of):
    here = spec(size=20)
    system = recipes.iwae(here, samples=2, stages=3, gradient="dreg", **NET)
    for _ in range(2):
        system.procedure.step([batch_of(here)])
    rates = [player.optimizer.param_groups[0]["lr"] for player in system.procedure.players]
    assert rates == pytest.approx([1e-3 * 10 ** (-1 / 7)] * 2)


@pytest.mark.parametrize("recipe", ["iwae", "miwae", "ciwae", "piwae"])
def test_optimiser_and_networks_of_burda(recipe, data):
    system = getattr(recipes, recipe)(data[0], samples=2)
    for player in system.procedure.players:
        group = player.optimizer.param_groups[0]
        assert (group["lr"], group["betas"], group["eps"]) == (1e-3, (0.9, 0.999), 1e-4)
    assert system.batch_size == 20
    network = system.model.posteriors[0].network
    assert [layer.out_features for layer in network.hidden] == [200, 200]
    assert network.activation == "tanh"
    expected = {"iwae": 2, "ciwae": 2, "miwae": 16, "piwae": 16}[recipe]
    assert system.procedure.samples == expected
