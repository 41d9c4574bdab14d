"""VAE/GAN: its routing table, the sign of the decoder's game, its limits, and the margins of equilibrium."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from vaekit import recipes, wiring
from vaekit.errors import UnsupportedError
from vaekit.metrics import elbo, nll
from vaekit.procedures import Manner
from vaekit.terms import Distortion
from vaekit.terms.features import FeatureError, Judgement

EXACT = {"rtol": 1e-11, "atol": 1e-12}


@pytest.fixture
def data(spec, batch_of):
    here = spec("unit")
    return here, batch_of(here)


def build(spec, seed=11, **arguments):
    torch.manual_seed(seed)
    return recipes.vae_gan(spec, **{"latents": 3, "hidden": (8, 7), "gamma": 0.25, "layer": 2, **arguments})


def parts(system):
    """Modules of the three players by name."""
    return {player.name: player.parameters for player in system.procedure.players}


def objectives(system):
    return {player.name: player.objective for player in system.procedure.players}


def critic_of(system):
    return objectives(system)["discriminator"].terms["real"][1].critic


def by_hand(system, x, seed=5):
    """All quantities of the paper, from the networks alone, without `detach` anywhere."""
    model, critic = system.model, critic_of(system)
    mean, log_std = model.posteriors[0].network(x).chunk(2, -1)
    torch.manual_seed(seed)
    z = mean + log_std.exp() * torch.randn(*mean.shape)
    made = model.likelihood.network(z).sigmoid(), model.likelihood.network(torch.randn(*z.shape)).sigmoid()
    l1, l2, l3 = critic.layers

    def judge(image):
        hidden = functional.leaky_relu(l1(image), 0.2)
        features = l2[1](hidden)
        return features, torch.sigmoid(l3[1](functional.leaky_relu(features, 0.2))).squeeze(-1)

    (f, d), (ft, dt), (_, dp) = judge(x), judge(made[0]), judge(made[1])
    return {
        "prior": 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1).mean(),
        "features": 0.5 * ((f - ft) ** 2).sum(-1).mean(),
        "x": d.log().mean(),
        "xt": (1 - dt).log().mean(),
        "xp": (1 - dp).log().mean(),
        "deceive": -(dt.log().mean() + dp.log().mean()),
    }


def gradient(loss, parameters):
    return torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)


def same(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, torch.zeros_like(mine) if other is None else other, **EXACT)


def from_the_step(system, batch, seed=5):
    """Every player's gradient of one step: with plain descent at rate 1 a parameter moves by its gradient."""
    for player in system.procedure.players:
        player.optimizer = torch.optim.SGD(player.parameters, lr=1.0)
    before = {name: [p.detach().clone() for p in own] for name, own in parts(system).items()}
    torch.manual_seed(seed)
    said = system.procedure.step([batch])
    moved = {
        name: [a - b.detach() for a, b in zip(before[name], own, strict=True)]
        for name, own in parts(system).items()
    }
    return said, moved


@pytest.mark.parametrize("loss", ["saturating", "non_saturating"])
def test_one_step_is_the_papers_update(loss, data):
    """Enc: L_prior + L_feat. Dec: gamma L_feat + V. Dis: -V. Everything else would show here."""
    system = build(data[0], loss=loss)
    h = by_hand(system, data[1]["x"])
    own = parts(system)
    game = h["xt"] + h["xp"] if loss == "saturating" else h["deceive"]
    expected = {
        "encoder": gradient(h["prior"] + h["features"], own["encoder"]),
        "decoder": gradient(0.25 * h["features"] + game, own["decoder"]),
        "discriminator": gradient(-(h["x"] + h["xt"] + h["xp"]), own["discriminator"]),
    }
    said, moved = from_the_step(system, data[1])
    for name, theirs in expected.items():
        same(moved[name], theirs)
    torch.testing.assert_close(said["encoder/loss"], (h["prior"] + h["features"]).detach(), **EXACT)
    torch.testing.assert_close(said["decoder/loss"], (0.25 * h["features"] + game).detach(), **EXACT)
    torch.testing.assert_close(said["discriminator/loss"], -(h["x"] + h["xt"] + h["xp"]).detach(), **EXACT)


