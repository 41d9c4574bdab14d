"""Data with partners: which factors they share, and that a batch is a function of seed, epoch and number."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from vaekit import recipes
from vaekit.data.factors import Grid
from vaekit.data.pairs import PairData, kept_factors, paired
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
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
