"""The loop: what it hands back, what it measures, and what it must not disturb."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from vaekit import recipes
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.errors import UnsupportedError, UserError
from vaekit.objective import Objective
from vaekit.procedures import Alternating, Player, Simultaneous
from vaekit.system import System
from vaekit.terms import MMD, Capacity, Distortion, On
from vaekit.trainer import Fit, Manner, Training, pieces, validate

SMALL = {"latents": 2, "hidden": (8,), "learning_rate": 0.01}


def make_fit(splits, seed=0, save=None, show=None, system=None, **training):
    torch.manual_seed(seed)
    system = system or recipes.vae(splits.spec, **SMALL)
    settings = Training(**{"epochs": 3, "batch_size": 16, "seed": seed, **training})
    return Fit(system, splits, settings, save or (lambda *_: None), show)


def test_rows_steps_and_the_last_batch_of_one(splits):
    fit = make_fit(splits)  # 65 data in batches of 16: the fifth batch has one datum
    fit.run()
    assert [row["step"] for row in fit.rows] == [5, 10, 15]
    assert fit.at.done
    assert not fit.system.model.training


def test_named_values_are_means_over_data_not_over_batches(splits):
    fit = make_fit(splits, epochs=1)
    seen = []

    def step(batches, manner):
        values = {"loss": batches[0]["x"].sum().detach()}
        seen.append((len(batches[0]["x"]), float(values["loss"])))
        return values

    fit.system.procedure.step = step
    fit.run()
    expected = sum(n * value for n, value in seen) / 65
    assert {n for n, _ in seen} == {16, 1}
    assert fit.rows[0]["train/loss"] == pytest.approx(expected)


def test_the_last_weights_are_handed_back_when_asked(splits):
    """With a step that spoils the weights after the first epoch, best and last differ."""

    def spoiled(weights):
        fit = make_fit(splits, epochs=3, weights=weights)
        step = fit.system.procedure.step

        def spoil(batches, manner):
            values = step(batches, manner)
            if fit.at.epoch:
                with torch.no_grad():
                    next(fit.system.model.parameters()).add_(1.0)
            return values

        fit.system.procedure.step = spoil
        fit.run()
        return fit

    best, last = spoiled("auto"), spoiled("last")
    assert (best.at.best_epoch, last.at.best_epoch) == (1, 3)
    assert [row["valid/loss"] for row in best.rows] == [row["valid/loss"] for row in last.rows]
    for fit, epoch in ((best, 0), (last, 2)):
        held_out = validate(fit.system, splits.valid, 16)["loss"]
        assert held_out == pytest.approx(fit.rows[epoch]["valid/loss"])
    with pytest.raises(ValueError, match="`patience` is 2, which asks for the best weights"):
        Training(epochs=1, batch_size=1, patience=2, weights="last")
    with pytest.raises(ValueError, match="`weights` is 'first'; expected one of auto, last"):
        Training(epochs=1, batch_size=1, weights="first")


def test_training_lowers_the_held_out_loss(splits):
    fit = make_fit(splits, epochs=60)
    fit.run()
    assert fit.rows[-1]["valid/loss"] < fit.rows[0]["valid/loss"] - 2


def test_the_best_weights_are_handed_back(splits):
    fit = make_fit(splits, epochs=6)
    original = fit.system.procedure.step
    weights = []

    def step(batches, manner):
        values = original(batches, manner)
        if fit.at.step == 14:  # after the third epoch the weights are ruined
            with torch.no_grad():
                for parameter in fit.system.model.parameters():
                    parameter.mul_(30)
        if fit.at.step == 13:
            weights.append({k: v.clone() for k, v in fit.system.model.state_dict().items()})
        return values

    fit.system.procedure.step = step
    fit.run()
    losses = [row["valid/loss"] for row in fit.rows]
    assert fit.at.best_epoch == losses.index(min(losses)) + 1
    assert fit.at.best_epoch <= 2
    held_out = validate(fit.system, splits.valid, 16)
    assert held_out["loss"] == pytest.approx(min(losses), rel=1e-6)


def test_monitor_last_keeps_the_last_weights(splits):
    torch.manual_seed(0)
    made = recipes.vae(splits.spec, **SMALL)
    system = System(made.model, made.procedure, monitor="last")
    fit = make_fit(splits, system=system, epochs=2)
    fit.run()
    assert fit.at.best_epoch == 2
    with pytest.raises(UnsupportedError, match="patience"):
        make_fit(splits, system=system, patience=2)


def test_batches_that_are_too_small_are_refused(splits):
    made = recipes.vae(splits.spec, **SMALL)
    system = System(made.model, made.procedure, least_batch=4)
    for size in (1, 3):
        with pytest.raises(UnsupportedError, match=f"a batch of {size} is too small .* at least 4"):
            make_fit(splits, system=system, batch_size=size)
    make_fit(splits, system=system, batch_size=4)
    few = Splits(ArrayData(splits.spec, splits.test.take(range(3))["x"]), splits.valid, splits.test)
    with pytest.raises(UnsupportedError, match=r"a batch of 3 is too small .* and as many training data"):
        make_fit(few, system=system, batch_size=64)


def test_patience_stops(splits):
    fit = make_fit(splits, epochs=50, patience=2)
    fit.system.procedure.step = lambda batches, manner: {"loss": torch.zeros(())}  # nothing ever improves
    fit.run()
    assert len(fit.rows) == 3
    assert fit.at.best_epoch == 1


def test_a_number_of_steps_stops_inside_an_epoch(splits):
    fit = make_fit(splits, epochs=50, steps=7)
    fit.run()
    assert fit.at.step == 7
    assert [row["step"] for row in fit.rows] == [5, 7]


def test_validation_is_the_same_every_time_and_leaves_the_stream_alone(splits):
    fit = make_fit(splits)
    before = torch.get_rng_state()
    first = validate(fit.system, splits.valid, 16)
    assert torch.equal(torch.get_rng_state(), before)
    torch.randn(5)
    assert validate(fit.system, splits.valid, 16) == first
    assert fit.system.model.training
    assert first["elbo"] == pytest.approx(-first["distortion"] - first["rate"])
    assert first["loss"] == pytest.approx(first["distortion"] + first["rate"], rel=1e-6)


def test_validation_weighs_batches_by_their_size(splits):
    fit = make_fit(splits)
    whole = validate(fit.system, splits.valid, 20)["rate"]  # the closed form has no noise
    assert validate(fit.system, splits.valid, 19)["rate"] == pytest.approx(whole, rel=1e-5)


def test_seed_covers_initial_weights_order_and_noise(splits):
    def weights(seed):
        fit = make_fit(splits, seed=seed, epochs=1)
        start = fit.system.model.state_dict()["likelihood.network.output_layer.weight"].clone()
        fit.run()
        return start, fit.system.model.state_dict()["likelihood.network.output_layer.weight"]

    first, second, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_pieces_make_the_same_step(splits):
    # no noise in the loss, so that whole and cut batches can be compared
    def weights(count):
        torch.manual_seed(0)
        model = recipes.vae(splits.spec, **SMALL).model.double()
        objective = Objective({"rate": (1.0, lambda trace: trace.latents["z"].q.mean.square().sum(-1))})
        player = Player("p", model.posteriors, objective, lambda p: torch.optim.SGD(p, 0.1))
        batch = {"x": splits.train.take(range(13))["x"].double()}
        Simultaneous(model, [player]).step(pieces(batch, count), Manner())
        return torch.cat([p.flatten() for p in model.parameters()])

    assert len(pieces({"x": torch.zeros(13, 1)}, 4)) == 4
    assert torch.allclose(weights(1), weights(4), atol=1e-12)


def test_a_coupled_loss_refuses_to_be_cut(splits):
    torch.manual_seed(0)
    model = recipes.vae(splits.spec, **SMALL).model
    objective = Objective({"distortion": (1.0, Distortion()), "capacity": (1.0, Capacity(1.0))})
    player = Player("p", [model], objective, lambda p: torch.optim.Adam(p))
    system = System(model, Simultaneous(model, [player]))
    with pytest.raises(UnsupportedError, match="`accumulate` is 2, but the term 'capacity' couples"):
        make_fit(splits, system=system, accumulate=2)


def test_what_couples_is_named_with_the_remedy(splits):
    mixed = recipes.beta_tcvae(splits.spec, **SMALL)
    named = "the term 'information', the term 'total_correlation', the term 'dimension_wise' couple the data"
    with pytest.raises(UnsupportedError, match=rf"{named}.*smaller batch_size than 16"):
        make_fit(splits, system=mixed, accumulate=3)
    make_fit(splits, system=mixed, accumulate=1)
    torch.manual_seed(0)
    model = recipes.sigma_vae(replace(splits.spec, kind="unit"), **SMALL, variance="optimal").model
    player = Player("p", [model], Objective({"d": (1.0, Distortion())}), lambda p: torch.optim.Adam(p))
    procedure = Simultaneous(model, [player])
    assert procedure.coupled == ["the model's OptimalGaussian"]
    with pytest.raises(UnsupportedError, match="the model's OptimalGaussian couples"):
        make_fit(splits, system=System(model, procedure), accumulate=2)


def test_one_coupled_term_among_several_players_refuses_pieces_for_all(splits):
    """Every player's pieces come from one cut of the batch, so one coupled term is enough."""
    torch.manual_seed(0)
    model = recipes.vae(splits.spec, **SMALL).model

    def player(name, moves, **terms):
        return Player(name, moves, Objective({k: (1.0, t) for k, t in terms.items()}), torch.optim.SGD)

    generator = player("generator", [model.likelihood], distortion=Distortion())
    encoder = player("encoder", [model.posteriors], distortion=Distortion(), mmd=On("prior", MMD()))
    for order in ([generator, encoder], [encoder, generator]):
        procedure = Alternating(model, order)
        assert procedure.coupled == ["the term 'mmd'"]
        with pytest.raises(UnsupportedError, match="the term 'mmd' couples"):
            make_fit(splits, system=System(model, procedure), accumulate=2)
    assert Simultaneous(model, [generator]).coupled == []
    make_fit(splits, system=System(model, Simultaneous(model, [generator])), accumulate=2)