def test_the_decoder_works_against_the_discriminator(data):
    """A library that lets the discriminator's gradient reach the decoder has the other sign here."""
    system = build(data[0], gamma=0.0)
    x, own = data[1]["x"], parts(system)["decoder"]
    h = by_hand(system, x)
    value = gradient(h["x"] + h["xt"] + h["xp"], own)  # V, which the discriminator makes large
    helping = torch.cat([g.flatten() for g in gradient(-(h["x"] + h["xt"] + h["xp"]), own)])
    _, moved = from_the_step(system, data[1])
    same(moved["decoder"], value)
    ours = torch.cat([m.flatten() for m in moved["decoder"]])
    assert ours @ helping < 0
    system = build(data[0], gamma=0.0, learning_rate=1e-3)
    before = by_hand(system, x)
    for player in system.procedure.players:
        if player.name != "decoder":
            player.optimizer = torch.optim.SGD(player.parameters, lr=0.0)
    system.procedure.step([data[1]])
    after = by_hand(system, x)
    assert after["xt"] + after["xp"] < before["xt"] + before["xp"]  # D believes more of what it made


ROUTING = {
    ("prior", "encoder"): True, ("prior", "decoder"): False, ("prior", "discriminator"): False,
    ("features", "encoder"): True, ("features", "decoder"): True, ("features", "discriminator"): False,
    ("xt", "encoder"): False, ("xt", "decoder"): True, ("xt", "discriminator"): True,
    ("xp", "encoder"): False, ("xp", "decoder"): True, ("xp", "discriminator"): True,
    ("x", "encoder"): False, ("x", "decoder"): False, ("x", "discriminator"): True,
}  # fmt: skip
"""(loss, player) -> whether it moves him: the table of the paper."""


@pytest.mark.parametrize(("loss", "player"), ROUTING)
def test_routing_table(loss, player, data):
    """Without one loss of the step, a player's gradient changes, or does not change by one bit."""
    term = {
        "prior": ["rate"], "features": ["features"], "xt": ["rebuilt"], "xp": ["drawn"], "x": ["real"],
    }[loss]  # fmt: skip

    def moves(without):
        system = build(data[0])
        for objective in objectives(system).values():
            for name in without:
                if name in objective.terms:
                    weight, found = objective.terms[name]
                    objective.terms[name] = (0.0 * weight, found)
        return from_the_step(system, data[1])[1][player]

    changed = [not torch.equal(a, b) for a, b in zip(moves([]), moves(term), strict=True)]
    assert any(changed) == ROUTING[loss, player]
    if ROUTING[loss, player]:
        system = build(data[0])
        h = by_hand(system, data[1]["x"])
        assert any(g is not None and bool(g.any()) for g in gradient(h[loss], parts(system)[player]))


def test_only_drawn_imitations(data):
    system = build(data[0], imitations="drawn")
    h = by_hand(system, data[1]["x"])
    own = parts(system)
    expected = {
        "decoder": gradient(0.25 * h["features"] + h["xp"], own["decoder"]),
        "discriminator": gradient(-(h["x"] + h["xp"]), own["discriminator"]),
    }
    _, moved = from_the_step(system, data[1])
    for name, theirs in expected.items():
        same(moved[name], theirs)


def test_without_gamma_and_reconstructions_it_is_a_plain_gan(data):
    system = build(data[0], gamma=0.0, imitations="drawn")
    model, critic, x = system.model, critic_of(system), data[1]["x"]
    torch.manual_seed(5)
    torch.randn(12, 3)  # the encoder's draw
    logits = critic(model.likelihood.network(torch.randn(12, 3)).sigmoid()).logits
    generator = torch.log(1 - torch.sigmoid(logits)).mean()
    discriminator = -torch.log(torch.sigmoid(critic(x).logits)).mean() - generator
    own = parts(system)
    expected = gradient(generator, own["decoder"]), gradient(discriminator, own["discriminator"])
    _, moved = from_the_step(system, data[1])
    same(moved["decoder"], expected[0])
    same(moved["discriminator"], expected[1])


