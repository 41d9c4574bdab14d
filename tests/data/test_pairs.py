"""Data with partners: which factors they share, and that a batch is a function of seed, epoch and number."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import vaekit
import vaekit.runs
from vaekit import recipes
from vaekit.data import fingerprint, ground_truth_of, load
from vaekit.data.factors import Grid
from vaekit.data.pairs import PairData, kept_factors, paired
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError, UserError
from vaekit.worlds import mini_sprites, mini_xy

WORLD = mini_sprites()
GRID = Grid({"a": 3, "one": 1, "b": 4, "c": 5})


def pairs_of(pairs=1):
    return PairData(WORLD.data, WORLD, pairs)


def factors_of(pictures):
    """Read off which point of the grid each picture is."""
    same = (pictures[:, None] == WORLD.data.x[None]).flatten(2).all(2)
    assert same.sum(1).min() == 1
    return WORLD.grid.factors_of(same.int().argmax(1))


@pytest.mark.parametrize("pairs", [1, 2, "uniform"])
def test_as_many_factors_are_drawn_anew_as_were_asked_for(pairs):
    kept = kept_factors(6000, GRID, pairs, torch.Generator().manual_seed(1))
    assert kept[:, 1].all()  # a factor with one value is shared by all
    counts = (~kept).sum(1).bincount(minlength=4) / 6000
    expected = {1: [0, 1, 0, 0], 2: [0, 0, 1, 0], "uniform": [0, 0.5, 0.5, 0]}[pairs]
    assert counts.tolist() == pytest.approx(expected, abs=0.03)
    shares = (~kept).double().mean(0)  # no factor is preferred
    assert shares[[0, 2, 3]].tolist() == pytest.approx([float(shares.sum()) / 3] * 3, abs=0.03)


@pytest.mark.parametrize("pairs", [1, 3, "uniform"])
def test_partners_are_data_of_the_world_that_share_the_rest(pairs):
    batch = next(pairs_of(pairs).batches(400, seed=2))
    assert set(batch) == {"x", "factors", "partner"}
    theirs = factors_of(batch["partner"])
    changed = (theirs != batch["factors"]).sum(1)
    assert changed.max() == (3 if pairs == "uniform" else pairs)
    assert changed.min() == 0  # drawn anew, a value may come again
    # of one factor among sizes 2, 5, 12, 12 it does so with 1/4 (1/2 + 1/5 + 1/12 + 1/12)
    if pairs == 1:
        assert (changed == 0).double().mean() == pytest.approx(0.217, abs=0.06)


def test_values_are_drawn_uniformly():
    data = paired(mini_xy().splits(), mini_xy(), 1).train
    changed = []
    for epoch in range(3):
        for batch in data.batches(1024, seed=4, epoch=epoch):
            lit = batch["partner"].amax((2,)).argmax(2) // 2  # the column of each channel
            mine = batch["factors"][:, [0, 2]]
            changed.append((lit - mine)[(lit != mine)])
    steps = torch.cat(changed)
    # the mean step between two independent uniform values is 0, its spread sqrt(2 * 63/12 * 8/7)
    assert abs(steps.double().mean()) < 0.15
    assert steps.double().std() == pytest.approx((2 * 63 / 12 * 8 / 7) ** 0.5, rel=0.03)


def test_a_batch_is_a_function_of_seed_epoch_and_number():
    data = pairs_of("uniform")
    whole = list(data.batches(500, seed=3, epoch=1))
    assert [len(batch["x"]) for batch in whole] == [500, 500, 440]
    rest = list(data.batches(500, seed=3, epoch=1, start=1))
    plain = list(WORLD.data.batches(500, seed=3, epoch=1))
    for batch, again, alone in zip(whole[1:], rest, plain[1:], strict=True):
        assert all(torch.equal(batch[name], again[name]) for name in batch)
        assert torch.equal(batch["x"], alone["x"])
    for other in ({"seed": 4, "epoch": 1}, {"seed": 3, "epoch": 2}):
        first = next(data.batches(500, **other, shuffle=False))["partner"]
        assert not torch.equal(first, next(data.batches(500, seed=3, epoch=1, shuffle=False))["partner"])


def test_take_is_seeded():
    data = pairs_of()
    first, again, other = (data.take([5, 900], seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first["partner"], again["partner"])
    assert torch.equal(first["x"], other["x"])
    many = data.take(range(100))["partner"]
    assert not torch.equal(many, data.take(range(100), seed=1)["partner"])


def test_the_spec_says_that_there_are_partners():
    data = paired(WORLD.splits(), WORLD, "uniform")
    assert data.spec == replace(WORLD.spec, pairs="uniform")
    assert Spec.from_json(json.loads(json.dumps(data.spec.to_json()))) == data.spec
    assert len(data.valid) == len(WORLD.grid)
    assert data.test.spec.pairs == "uniform"


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (0, "`pairs` is 0; expected a number"),
        (4, "1 to 3, or uniform"),
        (True, "True"),
        ("all", "'all'"),
        (1.5, "1.5"),
    ],
)
def test_pairs_that_share_all_or_nothing_are_refused(pairs, words):
    with pytest.raises(ValueError, match=words):
        pairs_of(pairs)


def test_data_of_another_world_are_refused():
    with pytest.raises(ValueError, match="mini_xy"):
        PairData(WORLD.data, mini_xy(), 1)
    for factors in (None, {"a": 4}, {"a": 4, "b": 1}):
        with pytest.raises(ValueError, match="two or more that have two values"):
            Spec("toy", (4,), "real", 9, factors=factors, pairs=1)


def test_a_recipe_for_pairs_refuses_data_without_partners():
    with pytest.raises(UnsupportedError, match="`pairs` = 1"):
        recipes.ada_gvae(WORLD.spec)
    with pytest.raises(UnsupportedError, match="no known factors"):
        recipes.ada_gvae(Spec("digits", (1, 8, 8), "binary", 100))


# -- by name -----------------------------------------------------------------------------------------------


def test_ground_truth_by_name_comes_in_pairs():
    splits = load("mini_sprites", pairs="uniform")
    assert splits.spec.pairs == "uniform"
    assert splits.valid.spec.pairs == "uniform"
    assert ground_truth_of(splits).spec.name == "mini_sprites"
    batch = next(splits.train.batches(30, seed=1))
    apart = (factors_of(batch["partner"]) != batch["factors"]).sum(1)
    assert 0 < apart.max() < 4
    few = load("mini_sprites", pairs=1, limit=20)
    assert len(few.train) == 20
    seen = {tuple(row) for row in factors_of(few.train.take(range(20))["partner"]).tolist()}
    assert not seen <= {tuple(row) for row in few.train.take(range(20))["factors"].tolist()}


def test_pairs_have_a_fingerprint_of_their_own():
    found = {str(pairs): fingerprint(load("mini_xy", pairs=pairs)) for pairs in (None, 1, 2, "uniform")}
    assert len(set(found.values())) == 4
    assert found["1"] == fingerprint(load("mini_xy", pairs=1))


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("digits", {"pairs": 1}, "`pairs` is 1, but digits has no known factors"),
        (
            "mini_xy",
            {"pairs": 4},
            "the data options of mini_xy: `pairs` is 4; expected .* 1 to 3, or uniform",
        ),
        (
            "mini_xy",
            {"pairs": 1, "context": "quadrant1"},
            "`pairs` 1 and `context` 'quadrant1': leave one out",
        ),
    ],
)
def test_what_has_no_pairs_is_refused(source, options, words):
    with pytest.raises(UserError, match=words):
        load(source, **options)


def test_noise_of_a_partner_is_its_own():
    """What is drawn beside the factors is drawn for both data of a pair."""
    splits = load("noisy_dsprites", pairs=1, limit=6)
    batch = splits.train.take(range(6), seed=1)
    again, other = (splits.train.take(range(6), seed=seed) for seed in (1, 2))
    assert torch.equal(batch["partner"], again["partner"])
    dark = (batch["x"] < 1) & (batch["partner"] < 1)
    assert (batch["x"][dark] != batch["partner"][dark]).double().mean() > 0.99
    assert not torch.equal(batch["partner"], other["partner"])


def test_a_run_on_pairs_resumes_and_reads_its_data_again(tmp_path):
    """Partners are a function of seed, epoch and number: a run that stopped in an epoch goes on exactly."""
    settings = {"latents": 2, "hidden": (6,), "epochs": 2, "batch_size": 700, "device": "cpu"}
    options = {"data": "mini_sprites", "data_options": {"pairs": "uniform"}}
    whole = vaekit.train("ada_gvae", **options, out=tmp_path / "whole", **settings)

    def stop(at, batches, means):
        return at.step == 4

    with pytest.raises(KeyboardInterrupt):
        vaekit.train("ada_gvae", **options, out=tmp_path / "cut", show=stop, **settings)
    resumed = vaekit.resume(tmp_path / "cut")
    state, expected = resumed.state()[0], whole.state()[0]
    assert state.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in state.items())
    opened = vaekit.runs.Run.open(tmp_path / "whole")
    assert isinstance(opened.data().train, PairData)
    x = opened.data().test.take(range(3))["x"]
    torch.testing.assert_close(opened.model().encode({"x": x}), whole.model().encode({"x": x}))
