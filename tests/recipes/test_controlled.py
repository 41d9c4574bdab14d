"""Recipes whose weights are controlled: special cases, the controllers' part in a step, resuming."""

from __future__ import annotations

import math

import pytest
import torch

import vaekit
from vaekit import recipes
from vaekit.controllers import Controller
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.terms import Rate
from vaekit.terms.discrepancy import similarities

SIZES = {"latents": 3, "hidden": (8,)}


@pytest.fixture
def made(spec):
    def make(name, **arguments):
        torch.manual_seed(2)
        return getattr(recipes, name)(spec(), **SIZES, **arguments)

    return make


@pytest.fixture
def judged(made, spec, batch_of, judge):
    """Total, named values and trace of a system's first judgement, all on one noise."""

    def run(name, **arguments):
        trace, found = judge(made(name, **arguments), batch_of(spec()))
        return found["vae"].total.item(), {k: float(v) for k, v in found["vae"].values.items()}, trace

    return run


# -- what a system becomes at fixed weights -------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "name", "arguments"),
    [
        ({"alpha": -1.0, "beta": 1.0, "gamma": 0.0}, "vae", {}),
        ({"alpha": -4.0, "beta": 4.0, "gamma": 0.0}, "beta_vae", {"beta": 4.0}),
    ],
)
def test_gcvae_is_vae_and_beta_vae(judged, weights, name, arguments):
    assert judged("gcvae", **weights)[0] == pytest.approx(judged(name, **arguments)[0], rel=1e-12)


def test_the_factor_vae_of_the_authors_is_the_vae(judged, made, gradients, spec, batch_of):
    """gamma = -1 on a measure that is a constant: the gradient is the VAE's."""
    weights = {"alpha": -1.0, "beta": 1.0, "gamma": -1.0, "correlation": "mahalanobis_literal"}
    total, values, _ = judged("gcvae", **weights)
    assert values["correlation"] == pytest.approx(3 * 11 / 12)
    assert total + values["correlation"] == pytest.approx(judged("vae")[0], rel=1e-12)
    batch = batch_of(spec())
    ours, theirs = gradients(made("gcvae", **weights), batch), gradients(made("vae"), batch)
    for key, slope in theirs.items():
        torch.testing.assert_close(ours[key], slope)


def test_gcvae_is_info_vae_without_a_rate(judged):
    """The discrepancies are one but for the pairs of a point with itself, each of which is 1."""
    total, values, trace = judged("gcvae", alpha=0.0, beta=0.0, gamma=500.0)
    theirs, unbiased, _ = judged("info_vae", alpha=1.0, lambda_mmd=500.0, scales=(1.5,))
    z, rows = trace.latents["z"].value.detach(), 12
    torch.manual_seed(5)  # as `judge` does: the noise of the codes first, then the draws
    torch.randn(rows, 3)
    drawn = torch.randn(rows, 3)

    def own(points):
        """What the mean over all pairs is more than that over pairs of two."""
        found = similarities(points, "rbf", (1.5,)).mean()
        return float(found - (found * rows**2 - rows) / (rows * (rows - 1)))

    added = own(z) + own(drawn)
    assert values["correlation"] == pytest.approx(unbiased["mmd"] + added, abs=1e-12)
    assert total == pytest.approx(theirs + 500 * added, abs=1e-9)
    assert total == pytest.approx(values["distortion"] + 500 * values["correlation"], rel=1e-12)


def test_gcvae_is_control_vae_up_to_scale(made, spec, batch_of):
    """(1 - b) (distortion + b / (1 - b) rate), b from the controller of the rate alone."""
    ours = made("gcvae", alpha=0.0, gamma=0.0, rate_target=0.05, kp=0.1, ki=0.5)
    assert list(ours.procedure.players[0].objective.terms) == ["distortion", "rate"]
    controller = Controller("rate", 0.05, kp=0.1, ki=0.5, high=1.0)
    for seed in range(5):
        values = ours.procedure.step([batch_of(spec(), seed=seed)])
        beta = min(float(controller()), 0.99)
        price = beta / (1 - beta)
        expected = (1 - beta) * (values["distortion"] + price * values["rate"])
        assert float(values["loss"]) == pytest.approx(float(expected), rel=1e-12)
        controller.hear(values)
    assert beta > 0.1


@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_control_vae_without_gains_is_beta_vae(made, spec, batch_of, beta):
    held = made("control_vae", kp=0.0, ki=0.0, beta_min=beta)
    plain = made("beta_vae", beta=beta)
    for seed in range(4):
        batch = batch_of(spec(), seed=seed)
        losses = []
        for system in (held, plain):
            torch.manual_seed(seed)
            losses.append(float(system.procedure.step([batch])["loss"]))
        assert losses[0] == losses[1]
    for key, value in plain.model.state_dict().items():
        assert torch.equal(value, held.model.state_dict()[key])