def test_with_the_data_as_features_it_is_the_vae_of_unit_variance(data, judge, gradients):
    system = build(data[0], layer=0)
    plain = recipes.vae(data[0], latents=3, hidden=(8, 7), likelihood="gaussian_fixed")
    with torch.no_grad():
        for ours, theirs in zip(system.model.parameters(), plain.model.parameters(), strict=True):
            theirs.copy_(ours)

    class Squashed(torch.nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, z):
            return self.network(z).sigmoid()

    plain.model.likelihood.network = Squashed(plain.model.likelihood.network)
    said, expected = judge(system, data[1])[1]["encoder"], judge(plain, data[1])[1]["vae"]
    constant = 16 / 2 * math.log(2 * math.pi)
    torch.testing.assert_close(said.values["features"] + constant, expected.values["distortion"], **EXACT)
    torch.testing.assert_close(said.total + constant, expected.total, **EXACT)
    ours, theirs = gradients(system, data[1]), gradients(plain, data[1])
    for key, value in ours.items():
        if key.startswith("posteriors"):
            torch.testing.assert_close(value, theirs[key], **EXACT)


def test_an_undecided_discriminator_costs_ln_two(data, judge):
    system = build(data[0])
    with torch.no_grad():
        for parameter in critic_of(system).layers[-1].parameters():
            parameter.zero_()
    values = judge(system, data[1])[1]["discriminator"].values
    for name in ("real", "rebuilt", "drawn"):
        torch.testing.assert_close(values[name], torch.tensor(math.log(2)), **EXACT)


def test_a_sure_discriminator_costs_no_overflow(data, judge):
    system = build(data[0])
    with torch.no_grad():
        critic_of(system).layers[-1][1].bias.fill_(1e4)
    said = judge(system, data[1])[1]
    assert said["discriminator"].values["real"] == 0
    assert said["discriminator"].values["drawn"] == pytest.approx(1e4, rel=1e-3)
    assert said["decoder"].total.isfinite()


def test_one_pass_of_every_network_a_step(data):
    system = build(data[0])
    seen = []
    critic_of(system).register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    system.model.likelihood.network.register_forward_hook(lambda *_: seen.append("decoder"))
    system.model.posteriors[0].register_forward_hook(lambda *_: seen.append("encoder"))
    system.procedure.step([data[1]])
    assert seen == ["encoder", "decoder", "decoder", 36]


def test_normalisation_is_over_real_and_made_together(spec):
    """The discriminator of the paper on x, xt and x_p laid end to end, by the formula of normalisation."""
    here = spec("unit", shape=(1, 32, 32))
    torch.manual_seed(3)
    system = recipes.vae_gan(here, latents=2)
    critic, x = critic_of(system), torch.rand(2, 1, 32, 32)
    assert critic.layer == 4
    trace = system.procedure.trace({"x": x}, Manner())
    look = objectives(system)["encoder"].terms["features"][1].look
    seen = look(trace)
    h = torch.cat([x, trace.observed["x"].p.mean, trace.branches["prior"].observed["x"].p.mean])
    h = critic.layers[0](h)
    for layer in critic.layers[1:]:
        for part in layer:
            if hasattr(part, "running"):
                axes = [0] if h.dim() == 2 else [0, 2, 3]
                mean = h.mean(axes, keepdim=True)
                variance = ((h - mean) ** 2).mean(axes, keepdim=True)
                shape = [1, -1] + [1] * (h.dim() - 2)
                h = (h - mean) / (variance + part.eps).sqrt()
                h = h * part.weight.reshape(shape) + part.bias.reshape(shape)
            else:
                h = part(h)
    torch.testing.assert_close(torch.cat([s.logits for s in seen.values()]), h, rtol=1e-9, atol=1e-9)
    assert system.procedure.couples_batch
    apart = critic(x).logits
    assert not torch.allclose(apart, seen["data"].logits)


def test_what_the_networks_make_of_the_defaults(spec):
    """Features of the last convolution, or of the first layer; a weight that suits their number."""
    shapes = [((1, 4, 4), "auto", 1, 1.0), ((1, 28, 28), "conv", 2, 1.0), ((3, 64, 64), "auto", 4, 5e-5)]
    for shape, architecture, layer, gamma in shapes:
        with torch.device("meta"):
            system = recipes.vae_gan(spec("unit", shape=shape), latents=3, architecture=architecture)
        assert critic_of(system).layer == layer
        assert objectives(system)["decoder"].terms["features"][0] == gamma
    assert critic_of(recipes.vae_gan(spec("unit"), hidden=())).layer == 0


