"""Ground truth by name: its options, its splits, and the way back from data to their factors."""

from __future__ import annotations

import pytest
import torch

from vaekit.data import (
    ArrayData,
    FactorData,
    GridData,
    Spec,
    fingerprint,
    ground_truth,
    ground_truth_of,
    load,
)
from vaekit.data.catalogue import ENTRIES
from vaekit.errors import UserError
from vaekit.worlds import mini_sprites

DRAWN = [name for name, entry in ENTRIES.items() if entry.factors and entry.brought is None]
DRAWN += ["dsprites", "color_dsprites", "noisy_dsprites"]


@pytest.fixture(autouse=True)
def nothing_brought(tmp_path, monkeypatch):
    """No published file is there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("VAEKIT_DATA", str(tmp_path / "data"))


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_answers_by_factors_by_number_and_in_batches(name):
    data = ground_truth(name)
    assert isinstance(data, FactorData)
    assert data.spec.factors == dict(zip(data.grid.names, data.grid.sizes, strict=True))
    assert data.spec.size == len(data.grid)
    index = torch.randint(len(data.grid), (6,), generator=torch.Generator().manual_seed(0))
    factors = data.grid.factors_of(index)
    by_number, by_factors = (
        made(which, torch.Generator().manual_seed(1))
        for made, which in ((data.at, index), (data.data_of, factors))
    )
    assert torch.equal(by_number, by_factors)
    assert by_number.shape == (6, *data.spec.shape)
    assert by_number.dtype == torch.float32
    assert float(by_number.min()) >= 0
    assert float(by_number.max()) <= 1
    if data.spec.kind == "binary":
        assert set(by_number.unique().tolist()) <= {0.0, 1.0}
    batch = next(GridData(data, index).batches(6, seed=0, shuffle=False))
    assert torch.equal(batch["factors"], factors)
    if not data.noisy:
        assert torch.equal(batch["x"], by_number)
    with pytest.raises(IndexError, match="expected 0"):
        data.data_of(factors.clamp_min(0) + torch.tensor(data.grid.sizes), torch.Generator())


@pytest.mark.parametrize("name", DRAWN)
def test_training_data_follow_the_protocol(name):
    splits = load(name, limit=7)
    for part in (splits.train, splits.valid, splits.test):
        assert len(part) == 7
        assert len(part.take(range(7))["x"]) == 7
    assert splits.spec.name == name
    assert splits.spec.size == 7
    assert fingerprint(splits.train) == fingerprint(load(name, limit=7).train)
    assert fingerprint(splits.train) != fingerprint(load(name, limit=7, seed=1).train)
    found = ground_truth_of(splits)
    factors = splits.train.take([3])["factors"]
    assert (
        torch.equal(splits.train.take([3])["x"] > 0, found.data_of(factors, torch.Generator()) > 0)
        or found.noisy
    )


def test_the_whole_of_a_small_grid_is_seen_in_every_split():
    splits = load("mini_xy")
    seen = torch.cat([batch["factors"] for batch in splits.train.batches(1000, seed=1)])
    assert sorted(seen.tolist()) == splits.valid.take(range(4096))["factors"].tolist()
    assert len(splits.test) == 4096
    large = load("xyobject", spacing=3)  # 17 x 17 x 5 x 24 = 34,680
    assert [len(part) for part in (large.train, large.valid, large.test)] == [34_680, 10_000, 10_000]
    held_out = torch.cat([part.points for part in (large.valid, large.test)])
    assert len(held_out.unique()) == 20_000
    assert "10000 grid points each by seed 0" in large.spec.note


def test_options_reach_the_set_and_tell_its_data_apart():
    near, far = (load("xysquares", limit=5, spacing=s) for s in (1, None))
    assert torch.equal(near.train.take(range(5))["factors"], far.train.take(range(5))["factors"])
    assert near.spec.factors == far.spec.factors
    assert fingerprint(near.train) != fingerprint(far.train)
    assert load("xysquares", spacing=30, placements=2).spec.factors["x_R"] == 2
    assert len(ground_truth("xysquares", spacing=1, placements=57).grid) == 57**6  # more than can be ordered
    with pytest.raises(UserError, match="take fewer values"):
        load("xysquares", spacing=1, placements=57, limit=3)
    assert ground_truth("XYSquares", spacing=3).grid.sizes == (8,) * 6


def test_a_wider_kind_is_taken_when_asked_for():
    spec = load("mini_xy", kind="unit").spec
    assert (spec.kind, spec.levels) == ("unit", 2)
    assert load("mini_xy", kind="real").spec.kind == "real"
    assert load("mini_sprites", kind="real").spec.levels is None
    assert load("xyobject", limit=3).spec.levels == 256
    with pytest.raises(UserError, match="holds unit values; got `kind` = 'binary': expected unit or real"):
        load("mini_sprites", kind="binary")


def test_quadrants_of_pictures_that_are_made_of_bytes():
    whole = load("xyobject", limit=6)
    task = load("xyobject", limit=6, context="quadrant2")
    assert task.spec.shape == task.spec.context == (3 * 64 * 32,)
    batch = task.train.take(range(6))
    assert torch.equal(batch["factors"], whole.train.take(range(6))["factors"])
    left = whole.train.take(range(6))["x"][..., :32].flatten(1)
    assert torch.equal(batch["c"], left)
    with pytest.raises(UserError, match="not made of fixed bytes"):
        load("noisy_dsprites", limit=6, context="quadrant1")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("xysquare", {}, "did you mean 'xysquares'"),
        ("mnist", {}, "no ground truth 'mnist'"),
        ("xysquares", {"path": "x.npz"}, "drawn from its rule"),
        ("xysquares", {"spacing": 0}, "the options of xysquares"),
        ("xyobject", {"placements": 3}, "no `placements`"),
        ("dsprites", {"spacing": 3}, "no `spacing`"),
        ("dsprites", {"path": "nowhere.npz"}, "nowhere.npz does not exist"),
        ("scream_dsprites", {}, "needs scream.jpg, which is neither in VAEKIT_DATA"),
        ("cars3d", {}, "needs a folder cars3d with its published files"),
        ("smallnorb", {}, "needs a folder smallnorb"),
        ("shapes3d", {}, r"needs 3dshapes.h5.*it comes from https"),
        ("mpi3d_real", {}, "needs mpi3d_real.npz"),
    ],
)
def test_what_cannot_be_had(name, options, message):
    with pytest.raises(UserError, match=message) as caught:
        ground_truth(name, **options)
    assert "\n" not in str(caught.value)


def test_the_places_where_files_are_looked_for_are_named(monkeypatch, tmp_path):
    with pytest.raises(UserError, match=str(tmp_path / "data" / "mpi3d")):
        ground_truth("mpi3d_toy")
    monkeypatch.delenv("VAEKIT_DATA")
    with pytest.raises(UserError, match=r"VAEKIT_DATA \(not set\)"):
        ground_truth("mpi3d_toy")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labelled": 3}, "factors, no labels"),
        ({"labels": [1, 2]}, "factors, no labels"),
        ({"context": "labels"}, "factors, no labels"),
        ({"size": 32}, "16x16"),
        ({"channels": 1}, "2 channels"),
        ({"limit": 0}, "`limit` is 0"),
    ],
)
def test_options_that_ground_truth_does_not_have(options, message):
    with pytest.raises(UserError, match=message):
        load("mini_xy", **options)
    with pytest.raises(UserError, match="for xysquares and its relatives"):
        load("digits", spacing=3)


def test_data_without_known_factors_are_refused():
    with pytest.raises(UserError, match="digits has no known factors"):
        ground_truth_of(load("digits"))
    world = mini_sprites()
    assert torch.equal(
        ground_truth_of(world.splits()).data_of(torch.tensor([[1, 2, 3, 4]])),
        world.at(torch.tensor([1 * 720 + 2 * 144 + 3 * 12 + 4])),
    )
    part = world.data.subset(range(9))
    with pytest.raises(UserError, match="got 9 data; expected 1440"):
        ground_truth_of(part)
    turned = world.data.subset(torch.arange(1439, -1, -1))
    with pytest.raises(UserError, match="in their order"):
        ground_truth_of(turned)
    spec = Spec("t", (2,), "real", 3, factors={"a": 3})
    strange = ArrayData(spec, torch.zeros(3, 2), factors=torch.zeros(3, 1))
    with pytest.raises(UserError, match="in their order"):
        ground_truth_of(strange)
