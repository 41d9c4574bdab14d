"""CVAE-GAN: its routing table, the update by hand, its limits, and class centres that move."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from vaekit import recipes
from vaekit.errors import UnsupportedError
from vaekit.terms.features import CentreMatching, Look, MeanMatching

EXACT = {"rtol": 1e-11, "atol": 1e-12}
WEIGHTS = {"rate": 0.7, "reconstruction": 1.3, "means": 0.11, "centres": 0.23}


@pytest.fixture
def data(spec, batch_of):
    here = spec("unit", context=True, classes=3)
    batch = batch_of(here)
    batch["y"][:3] = torch.arange(3)  # every class is there
    return here, batch | {"c": functional.one_hot(batch["y"], 3).to(torch.float64)}


def build(spec, seed=11, **arguments):
    torch.manual_seed(seed)
    return recipes.cvae_gan(spec, **{"latents": 3, "hidden": (8, 7), "momentum": 0.0, **WEIGHTS, **arguments})


def objectives(system):
    return {player.name: player.objective for player in system.procedure.players}


def parts(system):
    return {player.name: player.parameters for player in system.procedure.players}


def critics(system):
    found = objectives(system)
    return found["discriminator"].terms["real"][1].critic, found["classifier"].terms["labels"][1].critic


def by_hand(system, batch, seed=5):
    """The losses of the paper from the networks alone, centres taken over the batch."""
    x, c, y, model = batch["x"], batch["c"], batch["y"], system.model
    mean, log_std = model.posteriors[0].network(x, c).chunk(2, -1)
    torch.manual_seed(seed)
    z = mean + log_std.exp() * torch.randn(*mean.shape)
    made = [
        model.likelihood.network(z, c).sigmoid(),
        model.likelihood.network(torch.randn(*z.shape), c).sigmoid(),
    ]

    def judge(critic, image):
        l1, l2, l3 = critic.layers
        features = l2[1](functional.leaky_relu(l1(image), 0.2))
        return features, l3[1](functional.leaky_relu(features, 0.2))

    d, k = critics(system)
    (fd, dx), (fdf, df), (fdp, dp) = (judge(d, image) for image in (x, *made))
    (fk, kx), (fkf, _), (fkp, _) = (judge(k, image) for image in (x, *made))

    def squares(a, b):
        return 0.5 * ((a - b) ** 2).flatten(1).sum(-1).mean()

    centres = sum(0.5 * ((fk[y == i].mean(0) - fkp[y == i].mean(0)) ** 2).sum() for i in range(3))
    return {
        "KL": 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1).mean(),
        "G": squares(x, made[0]) + squares(fd, fdf) + squares(fk, fkf),
        "GD": 0.5 * ((fd.mean(0) - fdp.mean(0)) ** 2).sum(),
        "GC": centres,
        "D": -(dx.sigmoid().log() + (1 - df.sigmoid()).log() + (1 - dp.sigmoid()).log()).mean(),
        "C": -torch.log_softmax(kx, -1)[torch.arange(len(y)), y].mean(),
    }


def moved_by_a_step(system, batch, seed=5):
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


def test_one_step_is_the_papers_update(data):
    system = build(data[0])
    h, own = by_hand(system, data[1]), parts(system)
    w = WEIGHTS
    losses = {
        "encoder": w["rate"] * h["KL"] + w["reconstruction"] * h["G"],
        "generator": w["reconstruction"] * h["G"] + w["means"] * h["GD"] + w["centres"] * h["GC"],
        "discriminator": h["D"],
        "classifier": h["C"],
    }
    expected = {
        name: torch.autograd.grad(loss, own[name], retain_graph=True) for name, loss in losses.items()
    }
    values = {name: loss.detach() for name, loss in losses.items()}
    said, moved = moved_by_a_step(system, data[1])
    for name, theirs in expected.items():
        torch.testing.assert_close(said[f"{name}/loss"], values[name], **EXACT)
        for ours, other in zip(moved[name], theirs, strict=True):
            torch.testing.assert_close(ours, other, **EXACT)


TERMS = {
    "KL": ["rate"], "G": ["pixels", "critic_features", "class_features"], "GD": ["means"], "GC": ["centres"],
    "D": ["real", "rebuilt", "drawn"], "C": ["labels"],
}  # fmt: skip
MOVED = {
    "KL": {"encoder"}, "G": {"encoder", "generator"}, "GD": {"generator"}, "GC": {"generator"},
    "D": {"discriminator"}, "C": {"classifier"},
}  # fmt: skip
"""Loss -> whom it moves: the table of the paper."""


@pytest.mark.parametrize("loss", MOVED)
def test_routing_table(loss, data):
    """Without one loss a player's step changes, or it does not change by one bit."""

    def step(without):
        system = build(data[0])
        for objective in objectives(system).values():
            for name in without:
                if name in objective.terms:
                    objective.terms[name] = (0.0, objective.terms[name][1])
        return moved_by_a_step(system, data[1])[1]

    whole, cut = step([]), step(TERMS[loss])
    changed = {
        name
        for name, values in whole.items()
        if any(not torch.equal(a, b) for a, b in zip(values, cut[name], strict=True))
    }
    assert changed == MOVED[loss]