def test_fully_connected_games_do_not_couple_the_batch(data):
    assert not build(data[0]).procedure.couples_batch


# -- margins of equilibrium ------------------------------------------------------------------------

EQ, MARGIN, STEP = 0.68, 0.35, 1e-3
LOW, HIGH = EQ - MARGIN, EQ + MARGIN


@pytest.mark.parametrize(
    ("real", "fake", "discriminator", "decoder"),
    [
        (EQ, EQ, True, True),
        (LOW + STEP, EQ, True, True), (LOW - STEP, EQ, False, True),
        (EQ, LOW + STEP, True, True), (EQ, LOW - STEP, False, True),
        (HIGH - STEP, EQ, True, True), (HIGH + STEP, EQ, True, False),
        (EQ, HIGH - STEP, True, True), (EQ, HIGH + STEP, True, False),
        (LOW - STEP, LOW - STEP, False, True), (HIGH + STEP, HIGH + STEP, True, False),
        (LOW - STEP, HIGH + STEP, True, True), (HIGH + STEP, LOW - STEP, True, True),
    ],
)  # fmt: skip
def test_truth_table_of_the_margins(real, fake, discriminator, decoder):
    first, second = wiring.balance("d", ("rebuilt", "drawn"), EQ, MARGIN)
    # the mean of both imitations counts
    values = {"d/real": real, "d/rebuilt": fake - 0.1, "d/drawn": fake + 0.1}
    values = {name: torch.tensor(value) for name, value in values.items()}
    assert first(values).item() is discriminator
    assert second(values).item() is decoder


def test_no_margin_is_no_guard(data):
    assert wiring.balance("d", ("drawn",), EQ, None) == (None, None)
    assert all(player.guard is None for player in build(data[0]).procedure.players)


@pytest.mark.parametrize("bias", [0.0, 9.0, -9.0])
def test_a_discriminator_that_says_one_thing_of_all_is_ahead_and_behind_at_once(bias, data):
    system = build(data[0], margin=0.35)
    with torch.no_grad():
        critic_of(system).layers[-1][1].bias.fill_(bias)
    assert resting(system, data[1]) == set()


def test_a_discriminator_that_is_ahead_rests_and_one_that_is_behind_plays_alone(data):
    for sign, expected in ((1.0, {"discriminator"}), (-1.0, {"decoder"})):
        system = build(data[0], margin=0.35)
        with torch.no_grad():  # the mean pixel of data is 0.5 here, that of a decoder with this bias 0.02
            system.model.likelihood.network.output_layer.bias.fill_(-4.0)
            l1, l2, l3 = critic_of(system).layers
            for layer in (l1[1], l2[1], l3[1]):
                layer.weight.zero_()
                layer.bias.zero_()
            l1[1].weight[0], l2[1].weight[0, 0], l3[1].weight[0, 0] = 1 / 16, 1.0, 20.0 * sign
            l3[1].bias.fill_(-5.0 * sign)
        assert resting(system, data[1]) == expected


def resting(system, batch):
    before = {name: [p.detach().clone() for p in own] for name, own in parts(system).items()}
    system.procedure.step([batch])
    return {
        name
        for name, own in parts(system).items()
        if all(torch.equal(a, b) for a, b in zip(before[name], own, strict=True))
    }


def test_a_guard_judges_the_whole_step(data):
    """The mean costs of all accumulated pieces, not those of the last one."""
    system = build(data[0], margin=0.35)
    heard = []
    for player in system.procedure.players[1:]:
        player.guard = lambda values: heard.append(dict(values)) or torch.tensor(True)
    uneven = [{"x": data[1]["x"][:7]}, {"x": data[1]["x"][7:]}]
    said = system.procedure.step(uneven)
    assert len(heard) == 2
    for values in heard:
        assert values == said


# -- what a point decoder has not ------------------------------------------------------------------------


