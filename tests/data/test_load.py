"""Named sets, splits, binarisation, conditions."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from vaekit.data import Spec, Splits, assemble, fingerprint, load, load_like
from vaekit.data.images import area_resize, hidden_first
from vaekit.data.named import _characters
from vaekit.errors import UserError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("count", [3, 4, 11, 100, 101])
def test_splits_are_whole_disjoint_and_seeded(count):
    x = np.arange(count, dtype=float)[:, None] + 0.5
    splits = load(x, standardise=False)
    parts = [part.x[:, 0].tolist() for part in (splits.train, splits.valid, splits.test)]
    assert sorted(parts[0] + parts[1] + parts[2]) == x[:, 0].tolist()
    assert min(map(len, parts)) >= 1
    assert len(parts[1]) == len(parts[2]) == max(1, round(count / 10))
    assert splits.spec.size == len(parts[0])
    again = load(x, standardise=False)
    assert torch.equal(splits.test.x, again.test.x)
    if count > 10:
        assert not torch.equal(splits.test.x, load(x, standardise=False, seed=1).test.x)


def test_limit():
    x = RNG.normal(size=(100, 2))
    whole, part = load(x, standardise=False), load(x, standardise=False, limit=7)
    for a, b in ((whole.train, part.train), (whole.valid, part.valid), (whole.test, part.test)):
        assert torch.equal(a.x[:7], b.x)
    assert part.spec.size == 7
    assert "at most 7" in part.spec.note
    with pytest.raises(UserError, match="`limit` is 0"):
        load(x, limit=0)


def test_digits():
    splits = load("digits")
    assert isinstance(splits, Splits)
    assert splits.spec == Spec.from_json(splits.spec.to_json())
    assert (splits.spec.kind, splits.spec.levels, splits.spec.classes) == ("binary", 17, 10)
    assert splits.spec.binarised == "dynamic"
    assert "probability" in splits.spec.note
    assert splits.train.binarise
    assert splits.train.x.max() == 16
    grey = load("digits", binarise="none")
    assert (grey.spec.kind, grey.spec.levels, grey.spec.binarised) == ("unit", 17, None)
    draws = torch.stack([next(splits.train.batches(1437, seed=s, shuffle=False))["x"] for s in range(60)])
    torch.testing.assert_close(draws.mean(0), grey.train.take(range(1437))["x"], atol=0.33, rtol=0)
    assert draws.mean() == pytest.approx(float(grey.train.x.float().mean() / 16), abs=1e-3)
    # Held-out pixels are drawn once: the same in every pass and in every process.
    assert set(splits.test.x.unique().tolist()) == {0, 1}
    a, b = (next(splits.test.batches(180, seed=s, shuffle=False))["x"] for s in (0, 1))
    assert torch.equal(a, b)
    assert fingerprint(load("digits").test) == fingerprint(splits.test)
    assert load("digits", size=4).spec.shape == (1, 4, 4)


def test_threshold():
    splits = load("digits", binarise="threshold")
    grey = load("digits", binarise="none")
    assert torch.equal(splits.train.take(range(99))["x"], (grey.train.take(range(99))["x"] >= 0.5).float())
    assert torch.equal(splits.test.take(range(9))["x"], (grey.test.take(range(9))["x"] >= 0.5).float())
    assert splits.spec.binarised == "threshold"
    x = RNG.random((30, 6))
    got = load(x, binarise="threshold")
    assert torch.equal(got.train.x, (torch.from_numpy(load(x).train.x.numpy()) >= 0.5).to(torch.uint8))


def test_binarise_needs_grey_levels():
    with pytest.raises(UserError, match="got real values"):
        load(RNG.normal(size=(30, 4)), binarise="dynamic")
    with pytest.raises(UserError, match="got count values"):
        load(RNG.integers(0, 9, (30, 4)), binarise="threshold")
    bits = load(RNG.integers(0, 2, (30, 4)), binarise="dynamic")
    assert bits.spec.binarised is None
    assert not bits.train.binarise
    assert load(RNG.random((30, 4)), binarise="dynamic", kind="binary").spec.binarised == "dynamic"
    p = load(RNG.random((30, 4)), binarise="dynamic")
    assert set(next(p.train.batches(24, seed=0))["x"].unique().tolist()) == {0, 1}


@pytest.mark.parametrize("option", ["binarise", "context", "kind"])
def test_misspelt_options(option):
    with pytest.raises(UserError, match=f"`{option}` is 'maybe'; expected one of"):
        load("digits", **{option: "maybe"})


@pytest.mark.parametrize("quadrants", [1, 2, 3])
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 8, 8), (3, 5, 7)])
def test_quadrants_partition_the_pixels(quadrants, channels, height, width):
    order, visible = hidden_first(height, width, channels, quadrants)
    assert sorted(order.tolist()) == list(range(channels * height * width))
    row, column = np.divmod(order % (height * width), width)
    bottom, left = row >= height // 2, column < width // 2
    seen = {1: bottom & left, 2: left, 3: ~(bottom & ~left)}[quadrants]
    assert (seen == (np.arange(len(order)) >= len(order) - visible)).all()
    assert (np.diff(order[: len(order) - visible]) > 0).all()


@pytest.mark.parametrize("quadrants", [1, 2, 3])
def test_quadrant_task(quadrants):
    splits = load("digits", context=f"quadrant{quadrants}")
    spec = splits.spec
    assert spec.shape == ({1: 48, 2: 32, 3: 16}[quadrants],)
    assert spec.context == (64 - spec.shape[0],)
    assert (spec.kind, spec.picture, spec.quadrants) == ("binary", (1, 8, 8), quadrants)
    plain = load("digits")
    # One draw of the pixels serves both parts: whole pictures equal those of the plain task up to their
    # noise.
    batch, whole = splits.test.take(range(180)), plain.test.take(range(180))
    assert torch.equal(batch["y"], whole["y"])
    assert torch.equal(load_like("digits", spec).take([5])["c"], load_like("digits", spec).take([5])["c"])
    grey = load("digits", context=f"quadrant{quadrants}", binarise="none")
    parts = grey.test.take(range(180))
    picture = assemble(grey.spec, parts["x"], parts["c"])
    torch.testing.assert_close(picture, load("digits", binarise="none").test.take(range(180))["x"])
    leading = assemble(spec, batch["x"].expand(4, *batch["x"].shape), batch["c"])
    assert leading.shape == (4, 180, 1, 8, 8)
    first = next(splits.train.batches(50, seed=0))
    assert set(torch.cat((first["x"], first["c"]), 1).unique().tolist()) == {0, 1}


def test_quadrants_of_one_binary_picture_agree():
    """The two parts of one picture belong together: here every row repeats across the border."""
    x = np.repeat(RNG.integers(0, 2, (30, 4, 1)), 4, axis=2).astype(np.uint8)
    splits = load(x, context="quadrant2")
    batch = splits.train.take(range(24))
    assert torch.equal(batch["x"], batch["c"])
    with pytest.raises(UserError, match="quadrants are of images"):
        load(RNG.normal(size=(30, 4)), context="quadrant1")
    with pytest.raises(UserError, match="no quadrants"):
        load(RNG.random((30, 1, 4)), context="quadrant1")
    with pytest.raises(ValueError, match="no prediction task"):
        assemble(load("digits").spec, batch["x"], batch["c"])


def test_label_context():
    splits = load("digits", context="labels")
    batch = splits.test.take(range(50))
    assert splits.spec.context == (10,)
    assert torch.equal(batch["c"].argmax(1), batch["y"])
    assert torch.equal(batch["c"].sum(1), torch.ones(50))
    with pytest.raises(UserError, match="no labels"):
        load(RNG.normal(size=(30, 4)), context="labels")
    with pytest.raises(UserError, match="labels of its own"):
        load("digits", labels=np.zeros(1797))


def test_area_resize_keeps_the_mean_and_weights_by_overlap():
    x = RNG.random((3, 2, 105, 105)).astype(np.float32)
    small = area_resize(x, 28)
    assert small.shape == (3, 2, 28, 28)
    np.testing.assert_allclose(small.mean((2, 3)), x.mean((2, 3)), rtol=1e-5)
    line = area_resize(np.array([[[[1.0, 0, 0], [1, 0, 0], [1, 0, 0]]]], np.float32), 2)
    np.testing.assert_allclose(line[0, 0], [[2 / 3, 0], [2 / 3, 0]], atol=1e-6)
    np.testing.assert_allclose(
        area_resize(x[:, :, :4, :4], 2), x[:, :, :4, :4].reshape(3, 2, 2, 2, 2, 2).mean((3, 5)), rtol=1e-5
    )


def need(data_root, folder):
    if not (data_root / folder).is_dir():
        absent = pytest.fail if os.environ.get("VAEKIT_DATA_REQUIRED") == "1" else pytest.skip
        absent(f"{data_root / folder} is absent")


@pytest.mark.parametrize(
    ("name", "folder", "kind", "mean"),
    [("mnist", "mnist", "binary", 0.1307), ("fashion-mnist", "fashion-mnist", "unit", 0.2860)],
)
def test_idx_sets(data_root, name, folder, kind, mean):
    need(data_root, folder)
    splits = load(name)
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [55_000, 5_000, 10_000]
    assert (splits.spec.shape, splits.spec.kind, splits.spec.levels, splits.spec.classes) == (
        (1, 28, 28),
        kind,
        256,
        10,
    )
    assert "5000 of the 60000" in splits.spec.note
    grey = torch.cat([part.x for part in (lambda s: (s.train, s.valid))(load(name, binarise="none"))])
    assert float(grey.double().mean() / 255) == pytest.approx(mean, abs=1e-4)
    assert (
        splits.test.y[:10].tolist()
        == {
            "mnist": [7, 2, 1, 0, 4, 1, 4, 9, 5, 9],
            "fashion-mnist": [9, 2, 1, 1, 6, 1, 4, 6, 5, 7],
        }[name]
    )
    assert torch.equal(load_like(name, splits.spec, limit=50).x, splits.test.x[:50])


@pytest.mark.slow
def test_omniglot(data_root):
    need(data_root, "omniglot")
    splits = load("omniglot")
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [17_352, 1_928, 13_180]
    assert (splits.spec.shape, splits.spec.kind, splits.spec.classes) == ((1, 28, 28), "binary", 1623)
    assert splits.test.y.min() == 964
    assert splits.train.y.max() == 963
    assert splits.spec.class_names[0].startswith("Alphabet_of_the_Magi/")
    # Ink is one and rare: black strokes on white paper.
    assert 0.05 < float(splits.test.x.float().mean()) < 0.12


def test_omniglot_characters(data_root, tmp_path):
    need(data_root, "omniglot")
    with zipfile.ZipFile(data_root / "omniglot" / "images_background.zip") as whole:
        some = [name for name in whole.namelist() if "Korean/character0" in name]
        with zipfile.ZipFile(tmp_path / "some.zip", "w") as part:
            for name in reversed(some):
                part.writestr(name, whole.read(name))
        with whole.open(sorted(some)[0]) as stream, Image.open(stream) as image:
            paper = np.asarray(image.convert("L"))
    x, y, names = _characters(tmp_path / "some.zip", 105)
    assert (x[0] == 255 - paper).all()
    assert names[0] == "Korean/character01"
    assert y.tolist() == sorted([*range(len(names))] * 20)
    small, _, _ = _characters(tmp_path / "some.zip", 28)
    assert small.shape == (len(x), 28, 28)
    assert small.mean() == pytest.approx(x.mean(), rel=0.01)


def test_a_wrong_file_is_refused(data_root, tmp_path, monkeypatch):
    need(data_root, "mnist")
    (tmp_path / "mnist").mkdir()
    for file in (data_root / "mnist").iterdir():
        (tmp_path / "mnist" / file.name).write_bytes(file.read_bytes())
    damaged = tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-1000])
    monkeypatch.setenv("VAEKIT_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte\.gz is not the published file.*SHA-256"):
        load("mnist")
