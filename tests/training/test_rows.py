"""What a row of the record says beside the terms: the rate of every latent, and the weights that moved."""

from __future__ import annotations

import json

import pytest
import torch

import vaekit
from vaekit import conditionals as c
from vaekit import recipes
from vaekit.controllers import Controller
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.models import Flat
from vaekit.networks import MLP
from vaekit.objective import Objective, elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.report.codes import encode
from vaekit.report.history import history
from vaekit.schedules import Linear
from vaekit.system import System
from vaekit.terms import Distortion, Rate
from vaekit.trainer import Fit, Training
from vaekit.validation import MOST_RATES, rates_of, standing, validate

SMALL = {"latents": 3, "hidden": (8,)}


def trained(splits, system, epochs=3, **settings):
    fit = Fit(system, splits, Training(epochs=epochs, batch_size=16, **settings), lambda *_: None)
    fit.run()
    return fit


def spread(model):
    """Biases that give the latents rates of about 0.5, 2 and 8 nats, so that none is taken for another."""
    with torch.no_grad():
        last = [p for name, p in model.posteriors[0].named_parameters() if name.endswith("bias")][-1]
        last[:3] = torch.tensor([1.0, 2.0, 4.0])


def by_hand(model, data):
    """1/2 (mean^2 + variance - 1 - ln variance) of every dimension, datum by datum: (N, K)."""
    found = []
    for i in range(len(data)):
        [q] = model.posterior({"x": data.take([i])["x"]}).values()
        mean, variance = q.mean.double(), q.variance.double()
        found.append(0.5 * (mean**2 + variance - 1 - variance.log()))
    return torch.cat(found)


def test_rates_are_means_per_datum_in_the_order_of_the_codes(splits):
    """21 held-out data in batches of 16 and 5: a sum, a mean of means or another order is another number."""
    torch.manual_seed(0)
    system = recipes.vae(splits.spec, **SMALL)
    spread(system.model)
    valid = ArrayData(splits.spec, splits.train.take(range(21))["x"])
    cut = Splits(splits.train, valid, splits.test)
    fit = trained(cut, system, epochs=1, weights="last")
    with torch.no_grad():
        expected = by_hand(system.model, valid).mean(0)
    row = fit.rows[-1]
    assert list(row["valid/rates"]) == ["z 1", "z 2", "z 3"]
    assert list(row["valid/rates"].values()) == pytest.approx(expected.tolist(), rel=1e-4)
    assert sum(row["valid/rates"].values()) == pytest.approx(row["valid/rate"], rel=1e-5)
    codes = encode(system.model, valid, 21)
    assert codes.labels == list(row["valid/rates"])
    assert codes.rates.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_each_row_has_its_own_rates(splits):
    """Not those of the epoch before: they are measured with the weights at the end of the epoch."""
    torch.manual_seed(0)
    fit = trained(splits, recipes.vae(splits.spec, **SMALL, learning_rate=0.05), epochs=3)
    for row in fit.rows:
        assert sum(row["valid/rates"].values()) == pytest.approx(row["valid/rate"], rel=1e-5)
    assert len({json.dumps(row["valid/rates"]) for row in fit.rows}) == 3


def test_several_latents_stand_side_by_side(splits):
    """Three columns of z1 and two of z2, as `Codes` has them."""
    torch.manual_seed(0)
    model = Flat(
        [c.Gaussian(lambda out: MLP([(1, 4, 4)], out, hidden=(5,)), (size,)) for size in (3, 2)],
        [c.StandardGaussian((size,)) for size in (3, 2)],
        c.Bernoulli(lambda out: MLP([(3,), (2,)], out, hidden=(5,)), (1, 4, 4)),
    )
    player = Player("vae", [model], elbo(), lambda p: torch.optim.SGD(p, 1e-3))
    rates = trained(splits, System(model, Simultaneous(model, [player])), epochs=1).rows[0]["valid/rates"]
    codes = encode(model, splits.valid, 1000)
    assert list(rates) == codes.labels == ["z1 1", "z1 2", "z1 3", "z2 1", "z2 2"]
    assert list(rates.values()) == pytest.approx(codes.rates.tolist(), rel=1e-4)


@pytest.mark.parametrize("samples", [None, 4])
def test_in_a_chain_the_ratio_at_the_draws_is_the_rate(samples):
    """The prior of z1 hangs on a draw made from z1: a divergence with that draw held still is no share."""
    torch.manual_seed(0)
    spec = Spec("toy", (1, 4, 4), "binary", 20)
    model = recipes.iwae(spec, samples=2, layers=2, latents=2, hidden=(8,)).model.double()
    trace = model({"x": (torch.rand(6, 1, 4, 4) > 0.5).double()}, samples)
    z1, z2 = trace.latents.values()
    q, p = (torch.distributions.Normal(d.mean, d.stddev) for d in (z1.q, z1.p))
    expected = (q.log_prob(z1.value) - p.log_prob(z1.value)).flatten(0, -2).mean(0)
    found = rates_of(trace)
    assert list(found) == ["z1", "z2"]
    torch.testing.assert_close(found["z1"], expected)
    total = 0.5 * (z2.q.mean**2 + z2.q.variance - 1 - z2.q.variance.log())
    torch.testing.assert_close(found["z2"], total.flatten(0, -2).mean(0))