# -- the controllers' part in a step --------------------------------------------------------------------


def test_control_vae_by_hand(made, spec, batch_of):
    system = made("control_vae", capacity=0.8, every=2, kp=0.3, ki=0.2)
    integral, beta = 0.0, 1.0
    for step in range(6):
        values = system.procedure.step([batch_of(spec(), seed=step)])
        rate = float(values["rate"])
        assert float(values["loss"]) == pytest.approx(float(values["distortion"]) + beta * rate, rel=1e-12)
        error = min(0.8, 0.5 + 0.15 * (step // 2)) - rate
        integral -= 0.2 * error
        beta = max(1.0, 1.0 + 0.3 / (1 + math.exp(error)) + integral)
    assert float(next(system.procedure.players[0].objective.terms["rate"][0].buffers())) != 0


def test_gcvae_by_hand(made, spec, batch_of):
    """Three controllers, and what two of them share."""
    arguments = {"distortion_target": 14.0, "rate_target": 0.1, "kp": 0.9, "ki": 0.05}
    system = made("gcvae", **arguments)
    integrals = {"distortion": 0.0, "rate": 0.0, "correlation": 0.0}
    alpha, beta, gamma = 0.0, 0.0, 1.0
    for step in range(6):
        said = {k: float(v) for k, v in system.procedure.step([batch_of(spec(), seed=step)]).items()}
        room = min(1.0, 0.99 / max(alpha + beta, 1e-9))
        total = (1 - room * (alpha + beta)) * said["distortion"] + room * beta * said["rate"]
        assert said["loss"] == pytest.approx(total + gamma * said["correlation"], rel=1e-12)
        errors = {
            "distortion": said["distortion"] - 14.0,
            "rate": 0.1 - said["rate"],
            "correlation": 0.1 - said["correlation"],
        }
        found = {}
        for name, error in errors.items():
            integrals[name] -= 0.05 * error
            found[name] = 0.9 / (1 + math.exp(error)) + integrals[name]
        alpha, beta = (min(1.0, max(0.0, found[name])) for name in ("distortion", "rate"))
        gamma = max(1.0, 1.0 + found["correlation"])
    assert alpha + beta > 0.99  # so that they were scaled down


@pytest.mark.parametrize("name", ["control_vae"])
def test_pieces_are_one_batch_to_a_controller(made, spec, batch_of, name):
    """The mean over unequal pieces; weights without noise, so that a cut changes no draw."""
    found = []
    for pieces in (1, 5):
        system = made(name, ki=0.3)
        system.procedure.players[0].optimizer.param_groups[0]["lr"] = 0.0
        for seed in range(3):
            batch = batch_of(spec(), seed=seed)["x"].chunk(pieces)
            system.procedure.step([{"x": piece} for piece in batch])
        found.append(system.procedure.players[0].objective.state_dict())
    for key, value in found[0].items():
        torch.testing.assert_close(found[1][key], value)


def test_gcvae_refuses_pieces(tmp_path):
    splits = toy()
    with pytest.raises(UnsupportedError, match="correlation"):
        vaekit.train("gcvae", splits, out=tmp_path / "run", accumulate=2, batch_size=8, device="cpu", **SIZES)


@pytest.mark.parametrize("name", ["control_vae", "gcvae"])
def test_a_compiled_step_moves_the_weights_alike(made, spec, batch_of, small, name):
    found = []
    for backend in (None, "eager"):
        system = made(name, **{k: v for k, v in small[name].items() if k not in SIZES}, ki=0.05)
        if backend:
            system.procedure.compile(12, backend)
        torch.manual_seed(3)
        for seed in range(3):
            system.procedure.step([batch_of(spec(), seed=seed)])
        found.append(system.procedure.players[0].objective.state_dict())
    assert found[0].keys() == found[1].keys()
    for key, value in found[0].items():
        torch.testing.assert_close(found[1][key], value, rtol=1e-12, atol=1e-12)
    torch._dynamo.reset()


def test_every_controller_is_saved_once(made):
    keys = list(made("gcvae").procedure.players[0].objective.state_dict())
    assert len(keys) == 6  # an integral and a weight of each of three
    assert sum("correlation" in key for key in keys) == 2


def toy():
    generator = torch.Generator().manual_seed(3)
    x = (torch.rand(61, 1, 4, 4, generator=generator) > 0.6).float()
    spec = Spec("toy", (1, 4, 4), "binary", 33)
    return Splits(*(ArrayData(spec, part) for part in x.split([33, 14, 14])))


@pytest.mark.parametrize("name", ["control_vae", "gcvae"])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path, small, name):
    torch.set_default_dtype(torch.float32)
    settings = {**small[name], "ki": 0.05, "seed": 5, "device": "cpu", "epochs": 3, "batch_size": 8}
    if name == "gcvae":
        settings["distortion_target"] = 11.0
    whole = vaekit.train(name, toy(), out=tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        vaekit.train(
            name, toy(), out=tmp_path / "cut", show=lambda at, batches, means: at.step == 7, **settings
        )
    cut = vaekit.resume(tmp_path / "cut", data=toy(), device="cpu")
    first, second = whole.state()[0], cut.state()[0]
    assert first.keys() == second.keys()
    weights = [key for key in first if key.endswith(("integral", "unheld"))]
    assert len(weights) == (2 if name == "control_vae" else 6)
    assert any(float(first[key]) not in (0.0, 1.0) for key in weights)
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def test_control_vae_reaches_its_set_point():
    """0.8 nats of the ln 6 = 1.8 that name a prototype, which a VAE pays."""
    generator = torch.Generator().manual_seed(4)
    prototypes = torch.rand(6, 36, generator=generator) < 0.5
    flips = torch.rand(800, 36, generator=generator) < 0.05
    x = (prototypes[torch.randint(6, (800,), generator=generator)] ^ flips).double().reshape(-1, 1, 6, 6)
    torch.manual_seed(0)
    system = recipes.control_vae(
        Spec("toy", (1, 6, 6), "binary", 800), latents=4, hidden=(64,), capacity=0.8, start=None, kp=0.1,
        ki=0.05, learning_rate=2e-3,
    )  # fmt: skip
    for step in range(400):
        rows = torch.arange(step * 50, step * 50 + 50) % 800
        system.procedure.step([{"x": x[rows]}])
    with torch.no_grad():
        rate = float(Rate()(system.model({"x": x})).mean())
        weight = float(system.procedure.players[0].objective.terms["rate"][0]())
    assert abs(rate - 0.8) < 0.1
    assert weight > 2


# -- defaults and refusals ------------------------------------------------------------------------------


def test_defaults_are_the_papers(spec):
    system = recipes.control_vae(spec(shape=(1, 64, 64), size=737_280))
    beta = system.procedure.players[0].objective.terms["rate"][0]
    assert (beta.kp, beta.ki, beta.low, beta.high) == (0.01, 0.001, 1.0, math.inf)
    assert float(beta.target()) == 0.5
    assert float(beta.target.at(torch.tensor(1e7))) == 16.0
    assert system.scheduled
    assert system.epochs * 11_520 >= 1.2 * 520_000
    assert not recipes.control_vae(spec(), **SIZES, start=None).scheduled
    weights = {k: w for k, (w, _) in recipes.gcvae(spec()).procedure.players[0].objective.terms.items()}
    found = [weights["distortion"].alpha, weights["distortion"].beta, weights["correlation"]]
    assert [w.target for w in found] == [10.0, 30.0, 0.1]
    assert [(w.low, w.high, w.sign) for w in found] == [(0, 1, -1), (0, 1, 1), (1, math.inf, 1)]


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("control_vae", {"capacity": -1.0}, "`capacity` is -1.0; expected"),
        (
            "control_vae",
            {"capacity": 0.3},
            "`start` is 0.5, above `capacity` 0.3: take a smaller one, or None",
        ),
        ("control_vae", {"beta_min": 2.0, "beta_max": 2.0}, "`beta_max` is 2.0; expected .* above 2"),
        ("control_vae", {"kp": -0.1}, "`kp` is -0.1"),
        ("control_vae", {"ki": math.nan}, "`ki` is nan"),
        ("control_vae", {"every": 0}, "`every` is 0; expected at least 1"),
        ("control_vae", {"rise": 0.0}, "rise 0.0 .* a rise above 0"),
        ("gcvae", {"alpha": 0.7, "beta": 0.5}, "leave -0.2 of 1 to the third weight"),
        ("gcvae", {"alpha": 1.0}, "`alpha` and `beta` have 1 of 1 already"),
        ("gcvae", {"beta": -0.1}, "`beta` is -0.1; expected a finite number at least 0"),
        ("gcvae", {"correlation": "mdm"}, "`correlation` is 'mdm'; expected one of mmd, weighted_mmd"),
        ("gcvae", {"sign": "minus"}, "`sign` is 'minus'; expected one of corrective, published"),
        ("gcvae", {"rate_target": math.inf}, "`target of the rate` is inf"),
        ("gcvae", {"latents": 0}, "`latents` is 0"),
    ],
)
def test_refusals(spec, name, arguments, words):
    with pytest.raises(ValueError, match=words):
        getattr(recipes, name)(spec(), **{"hidden": (8,)} | arguments)