def test_pieces_of_unequal_size_weigh_by_their_data(splits):
    """13 data in 4 pieces (4, 4, 4, 1): values and gradients are means over data, not over pieces."""
    torch.manual_seed(0)
    model = recipes.vae(splits.spec, **SMALL).model.double()
    terms = {
        "mean": (2.0, lambda trace: trace.latents["z"].q.mean.square().sum(-1)),
        "rate": (1.0, lambda trace: trace.latents["z"].q.log_std.sum(-1)),
    }
    player = Player("p", model.posteriors, Objective(terms), lambda p: torch.optim.SGD(p, 1e-9))
    procedure = Simultaneous(model, [player])
    batch = {"x": splits.train.take(range(13))["x"].double()}
    whole = procedure.step([batch], Manner())
    cut = procedure.step(pieces(batch, 4), Manner())
    assert set(cut) == set(whole) == {"mean", "rate", "loss"}
    for name, value in whole.items():
        assert float(cut[name]) == pytest.approx(float(value), rel=1e-7), name


def test_clipping_bounds_the_step(splits):
    def moved(clip):
        torch.manual_seed(0)
        model = recipes.vae(splits.spec, **SMALL).model
        objective = Objective({"d": (100.0, Distortion())})
        player = Player("p", [model], objective, lambda p: torch.optim.SGD(p, 1.0))
        before = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
        Simultaneous(model, [player]).step([splits.train.take(range(8))], Manner(clip=clip))
        return (torch.cat([p.detach().flatten() for p in model.parameters()]) - before).norm()

    assert moved(0.5) == pytest.approx(0.5, rel=1e-4)
    assert moved(None) > 5


def test_mixed_precision_trains_and_keeps_densities_in_full_precision(splits):
    fit = make_fit(splits, precision="bfloat16", epochs=40)
    trace = fit.system.procedure.trace(splits.train.take(range(4)), Manner(autocast=fit._autocast))
    assert trace.latents["z"].q.mean.dtype == torch.float32
    assert trace.observed["x"].p.logits.dtype == torch.float32
    exact = fit.system.procedure.trace(splits.train.take(range(4)), Manner()).latents["z"].q.mean
    assert not torch.equal(trace.latents["z"].q.mean, exact)  # bfloat16 really ran
    fit.run()
    assert fit.rows[-1]["valid/loss"] < fit.rows[0]["valid/loss"]


def test_leaving_the_finite_numbers_is_an_error_with_a_remedy(splits):
    fit = make_fit(splits)
    fit.system.procedure.step = lambda batches, manner: {"loss": torch.tensor(math.nan)}
    with pytest.raises(UserError, match="learning rate"):
        fit.run()


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"batch_size": 0}, {"steps": 0}, {"accumulate": 0}, {"clip": 0.0}, {"precision": "half"}],
)
def test_settings_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Training(**{"epochs": 1, "batch_size": 1, **wrong})
