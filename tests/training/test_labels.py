"""Systems that are trained with few labels: what validation sees, resuming, M1+M2 in stages, analogies."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import vaekit
from vaekit import recipes
from vaekit.analogies import analogies
from vaekit.data import ArrayData, Spec, Splits, load
from vaekit.errors import UnsupportedError
from vaekit.metrics import error_rate
from vaekit.randomness import quiet
from vaekit.stages import Encoded, OnLatents
from vaekit.trainer import Manner, validate
from vaekit.validation import EVALUATION_SEED

M2 = {"latents": 3, "hidden": (8,), "learning_rate": 3e-3}
TWO = {"latents": 4, "second_latents": 2, "hidden": (16,), "second_hidden": (16,), "second_epochs": 3}


def clusters(count=120, labelled=9):
    """Three pictures with noise; some of the training labels are known."""
    generator = torch.Generator().manual_seed(0)
    kinds = torch.rand(3, 1, 4, 4, generator=generator).round()
    spec = Spec("toy", (1, 4, 4), "binary", count, classes=3, labelled=labelled)
    parts = []
    for size, known in ((count, labelled), (31, 31), (30, 30)):
        y = torch.arange(size) % 3
        flips = torch.rand(size, 1, 4, 4, generator=generator) < 0.05
        parts.append(
            ArrayData(spec, (kinds[y] - flips.float()).abs(), torch.where(torch.arange(size) < known, y, -1))
        )
    return Splits(*parts)


@pytest.fixture(scope="module")
def splits():
    return clusters()


def test_held_out_data_are_judged_without_their_labels(splits):
    torch.manual_seed(0)
    system = recipes.m2(splits.spec, **M2)
    found = validate(system, splits.valid, 31)
    x, y = splits.valid.x, splits.valid.y
    with quiet(system.model, "cpu", EVALUATION_SEED), torch.no_grad():
        trace = system.procedure.trace({"x": x}, Manner())
        expected = system.procedure.players[0].objective(trace).total
        wrong = system.model.classify({"x": x}).argmax(1) != y
    assert found["loss"] == pytest.approx(float(expected))
    assert found["loss"] == pytest.approx(
        -found["elbo"], rel=1e-6
    )  # nothing is told, so nothing but the bound
    assert found["classification"] == 0
    assert found["error"] == pytest.approx(float(wrong.float().mean()))
    hidden = ArrayData(splits.spec, x, torch.where(torch.arange(31) < 10, y, -1))
    few = validate(system, hidden, 31)
    assert few["loss"] == pytest.approx(found["loss"])
    assert few["error"] == pytest.approx(float(wrong[:10].float().mean()))
    assert "error" not in validate(system, ArrayData(splits.spec, x), 31)


def test_few_labels_and_many_data_tell_the_classes(splits):
    torch.manual_seed(0)
    system = recipes.m2(splits.spec, latents=2, hidden=(16,), learning_rate=1e-2)
    before = error_rate(system.model, splits.test).error
    for epoch in range(60):
        for batch in splits.train.batches(20, seed=0, epoch=epoch):
            system.procedure.step([batch])
    assert before > 0.4
    assert error_rate(system.model, splits.test).error == 0
    assert error_rate(system.model, splits.test, samples=20).error == 0


def test_a_run_goes_on_bit_for_bit(splits, tmp_path):
    settings = {"batch_size": 16, "checkpoint_seconds": 0.0, **M2}
    whole = vaekit.train("m2", splits, out=tmp_path / "whole", epochs=3, **settings)

    def stop(at, batches, means):
        return at.step == 11  # in the middle of the second epoch

    with pytest.raises(KeyboardInterrupt):
        vaekit.train("m2", splits, out=tmp_path / "parts", epochs=3, show=stop, **settings)
    parts = vaekit.resume(tmp_path / "parts", data=splits)
    for name, value in whole.model().state_dict().items():
        assert torch.equal(value, parts.model().state_dict()[name]), name
    without = [{k: v for k, v in row.items() if k != "seconds"} for row in whole.metrics()]
    assert without == [{k: v for k, v in row.items() if k != "seconds"} for row in parts.metrics()]
    assert "valid/error" in without[0]


# -- M1+M2 ---


@pytest.fixture(scope="module")
def staged(splits, tmp_path_factory):
    path = tmp_path_factory.mktemp("m1_m2") / "run"
    return vaekit.train("m1_m2", splits, out=path, epochs=30, batch_size=20, learning_rate=1e-2, **TWO)


def test_m2_is_trained_on_draws_of_the_latents_of_m1(staged, splits):
    stage = staged.stage("m2")
    assert stage.record["recipe"] == "m2"
    assert stage.spec.shape == (4,)
    assert (stage.spec.kind, stage.spec.classes, stage.spec.labelled) == ("real", 3, 9)
    assert stage.record["arguments"]["likelihood"] == "gaussian_pixel"
    codes = Encoded(splits.train, staged.model(), "z")
    assert torch.equal(codes.take(range(120))["y"], splits.train.y)
    batches = list(codes.batches(40, seed=0))
    assert [int((batch["y"] >= 0).sum()) for batch in batches] == [3, 3, 3]  # spread as the data are


def test_m1_m2_classifies_the_means_of_m1(staged, splits):
    classifier = staged.classifier()
    x = splits.test.x
    means = staged.model().encode({"x": x})["z"]
    expected = staged.stage("m2").model().classify({"x": means})
    assert isinstance(classifier, OnLatents)
    assert torch.equal(classifier.classify({"x": x, "y": splits.test.y}), expected)
    found = error_rate(staged.model(), splits.test, classifier=classifier)
    assert found.error == pytest.approx(float((expected.argmax(1) != splits.test.y).float().mean()))
    with pytest.raises(UnsupportedError, match="classifies nothing"):
        error_rate(staged.model(), splits.test)
    with pytest.raises(UnsupportedError, match="evidence of every class"):
        error_rate(staged.model(), splits.test, classifier=classifier, samples=3)


def test_new_data_of_m1_m2_come_from_both_stages(staged):
    drawn = staged.generator("stages").generate(7).mean
    assert drawn.shape == (7, 1, 4, 4)


def test_other_runs_have_no_classifier(splits, tmp_path):
    run = vaekit.train("vae", splits, out=tmp_path / "run", epochs=1, batch_size=60, latents=2, hidden=(4,))
    assert run.classifier() is None
    run = vaekit.train("m2", splits, out=tmp_path / "m2", epochs=1, batch_size=60, **M2)
    assert run.classifier() is run.model()


def test_a_stage_of_m1_m2_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(ValueError, match="`alpha` is -1"):
        vaekit.train("m1_m2", "digits", out=tmp_path / "run", alpha=-1.0, data_options={"labelled": 20})
    assert not (tmp_path / "run").exists()


# -- analogies ---


def test_analogies_keep_the_style_and_change_the_class(splits):
    torch.manual_seed(0)
    model = recipes.m2(splits.spec, **M2).model.eval()
    x = splits.test.x[:5]
    y = torch.tensor([0, 1, -1, 2, -1])
    found = analogies(model, {"x": x, "y": y})
    assert found.decoded.shape == (5, 3, 1, 4, 4)
    best = model.classify({"x": x}).argmax(1)
    assert torch.equal(found.y, torch.where(y < 0, best, y))
    every = torch.eye(3)
    z = model.model.encode({"x": x, "c": every[found.y]})["z"]  # of the datum with its own label
    for k in range(3):
        expected = model.model.decode({"z": z}, every[k].expand(5, 3)).mean
        torch.testing.assert_close(found.decoded[:, k], expected)
    picture = found.picture()
    assert picture.shape == (1, 5 * 50 + 2, 4 * 50 + 2)  # each datum, then its three classes
    assert picture.dtype == torch.uint8
    assert ((picture[0, 2, 2] == 255) == (x[0, 0, 0, 0] == 1)).all()


def test_analogies_of_m1_m2_pass_both_models(staged, splits):
    below, model = staged.model(), staged.stage("m2").model()
    batch = {"x": splits.test.x[:4], "y": splits.test.y[:4]}
    found = analogies(model, batch, below=below)
    inside = analogies(model, {**batch, "x": below.encode(batch)["z"]})
    for k in range(3):
        expected = below.decode({"z": inside.decoded[:, k]}).mean
        torch.testing.assert_close(found.decoded[:, k], expected)
    assert torch.equal(found.x, batch["x"])
    with pytest.raises(UnsupportedError, match="has no label to change"):
        analogies(below, batch)


def test_digits_with_few_labels_from_the_loader():
    splits = load("digits", labelled=50)
    system = recipes.m2(splits.spec, **M2)
    assert system.procedure.players[0].objective.terms["classification"][0] == pytest.approx(0.1 * 1437 / 50)
    everything = recipes.m2(load("digits").spec, **M2)
    assert everything.procedure.players[0].objective.terms["classification"][0] == pytest.approx(0.1)


def test_the_rate_of_m2_stays_for_three_fifths_and_then_falls_to_zero(splits):
    spec = replace(splits.spec, size=1000)
    system = recipes.m2(spec, **M2, fall=40)
    (player,) = system.procedure.players
    steps = torch.tensor([0.0, 24.0, 28.0, 40.0, 99.0])
    torch.testing.assert_close(player.pace.at(steps), torch.tensor([1.0, 1.0, 0.75, 0.0, 0.0]))
    assert (system.epochs, system.scheduled) == (8, True)  # of five steps each
    rates = []
    for _ in range(41):
        system.procedure.step([next(iter(splits.train.batches(20, seed=0)))])
        rates.append(player.optimizer.param_groups[0]["lr"])
    assert rates[23:26] == pytest.approx([3e-3, 3e-3, 3e-3 * 15 / 16])
    assert rates[39:] == pytest.approx([3e-3 / 16, 0])
    constant = recipes.m2(spec, **M2)
    assert (constant.procedure.players[0].pace, constant.epochs, constant.scheduled) == (None, 100, False)


def test_the_rate_of_the_second_stage_falls_to_zero_whatever_the_epochs_of_the_first(splits, tmp_path):
    options = {name: value for name, value in TWO.items() if name != "second_epochs"}
    run = vaekit.train(
        "m1_m2", splits, out=tmp_path / "run", epochs=1, batch_size=40, second_fall=10, **options
    )
    stage = run.stage("m2")
    assert stage.record["training"]["epochs"] == 10  # of one step each
    assert stage.record["arguments"]["fall"] == 10