def test_densities_are_refused_and_pictures_are_made(data, judge):
    system = build(data[0])
    model = system.model.eval()
    trace, _ = judge(system, data[1])
    with pytest.raises(UnsupportedError, match="a point mass has no density"):
        Distortion()(trace)
    from vaekit.data import load

    splits = load("digits")
    wide = recipes.vae_gan(splits.spec, latents=2, hidden=(8,)).model
    for measure in (elbo, nll):
        with pytest.raises(UnsupportedError, match="a point mass has no density"):
            measure(wide, splits.test, limit=20)
    rebuilt = model.decode(model.encode(data[1])).mean
    assert rebuilt.shape == data[1]["x"].shape
    assert bool(((rebuilt >= 0) & (rebuilt <= 1)).all())
    assert model.generate(5).sample().shape == (5, 1, 4, 4)


def test_real_data_are_not_squashed(spec, batch_of):
    here = spec("real")
    system = build(here)
    with torch.no_grad():
        system.model.likelihood.network.output_layer.bias.fill_(7.0)
    assert system.model.generate(3).mean.min() > 1


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"gamma": -1.0}, ValueError, "`gamma` is -1.0; expected a finite number at least 0"),
        ({"layer": 3}, ValueError, r"`layer` is 3; this critic has the layers 0 \(the data\) to 2"),
        ({"loss": "wasserstein"}, ValueError, "`loss` is 'wasserstein'; expected one of saturating, non_sat"),
        ({"imitations": "none"}, ValueError, "`imitations` is 'none'; expected one of both, drawn"),
        ({"margin": -0.1}, ValueError, "`margin` is -0.1; expected a finite number at least 0"),
        ({"latents": 0}, ValueError, "`latents` is 0"),
        ({"learning_rate": 0.0}, ValueError, "`learning_rate` is 0.0"),
        ({"architecture": "resnet"}, ValueError, "`architecture` is 'resnet'; expected one of auto, mlp"),
        ({"architecture": "conv", "hidden": None}, ValueError, "'conv', which takes images of 28, 32 or 64"),
    ],
)  # fmt: skip
def test_refusals(arguments, kind, message, data):
    with pytest.raises(kind, match=message):
        build(data[0], **arguments)


def test_data_that_do_not_fit_are_refused(spec):
    with pytest.raises(UnsupportedError, match="'toy' is count, and a discriminator tells its whole values"):
        build(spec("count"))
    with pytest.raises(UnsupportedError, match=r"condition \(3,\), which vae_gan has no place for"):
        build(spec("unit", context=True))
    with pytest.raises(UnsupportedError, match="fixed layers: leave it out"):
        build(spec("unit", shape=(1, 64, 64)))
    with pytest.raises(UnsupportedError, match="fixed layers: leave it out"):
        build(spec("unit", shape=(1, 28, 28)), architecture="conv")
    assert type(build(spec("unit", shape=(1, 28, 28))).model.likelihood.network).__name__ == "MLP"


def test_terms_refuse_names_they_do_not_know_and_several_reconstructions(data):
    system = build(data[0])
    look = objectives(system)["encoder"].terms["features"][1].look
    with pytest.raises(ValueError, match="`of` is 'made'; expected one of data, rebuilt, drawn"):
        Judgement(look, "made", "real")
    with pytest.raises(ValueError, match="`verdict` is 'true'; expected one of real, fake"):
        Judgement(look, "data", "true")
    with pytest.raises(UnsupportedError, match=r"one reconstruction of every datum.*'sample', 'batch'"):
        FeatureError(look)(system.model(data[1], 3))


@pytest.mark.parametrize("loss", ["saturating", "non_saturating"])
def test_it_learns_where_the_mass_is(loss, spec):
    """A few steps of the game bring the mean picture towards the data's."""
    torch.manual_seed(0)
    here = spec("unit", shape=(1, 6, 6))
    system = recipes.vae_gan(here, latents=2, hidden=(32,), loss=loss, gamma=0.1, learning_rate=1e-3)
    x = torch.zeros(32, 1, 6, 6)
    x[:, :, 2:-2, 2:-2] = 0.9
    gap = []
    for _ in range(60):
        gap.append(float((system.model.generate(32).mean.mean(0) - x[0]).abs().mean()))
        system.procedure.step([{"x": x}])
    assert gap[-1] < 0.7 * gap[0]
