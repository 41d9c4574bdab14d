"""Structured residuals: the loss by hand, who moves when, and going on in the middle."""

from __future__ import annotations

import math

import pytest
import torch
from torch import distributions as td

from vaekit import recipes
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.distributions import DiagonalNormal, SparsePrecisionNormal
from vaekit.errors import UnsupportedError
from vaekit.trainer import Fit, Training

EXACT = {"rtol": 1e-11, "atol": 1e-11}
SMALL = {"latents": 3, "hidden": (8,), "neighbourhood": 3}


@pytest.fixture
def data(spec, batch_of):
    here = spec("unit")
    return here, batch_of(here)


def build(spec, moved=True, **arguments):
    torch.manual_seed(11)
    system = recipes.structured_vae(spec, **{**SMALL, "start": 0, **arguments})
    if moved:
        with torch.no_grad():
            for parameter in system.model.likelihood.covariance.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return system


def by_hand(model, x, prior=None):
    """The negative ELBO with a dense normal: one value, with the gradient of everything."""
    mean, log_std = model.posteriors[0].network(x).chunk(2, -1)
    torch.manual_seed(5)
    z = mean + log_std.exp() * torch.randn_like(mean)
    likelihood = model.likelihood
    sigma = -5 + torch.nn.functional.softplus(likelihood.head + 5)
    h = likelihood.covariance(z)
    log_diagonal = 5 - torch.nn.functional.softplus(5 - (h[:, 0] - likelihood.head))
    side = x.shape[-1]
    steps = [(0, 1), (1, -1), (1, 0), (1, 1)]
    factor = torch.zeros(len(x), side**2, side**2)
    for row in range(side):
        for column in range(side):
            j = row * side + column
            factor[:, j, j] = log_diagonal[:, row, column].exp()
            for k, (dy, dx) in enumerate(steps):
                if row + dy < side and 0 <= column + dx < side:
                    i = (row + dy) * side + column + dx
                    factor[:, i, j] = h[:, 1 + k, row, column] * (-sigma).exp()
    dense = td.MultivariateNormal(likelihood.network(z).flatten(1), precision_matrix=factor @ factor.mT)
    rate = 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1)
    loss = -dense.log_prob(x.flatten(1)) + rate
    if prior is not None:
        loss = loss - td.Gamma(*map(torch.tensor, prior)).log_prob((2 * log_diagonal).exp()).flatten(1).sum(1)
    return loss.mean()


@pytest.mark.parametrize("prior", [None, (2.0, 0.3)])
@pytest.mark.parametrize("order", ["staged", "joint"])
def test_the_loss_and_its_gradients_are_those_of_the_dense_normal(order, prior, data, judge, gradients):
    system = build(data[0], order=order, prior=prior)
    loss = by_hand(system.model, data[1]["x"], prior)
    said = judge(system, data[1])[1]
    for name in ("mean", "covariance"):
        torch.testing.assert_close(said[name].total, loss, **EXACT)
    names, parameters = zip(*system.model.named_parameters(), strict=True)
    slopes = torch.autograd.grad(loss, parameters)
    found = gradients(system, data[1])
    for name, slope in zip(names, slopes, strict=True):
        frozen = order == "staged" and not name.startswith("likelihood.covariance")
        if frozen:
            assert torch.equal(found[name], torch.zeros_like(slope)), name
        else:
            torch.testing.assert_close(found[name], slope, **EXACT)
            assert slope.any(), name


@pytest.mark.parametrize("order", ["staged", "joint"])
def test_who_moves_before_and_after_the_start(order, data):
    system = build(data[0], moved=False, order=order, start=2)
    model = system.model
    for step in range(4):
        kind = DiagonalNormal if step < 2 else SparsePrecisionNormal
        assert type(model(data[1]).observed["x"].p) is kind
        before = {key: value.detach().clone() for key, value in model.named_parameters()}
        system.procedure.step([data[1]])
        for key, value in model.named_parameters():
            covariance = key.startswith("likelihood.covariance")
            moves = step >= 2 if covariance else step < 2 or order == "joint"
            if step == 2 and covariance and "output_layer" not in key:
                moves = False  # behind a last layer of zeros
            assert torch.equal(before[key], value) != moves, (step, key)