def test_alone_with_the_pixels_it_is_the_conditional_vae(data, judge):
    system = build(data[0], rate=1.0, reconstruction=1.0, means=0.0, centres=0.0)
    plain = recipes.cvae(data[0], latents=3, hidden=(8, 7), prior="standard", likelihood="gaussian_fixed")
    with torch.no_grad():
        for ours, theirs in zip(system.model.parameters(), plain.model.parameters(), strict=True):
            theirs.copy_(ours)
    network = plain.model.likelihood.network

    class Squashed(torch.nn.Module):
        def forward(self, *inputs):
            return network(*inputs).sigmoid()

    plain.model.likelihood.network = Squashed()
    encoder = judge(system, data[1])[1]["encoder"].values
    expected = judge(plain, data[1])[1]["cvae"]
    constant = 16 / 2 * math.log(2 * math.pi)
    torch.testing.assert_close(encoder["rate"] + 0.5 * encoder["pixels"] + constant, expected.total, **EXACT)


class Fixed(torch.nn.Module):
    """A critic whose features are the data."""

    def forward(self, x):
        return x.flatten(1), x.flatten(1)


def matched(term, x, drawn, y=None):
    """A term on data and draws that are given."""

    class Given:
        shared: dict

    trace = Given()
    trace.shared = {}
    trace.batch = {"x": x, "y": y}
    trace.axes = ("batch",)
    trace.observed = {"x": type("O", (), {"p": type("P", (), {"mean": x})})}
    branch = Given()
    branch.observed = {"x": type("O", (), {"p": type("P", (), {"mean": drawn})})}
    trace.branches = {"prior": branch}
    return term(trace)


def test_equal_means_of_unlike_distributions_cost_nothing():
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    drawn = torch.tensor([[0.0, 5.0], [0.0, -5.0]])
    assert matched(MeanMatching(Look(Fixed())), x, drawn) == 0
    shifted = matched(MeanMatching(Look(Fixed())), x, drawn + torch.tensor([3.0, 4.0]))
    assert shifted.item() == pytest.approx(0.5 * 25)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
def test_centres_of_constant_features_are_exact_from_the_first_batch(momentum):
    term = CentreMatching(Look(Fixed()), 3, 2, momentum)
    means = torch.tensor([[1.0, 2.0], [-3.0, 0.5], [7.0, 7.0]])
    offset = torch.tensor([0.5, -1.0])
    y = torch.tensor([0, 1, 1, 0])
    for _ in range(3):
        loss = matched(term, means[y], means[y] + offset, y)
        # two classes of three are there
        assert loss.item() == pytest.approx(2 * 0.5 * 1.25)
        term.after_step()
    torch.testing.assert_close(term.centres[0, :2], means[:2])
    torch.testing.assert_close(term.centres[1, :2], means[:2] + offset)
    assert not term.centres[:, 2].any()


