"""The drawn sprites against published images, and the packed grid against the single images."""

from __future__ import annotations

import os

import numpy as np
import pytest

from vaekit.data import dsprites_images, load
from vaekit.data.dsprites import COUNT, FACTORS, factors_of, index_of, packed_grid, packed_images
from vaekit.errors import UserError


def published(data_root, *names):
    """{grid point: image} of the extracts; their pickled member is never opened."""
    points, images = [], []
    for name in names:
        path = data_root / "dsprites" / f"dsprites_{name}.npz"
        if not path.is_file():
            absent = pytest.fail if os.environ.get("VAEKIT_DATA_REQUIRED") == "1" else pytest.skip
            absent(f"{path} is absent")
        with np.load(path, allow_pickle=False) as archive:
            points.append(archive["original_dataset_indices"])
            images.append(archive["imgs"])
    index, first = np.unique(np.concatenate(points), return_index=True)
    return index, np.concatenate(images)[first]


def test_a_sample_of_the_published_images(data_root):
    index, images = published(data_root, "subset")
    chosen = np.random.default_rng(0).permutation(len(index))[:2000]
    wrong = (dsprites_images(index[chosen]) != images[chosen]).sum((1, 2))
    assert (wrong > 0).sum() <= 3
    assert wrong.max() <= 1


@pytest.mark.slow
def test_all_published_images(data_root):
    index, images = published(data_root, "subset", "downsampled")
    assert len(index) == 64_834
    wrong = (dsprites_images(index) != images).sum((1, 2))
    assert (wrong > 0).sum() <= 9
    assert wrong.max() <= 1


@pytest.mark.slow
def test_the_whole_grid_is_the_single_images():
    grid = packed_grid()
    assert grid.shape == (COUNT, 512)
    points = np.random.default_rng(1).integers(0, COUNT, 20_000)
    assert (grid[points] == packed_images(points)).all()
    count = np.array([bin(k).count("1") for k in range(256)], np.uint8)
    area = count[grid[::97]].sum(1, dtype=np.int64)
    assert area.min() > 50  # no image is empty


def test_factors_and_index_are_inverse():
    assert index_of(factors_of(np.arange(COUNT)))[-1] == COUNT - 1
    assert (index_of(factors_of(np.arange(0, COUNT, 7))) == np.arange(0, COUNT, 7)).all()
    assert factors_of([COUNT - 1]).tolist() == [[n - 1 for n in FACTORS.values()]]
    assert factors_of([1]).tolist() == [[0, 0, 0, 0, 1]]


def test_factors_do_what_their_names_say():
    centre = {"shape": 0, "scale": 3, "orientation": 0, "position_x": 8, "position_y": 20}

    def image(**changes):
        return dsprites_images(index_of([list({**centre, **changes}.values())]))[0]

    rows, columns = np.nonzero(image())
    assert columns.mean() < 28 < 35 < rows.mean()  # x to the left, y below the middle
    assert image(scale=5).sum() > image().sum() > image(scale=0).sum()
    assert np.ptp(columns) == np.ptp(rows)  # a square, not turned
    side = image(scale=5).sum() ** 0.5
    assert side == pytest.approx(2 * 9.6, abs=1)


def test_indices_outside_the_grid_are_refused():
    for wrong in (-1, COUNT):
        with pytest.raises(ValueError, match=str(wrong)):
            dsprites_images([0, wrong])
    with pytest.raises(TypeError, match="integers"):
        dsprites_images([0.5])
    assert dsprites_images([]).shape == (0, 64, 64)


def test_load_with_a_limit_draws_a_random_sample():
    splits = load("dsprites", limit=300)
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [300, 300, 300]
    batch = splits.train.take(range(300))
    assert (batch["factors"].amax(0) > 0).all()  # not the first points of the grid, which are all squares
    assert batch["factors"][:, 0].bincount(minlength=3).min() > 60
    points = index_of(batch["factors"].numpy())
    assert (batch["x"].numpy()[:, 0] == dsprites_images(points)).all()
    assert splits.spec.factors == FACTORS
    assert splits.spec.size == 300
    assert splits.spec.kind == "binary"
    held_out = {
        str(row) for part in (splits.valid, splits.test) for row in part.take(range(300))["factors"].tolist()
    }
    assert len(held_out) == 600
    other = load("dsprites", limit=300, seed=1).train.take(range(300))["factors"]
    assert not (other == batch["factors"]).all()


@pytest.mark.slow
def test_load_whole_grid():
    splits = load("dsprites")
    assert len(splits.train) == COUNT
    assert "without a split" in splits.spec.note
    points = index_of(splits.test.take(range(100))["factors"].numpy())
    assert (splits.test.take(range(100))["x"].numpy()[:, 0] == dsprites_images(points)).all()
    assert (splits.train.take(points)["x"].numpy()[:, 0] == dsprites_images(points)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 32}, "size"),
        ({"channels": 3}, "channels"),
        ({"kind": "count"}, "expected binary or unit or real"),
        ({"binarise": "dynamic"}, "taken as it is"),
        ({"spacing": 4}, "no `spacing`"),
        ({"context": "labels"}, "factors, no labels"),
        ({"context": "quadrant1"}, "give `limit`"),
    ],
)
def test_options_that_the_sprites_do_not_have(options, message):
    with pytest.raises(UserError, match=message):
        load("dsprites", **options)