def test_the_network_of_the_covariance_is_left_out_at_no_price(data):
    """Asked from the first step on, but at rest, it gives the same run."""
    asked, spared = (build(data[0], moved=False, start=3) for _ in range(2))
    asked.model.likelihood.start = 0
    for step in range(6):
        for system in (asked, spared):
            torch.manual_seed(step)
            system.procedure.step([data[1]])
    for first, second in zip(asked.model.parameters(), spared.model.parameters(), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-9)


def test_encoder_and_mean_start_alike_whatever_the_neighbourhood(data):
    small, large = (build(data[0], moved=False, neighbourhood=n).model.state_dict() for n in (1, 5))
    keys = [key for key in small if key.startswith(("posteriors", "likelihood.network"))]
    assert len(keys) == 8
    assert all(torch.equal(small[key], large[key]) for key in keys)


def test_size_one_is_a_network_of_variances(data, judge):
    system = build(data[0], neighbourhood=1)
    trace, said = judge(system, data[1])
    p = trace.observed["x"].p
    diagonal = DiagonalNormal(p.mean, -p.log_diagonal, 3)
    expected = -diagonal.log_prob(data[1]["x"]).mean()
    torch.testing.assert_close(said["covariance"].values["distortion"], expected.detach(), **EXACT)


def splits(spec, batch_of):
    x = batch_of(spec, rows=60)["x"].float()
    return Splits(*(ArrayData(spec, part) for part in (x[:33], x[33:45], x[45:])))


def test_a_run_goes_on_bit_for_bit_through_the_change(spec, batch_of):
    here = spec("unit", size=33)
    parts = splits(here, batch_of)

    def fit(steps, kept=None):
        torch.manual_seed(1)
        system = recipes.structured_vae(here, **SMALL, start=7)
        system.model.float()
        saved = []
        run = Fit(
            system,
            parts,
            Training(5, 8, steps=steps),
            lambda *state: saved.append(state),
            lambda at, *_: None,
        )
        if kept is not None:
            run.restore(*kept, source="the test")
        return run, saved

    whole, _ = fit(None)
    whole.run()
    for stop in (5, 12):  # before and after the covariance begins to move
        first, saved = fit(stop)
        first.run()
        tensors, about, rows = saved[-1]
        about["at"]["done"] = False
        rest, _ = fit(None, (tensors, {**about}, rows))
        # the run was cut in the middle of an epoch: its row is dropped with the epoch that did not end
        rest.at.epoch, rest.at.batch, rest.rows = stop // 5, stop % 5, []
        rest.run()
        for key, value in whole.system.model.state_dict().items():
            assert torch.equal(value, rest.system.model.state_dict()[key]), (stop, key)


def test_pictures_in_colour_and_lines(spec, batch_of):
    for shape in ((3, 4, 4), (9,)):
        here = spec("real", shape=shape)
        system = build(here)
        assert system.procedure.step([batch_of(here)])["covariance/loss"].isfinite()
        assert system.model.generate(4).sample().shape == (4, *shape)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"order": "both"}, ValueError, "`order` is 'both'; expected one of staged, joint"),
        ({"start": -1}, ValueError, "`start` is -1; expected at least 0"),
        ({"start": 2.5}, TypeError, "`start` is 2.5; expected a whole number"),
        ({"neighbourhood": 4}, ValueError, "`neighbourhood` is 4; expected an odd number"),
        ({"ceiling": math.nan}, ValueError, "`ceiling` is nan"),
        ({"prior": (0.3, 1.0)}, ValueError, "`shape` is 0.3; expected a finite number above 0.5"),
        ({"prior": (2.0, -1.0)}, ValueError, "`rate` is -1.0"),
    ],
)
def test_values(arguments, kind, message, spec):
    with pytest.raises(kind, match=message):
        recipes.structured_vae(spec("unit"), **arguments)


@pytest.mark.parametrize("kind", ["binary", "count"])
def test_other_kinds_are_refused(kind, spec):
    with pytest.raises(UnsupportedError, match=f"'toy' is {kind}: take vae"):
        recipes.structured_vae(spec(kind))
