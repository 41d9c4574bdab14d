"""The hierarchical prior as a recipe: its loss by hand, its two phases, and what each prior is."""

from __future__ import annotations

import math

import pytest
import torch

from vaekit import recipes
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Chain, Flat
from vaekit.procedures import Manner

EXACT = {"rtol": 1e-12, "atol": 1e-12}
FIELDS = Spec("fields", (3, 17, 17), "real", 20, theta=("a", "b"), labelled=10)


def gaussian(value, mean, log_std):
    """log N, summed over the last axis."""
    return (-0.5 * ((value - mean) / log_std.exp()) ** 2 - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)


def moved(system):
    """Away from where networks and scales start."""
    torch.manual_seed(8)
    with torch.no_grad():
        for parameter in system.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return system


def fields(rows=6):
    batch = {"x": torch.randn(rows, 3, 17, 17), "theta": torch.randn(rows, 2)}
    batch["theta"][1::2] = torch.nan
    return batch


@pytest.mark.parametrize("prior", ["hierarchical", "full"])
def test_the_loss_by_hand(prior, judge):
    system = moved(recipes.hierarchical_prior_vae(FIELDS, prior=prior, hidden=(8,), alpha=5.0, start=0))
    weight = system.procedure.players[0].objective.terms["rate"][0]
    weight.weight.fill_(0.3)
    data, model = fields(), system.model
    _, said = judge(system, data)
    mean, log_std = model.posteriors[0].network(data["x"]).chunk(2, -1)
    torch.manual_seed(5)
    z = mean + log_std.exp() * torch.randn_like(mean)
    if prior == "full":
        r_mean, r_log_std = model.posteriors[1].network(z).chunk(2, -1)
    else:
        r_mean, r_log_std = model.posteriors[1].network(z), model.posteriors[1].log_std
    xi = r_mean + r_log_std.exp() * torch.randn_like(z)
    if prior == "full":
        p_mean, p_log_std = model.priors[0].network(xi).chunk(2, -1)
    else:
        p_mean, p_log_std = model.priors[0].network(xi), model.priors[0].log_std
    rate = gaussian(z, mean, log_std) - gaussian(z, p_mean, p_log_std)
    rate = rate + gaussian(xi, r_mean, r_log_std) - gaussian(xi, torch.zeros(2), torch.zeros(2))
    scale = model.likelihood.log_std
    assert scale.shape == (1, 17, 17)
    error = ((data["x"] - model.likelihood.network(z)) / scale.exp()).square()
    distortion = (0.5 * error + scale + 0.5 * math.log(2 * math.pi)).sum((1, 2, 3))
    told = (mean - data["theta"]).square().sum(1).nan_to_num()
    total = distortion.mean() + 0.3 * rate.mean() + 5.0 * 20 / 10 * told.mean()
    torch.testing.assert_close(said["vae"].total, total, **EXACT)
    torch.testing.assert_close(said["vae"].values["rate"], rate.mean().detach(), **EXACT)


def test_networks_between_the_levels_are_those_of_the_paper():
    model = recipes.hierarchical_prior_vae(FIELDS, latents=3, hidden=(8,)).model
    for part in (model.posteriors[1], model.priors[0]):
        assert [layer.out_features for layer in part.network.hidden] == [24, 24]
        assert part.network.activation == "relu"
        assert part.log_std.shape == (3,)


def test_the_first_phase_has_no_rate_and_leaves_the_prior_alone():
    system = recipes.hierarchical_prior_vae(FIELDS, hidden=(8,), start=2, nu=1.0)
    prior = [system.model.posteriors[1], system.model.priors[0]]
    before = [p.detach().clone() for part in prior for p in part.parameters()]
    weights = []
    for step in range(4):
        weights.append(system.procedure.players[0].objective.terms["rate"][0]().item())
        said = system.procedure.step([fields()])
        now = [p for part in prior for p in part.parameters()]
        same = [torch.equal(a, b) for a, b in zip(before, now, strict=True)]
        assert all(same) if step < 2 else not any(same)
    assert weights[:3] == [0.0, 0.0, 1e-9]
    assert said["distortion"] > 0  # not yet: so the weight falls
    assert weights[3] == pytest.approx(1e-9 * math.exp(-said["distortion"].item() / 867), rel=0.1)


def test_a_rising_weight_is_one_after_the_start():
    system = recipes.hierarchical_prior_vae(FIELDS, hidden=(8,), weight="rising", start=4)
    weight = system.procedure.players[0].objective.terms["rate"][0]
    found = []
    for _ in range(6):
        found.append(weight().item())
        system.procedure.step([fields()])
    assert found == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


def test_every_prior_is_its_model():
    made = {
        name: recipes.hierarchical_prior_vae(FIELDS, prior=name, hidden=(8,)).model
        for name in ("hierarchical", "full", "standard", "scaled")
    }
    assert isinstance(made["hierarchical"], Chain)
    assert isinstance(made["full"], Chain)
    assert isinstance(made["standard"], Flat)
    assert made["scaled"].priors[0]().variance.tolist() == pytest.approx([1.0, 2.0])
    assert made["hierarchical"].names == ("z1", "z2")
    codes = made["hierarchical"].eval().encode(fields())
    assert codes["z1"].shape == (6, 2)


def test_the_densely_connected_networks_train_it():
    system = recipes.hierarchical_prior_vae(FIELDS, architecture="dense_blocks", start=1, alpha=1.0)
    for module in system.modules().values():
        module.double()
    assert system.procedure.coupled
    said = system.procedure.step([fields(4)])
    assert all(value.isfinite() for value in said.values())
    trace = system.procedure.trace(fields(2), Manner())
    assert trace.observed["x"].p.mean.shape == (2, 3, 17, 17)


@pytest.mark.parametrize(
    ("changes", "arguments", "kind", "words"),
    [
        ({}, {"prior": "vamp"}, ValueError, "`prior` is 'vamp'; expected one of hierarchical, full"),
        ({}, {"weight": "fixed"}, ValueError, "`weight` is 'fixed'; expected one of grown, rising"),
        ({}, {"weight": "rising", "nu": 0.1}, UnsupportedError, "`nu` is 0.1, but a weight that rises"),
        ({}, {"nu": 0.0}, ValueError, "`nu` is 0.0"),
        ({}, {"start": -1}, ValueError, "`start` is -1"),
        ({}, {"alpha": -1.0}, ValueError, "`alpha` is -1.0"),
        ({}, {"alpha": 1.0, "latents": 1}, UnsupportedError, "`latents` is 1, but 'fields' has 2 parameters"),
        ({"theta": None, "labelled": None}, {"alpha": 1.0}, UnsupportedError, "knows no parameters theta"),
        ({"labelled": 0}, {"alpha": 1.0}, UnsupportedError, "theta of none of the training data"),
        ({"context": (3,)}, {}, UnsupportedError, "a prior of several levels has no place for"),
        ({"kind": "count"}, {"likelihood": "poisson"}, UnsupportedError, "count data do not have"),
        ({"kind": "binary"}, {}, UnsupportedError, "`likelihood` is 'gaussian_map'"),
    ],
)
def test_refusals(changes, arguments, kind, words):
    here = Spec(**{**FIELDS.to_json(), "shape": FIELDS.shape, "theta": FIELDS.theta, **changes})
    with pytest.raises(kind, match=words):
        recipes.hierarchical_prior_vae(here, hidden=(8,), **arguments)