@pytest.mark.parametrize(
    ("recipe", "arguments", "expected"),
    [
        ("full_covariance_vae", SMALL, None),  # correlated: no sum over dimensions
        ("vamp_vae", {**SMALL, "components": 4}, None),  # the prior is a mixture
        ("vq_vae", {"codes": 8, "dims": 3, "hidden": (8,)}, None),
        ("gumbel_vae", {"latents": 3, "classes": 4, "hidden": (8,)}, None),
        ("hvae", {"latents": (3, 2), "components": 4, "hidden": (8,)}, ["z1 1", "z1 2", "z1 3"]),
        ("ladder_vae", {"latents": (2, 1), "hidden": (8, 7)}, ["z1 1", "z1 2", "z2 1"]),
        ("adversarial_autoencoder", {**SMALL, "critic": (6,)}, None),  # a point has no rate
    ],
)
def test_nothing_is_said_where_a_rate_does_not_split(splits, recipe, arguments, expected):
    torch.manual_seed(0)
    found = validate(getattr(recipes, recipe)(splits.spec, **arguments), splits.valid, 16)
    labels = [name.removeprefix("rates/") for name in found if name.startswith("rates/")]
    assert labels == (expected or [])


def test_a_game_without_a_density_has_rates_all_the_same():
    spec = Spec("toy", (1, 4, 4), "unit", 20)
    data = ArrayData(spec, torch.rand(20, 1, 4, 4))
    torch.manual_seed(0)
    system = recipes.vae_gan(spec, latents=3, hidden=(8, 7))
    found = validate(system, data, 16)
    assert "rate" not in found
    with torch.no_grad():
        expected = by_hand(system.model.eval(), data).mean(0)
    assert [found[f"rates/z {k}"] for k in (1, 2, 3)] == pytest.approx(expected.tolist(), rel=1e-4)


def test_labels_are_averaged_by_their_probability():
    spec = Spec("toy", (1, 4, 4), "binary", 20, classes=3, labelled=6)
    torch.manual_seed(0)
    model = recipes.m2(spec, latents=2, hidden=(8,)).model.double().eval()
    x = (torch.rand(5, 1, 4, 4) > 0.5).double()
    trace = model({"x": x})
    expected = torch.zeros(2, dtype=torch.float64)
    for y in range(3):
        q = model.model.posterior({"x": x, "c": torch.eye(3, dtype=torch.float64)[y].expand(5, 3)})["z"]
        each = 0.5 * (q.mean**2 + q.variance - 1 - q.variance.log())
        expected += (trace.weights[y].unsqueeze(1) * each).mean(0)
    found = rates_of(trace)
    assert list(found) == ["z"]
    torch.testing.assert_close(found["z"], expected)


def test_a_row_stays_short(splits):
    torch.manual_seed(0)
    system = recipes.vae(splits.spec, latents=MOST_RATES + 1, hidden=(2,))
    assert not any(name.startswith("rates/") for name in validate(system, splits.valid, 16))


# -- weights that move --------------------------------------------------------------------------------------


def test_a_schedule_stands_where_the_steps_have_brought_it(splits):
    """65 data in batches of 16: five steps an epoch, so that the weight is 5/20, 10/20, 15/20 after each."""
    torch.manual_seed(0)
    fit = trained(splits, recipes.ladder_vae(splits.spec, latents=(2, 1), hidden=(8, 7), warmup=20))
    assert [row["weight/rate"] for row in fit.rows] == pytest.approx([0.25, 0.5, 0.75])
    assert not any(name.startswith("weight/distortion") for name in fit.rows[0])  # it does not move


def test_the_weight_of_a_controller_is_the_one_that_the_held_out_loss_has(splits):
    """A weight of the validation before would be off: it moves by more than the tolerance every epoch."""
    torch.manual_seed(0)
    system = recipes.control_vae(splits.spec, **SMALL, capacity=0.1, start=0.05, every=2, rise=0.01, ki=0.5)
    fit = trained(splits, system, epochs=4)
    weights = [row["weight/rate"] for row in fit.rows]
    for row in fit.rows:
        whole = row["valid/distortion"] + row["weight/rate"] * row["valid/rate"]
        assert row["valid/loss"] == pytest.approx(whole, rel=1e-5)
    moved = [
        abs(a - b) * row["valid/rate"] for a, b, row in zip(weights, weights[1:], fit.rows[1:], strict=False)
    ]
    assert min(moved) > 1e-4 * abs(fit.rows[0]["valid/loss"])
    [player] = system.procedure.players
    assert weights[-1] == float(player.objective.terms["rate"][0]())
    assert [row["target/rate"] for row in fit.rows] == pytest.approx([0.07, 0.1, 0.1, 0.1])  # 2, 5, .. rises