def test_centres_are_averages_weighted_by_age():
    m = 0.8
    term = CentreMatching(Look(Fixed()), 2, 1, m)
    seen = [torch.randn(3, 1) for _ in range(4)]
    y = torch.zeros(3, dtype=torch.long)
    for x in seen:
        matched(term, x, 2 * x, y)
        matched(term, x, 2 * x, y)  # looking twice does not count twice
        term.after_step()
    weights = torch.tensor([m**3, m**2, m, 1.0])
    expected = (weights * torch.stack([x.mean() for x in seen])).sum() / weights.sum()
    torch.testing.assert_close(term.centres[:, 0, 0], torch.stack([expected, 2 * expected]))
    kept = term.centres.clone()
    term.after_step()  # nothing was seen since
    assert torch.equal(term.centres, kept)


def test_the_newest_mean_of_the_draws_has_the_gradient():
    m = 0.6
    term = CentreMatching(Look(Fixed()), 2, 1, m)
    y = torch.tensor([0, 0, 1])
    first = torch.tensor([[1.0], [3.0], [9.0]])
    matched(term, first, first - 1, y)
    term.after_step()
    x = torch.tensor([[2.0], [2.0], [4.0]])
    drawn = torch.tensor([[5.0], [6.0], [1.0]], requires_grad=True)
    matched(term, x.requires_grad_(), drawn, y).backward()
    share = (1 - m) / (1 - m**2)
    assert not x.grad.any()
    data_centre = (1 - share) * torch.tensor([2.0, 9.0]) + share * torch.tensor([2.0, 4.0])
    draw_centre = (1 - share) * torch.tensor([1.0, 8.0]) + share * torch.tensor([5.5, 1.0])
    difference = draw_centre - data_centre
    expected = share * torch.stack([difference[0] / 2, difference[0] / 2, difference[1]])
    torch.testing.assert_close(drawn.grad.squeeze(), expected)


def test_a_class_is_given_to_encoder_and_generator(data):
    system = build(data[0])
    model, batch = system.model.eval(), data[1]
    other = batch | {"c": batch["c"].roll(1, 1)}
    assert not torch.equal(model.encode(batch)["z"], model.encode(other)["z"])
    codes = model.encode(batch)
    assert not torch.equal(model.decode(codes, batch["c"]).mean, model.decode(codes, other["c"]).mean)
    assert model.generate(12, other["c"]).sample().shape == (12, 1, 4, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": -1.0}, "`rate` is -1.0; expected a finite number at least 0"),
        ({"reconstruction": math.nan}, "`reconstruction` is nan"),
        ({"means": -0.1}, "`means` is -0.1"),
        ({"centres": -0.1}, "`centres` is -0.1"),
        ({"momentum": 1.0}, "`momentum` is 1.0; expected a number of at least 0 and below 1"),
        ({"latents": 0}, "`latents` is 0"),
    ],
)
def test_values(arguments, message, data):
    with pytest.raises(ValueError, match=message):
        build(data[0], **arguments)


def test_labels_where_there_are_none_are_refused(spec):
    with pytest.raises(UnsupportedError, match="needs data with labels, and 'toy' has none: take a labelled"):
        build(spec("unit"))
    with pytest.raises(
        UnsupportedError, match='comes with none: load it with the data option context="labels"'
    ):
        build(spec("unit", classes=3))
    with pytest.raises(UnsupportedError, match=r"comes with one of shape \(3,\): load it with"):
        build(spec("unit", context=True, classes=4))
    with pytest.raises(UnsupportedError, match="'toy' is categorical"):
        build(spec("categorical", context=True, classes=3, levels=4))


def test_it_learns_to_make_what_it_is_asked_for(spec):
    """Each class has its own row of the picture."""
    here = spec("unit", context=True, classes=3, shape=(1, 4, 4))
    torch.manual_seed(0)
    weights = {"rate": 0.3, "means": 0.1, "centres": 0.1}
    system = recipes.cvae_gan(here, latents=2, hidden=(32,), learning_rate=3e-3, **weights)
    y = torch.arange(30) % 3
    x = torch.full((30, 1, 4, 4), 0.1)
    for k in range(3):
        x[y == k, :, k] = 0.9
    batch = {"x": x, "y": y, "c": functional.one_hot(y, 3).to(x.dtype)}
    for _ in range(150):
        system.procedure.step([batch])
    made = system.model.eval().generate(30, batch["c"]).mean
    assert (made[:, 0].mean(-1).argmax(-1) == y).double().mean() >= 0.9