def test_shares_and_capacities_are_recorded(splits):
    torch.manual_seed(0)
    fit = trained(splits, recipes.gcvae(splits.spec, **SMALL, kp=0.3, rate_target=0.1), epochs=2)
    for row in fit.rows:
        whole = sum(row[f"weight/{t}"] * row[f"valid/{t}"] for t in ("distortion", "rate", "correlation"))
        assert row["valid/loss"] == pytest.approx(whole, rel=1e-4)
    capacity = trained(splits, recipes.annealed_vae(splits.spec, **SMALL, ramp=10, capacity=4.0), epochs=3)
    assert [row["capacity/capacity"] for row in capacity.rows] == pytest.approx([2.0, 4.0, 4.0])
    assert not any(name.startswith("weight/") for name in capacity.rows[0])


def test_of_several_players_each_weight_has_its_players_name():
    spec = Spec("toy", (4,), "binary", 20)
    model = Flat(
        c.Gaussian(lambda out: MLP([(4,)], out, hidden=(5,)), (2,)),
        c.StandardGaussian((2,)),
        c.Bernoulli(lambda out: MLP([(2,)], out, hidden=(5,)), spec.shape),
    )
    objectives = {
        "encoder": elbo(Linear(0.0, 1.0, 4)),
        "decoder": Objective({"distortion": (Linear(1.0, 3.0, 4), Distortion()), "rate": (1.0, Rate())}),
    }
    owned = {"encoder": model.posteriors, "decoder": model.likelihood}
    players = [
        Player(name, [owned[name]], objectives[name], lambda p: torch.optim.SGD(p, 0.1)) for name in owned
    ]
    procedure = Simultaneous(model, players)
    procedure.step([{"x": torch.ones(3, 4)}])
    found = {name: float(value) for name, value in standing(procedure).items()}
    assert found == {"weight/encoder/rate": 0.25, "weight/decoder/distortion": 1.5}
    system = System(model, procedure)
    rows = trained(Splits(*[ArrayData(spec, torch.ones(8, 4))] * 3), system, epochs=1).rows
    assert rows[0]["weight/encoder/rate"] == 0.5


def test_nothing_of_it_costs_a_step(splits, monkeypatch):
    """The step itself is never asked for rates or weights, and draws what it drew."""
    from vaekit import validation

    asked = []
    monkeypatch.setattr(validation, "rate_per_dimension", lambda latent: asked.append(latent))
    torch.manual_seed(0)
    system = recipes.vae(splits.spec, **SMALL)
    system.procedure.step([splits.train.take(range(16))])
    assert asked == []
    validate(system, splits.valid, 16)
    assert len(asked) == -(-len(splits.valid) // 16)


# -- records ------------------------------------------------------------------------------------------------


def test_a_resumed_run_has_the_same_rows(splits, tmp_path):
    settings = {**SMALL, "epochs": 4, "batch_size": 16, "device": "cpu", "checkpoint_seconds": 0.0}
    settings |= {"capacity": 0.1, "start": None, "ki": 0.5}
    whole = vaekit.train("control_vae", splits, out=tmp_path / "whole", **settings)
    seen = []

    def show(at, batches, means):
        seen.append(at.step)
        return len(seen) == 12  # in the middle of the third epoch

    with pytest.raises(KeyboardInterrupt):
        vaekit.train("control_vae", splits, out=tmp_path / "cut", show=show, **settings)
    cut = vaekit.resume(tmp_path / "cut", data=splits, device="cpu")
    assert [{**row, "seconds": 0} for row in cut.metrics()] == [
        {**row, "seconds": 0} for row in whole.metrics()
    ]
    assert all({"weight/rate", "valid/rates"} <= set(row) for row in cut.metrics())


def test_a_run_from_before_rates_were_recorded_goes_on(splits, tmp_path):
    """It opens and resumes; only its new rows have rates, and are drawn."""
    settings = {**SMALL, "epochs": 2, "batch_size": 16, "device": "cpu"}
    run = vaekit.train("vae", splits, out=tmp_path / "old", **settings)
    rows = [{k: v for k, v in row.items() if k != "valid/rates"} for row in run.metrics()]
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    longer = vaekit.resume(run.path, data=splits, epochs=4, device="cpu")
    assert ["valid/rates" in row for row in longer.metrics()] == [False, False, True, True]
    course = history(longer.metrics(), 4)
    assert course is not None
    assert "over 2 epochs" in course.pictures[0].alt
    assert history(run.metrics()[:2], 2) is None


def test_a_controller_is_no_schedule():
    """Its own weight moves and is recorded; a set point that is a number is not."""
    objective = elbo(Controller("rate", 3.0, kp=0.1, ki=0.1))
    assert list(objective.moving) == ["weight/rate"]
    objective = elbo(Controller("rate", Linear(1.0, 3.0, 5), kp=0.1, ki=0.1))
    assert list(objective.moving) == ["weight/rate", "target/rate"]
