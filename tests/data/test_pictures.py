"""Folders of pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from vaekit.data import ArrayData, StreamData, fingerprint, load, load_like
from vaekit.errors import UserError


def picture(path, size=(12, 10), mode="RGB", value=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(map(ord, path.name))
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    if value is not None:
        pixels[:] = value
    Image.fromarray(pixels).convert(mode).save(path)
    return pixels


def folder(tmp_path, count=12, **options):
    return {f"{k:02}.png": picture(tmp_path / f"{k:02}.png", **options) for k in range(count)}


def test_pixels_arrive_unchanged(tmp_path):
    originals = folder(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".hidden.png").write_text("no picture")
    splits = load(tmp_path)
    assert splits.spec.shape == (3, 10, 12)
    assert (splits.spec.kind, splits.spec.levels, splits.spec.classes) == ("unit", 256, None)
    assert "1 files that are no pictures left out" in splits.spec.note
    assert splits.train.x.dtype == torch.uint8
    got = torch.cat([part.x for part in (splits.train, splits.valid, splits.test)])
    expected = {p.transpose(2, 0, 1).tobytes() for p in originals.values()}
    assert {g.numpy().tobytes() for g in got} == expected


def test_streamed_is_the_same_as_in_memory(tmp_path):
    folder(tmp_path, count=20)
    for options in ({}, {"size": 8}, {"channels": 1}, {"binarise": "threshold", "channels": 1}):
        here, there = load(tmp_path, **options), load(tmp_path, memory=700, **options)
        assert isinstance(here.train, ArrayData)
        assert isinstance(there.train, StreamData)
        assert here.spec == there.spec
        for a, b in zip(here.train.batches(3, seed=2), there.train.batches(3, seed=2), strict=True):
            assert torch.equal(a["x"], b["x"])
    assert fingerprint(there.train) == fingerprint(load(tmp_path, memory=700, **options).train)


def test_grey_or_colour_by_majority_or_by_wish(tmp_path):
    for k in range(6):
        picture(tmp_path / f"{k}.png", mode="L" if k < 4 else "RGB")
    assert load(tmp_path).spec.shape[0] == 1
    assert load(tmp_path, channels=3).spec.shape[0] == 3


def test_size_crops_the_centre(tmp_path):
    for k in range(5):
        pixels = np.zeros((20, 60, 3), np.uint8)
        pixels[:, 20:40] = 200  # the central square
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
    splits = load(tmp_path, size=10)
    assert splits.spec.shape == (3, 10, 10)
    assert (splits.train.x == 200).all()
    assert "central square" in splits.spec.note
    assert "Lanczos" in splits.spec.note
    assert "cropped" not in load(tmp_path).spec.note


def test_mixed_sizes_are_named(tmp_path):
    folder(tmp_path, count=5)
    picture(tmp_path / "odd.png", size=(7, 9))
    with pytest.raises(UserError, match=r"odd\.png is 7x9, most are 12x10; give `size`"):
        load(tmp_path)
    assert load(tmp_path, size=8).spec.shape == (3, 8, 8)


@pytest.mark.parametrize("memory", [10, 10**9])
def test_a_broken_picture_is_named(tmp_path, memory):
    folder(tmp_path, count=5)
    good = (tmp_path / "03.png").read_bytes()
    for content in (b"", b"not a picture", good[:20]):
        (tmp_path / "03.png").write_bytes(content)
        with pytest.raises(UserError, match=r"03\.png"):
            load(tmp_path, memory=memory)
    (tmp_path / "03.png").write_bytes(good[: len(good) // 2])  # the header is whole: only decoding finds it
    with pytest.raises(UserError, match=r"03\.png is a broken picture"):
        read_all(tmp_path, memory)


def read_all(path, memory):
    splits = load(path, memory=memory)
    for data in (splits.train, splits.valid, splits.test):
        list(data.batches(2, seed=0))


def test_folders_without_use(tmp_path):
    with pytest.raises(UserError, match="holds nothing, no pictures"):
        load(tmp_path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(UserError, match="1 other files, no pictures"):
        load(tmp_path)
    picture(tmp_path / "a.png")
    with pytest.raises(UserError, match="one row; expected 3"):
        load(tmp_path)
    deep = np.zeros((5, 5), np.uint16)
    Image.fromarray(deep).save(tmp_path / "b.png")
    with pytest.raises(UserError, match=r"b\.png is a picture of type 'I;16'"):
        load(tmp_path)


def test_subfolders_are_labels(tmp_path):
    for k in range(12):
        picture(tmp_path / ("cats" if k % 3 else "dogs") / "deeper" / f"{k}.png", value=200 if k % 3 else 10)
    splits = load(tmp_path, context="labels")
    assert splits.spec.class_names == ("cats", "dogs")
    batch = splits.train.take(range(len(splits.train)))
    assert torch.equal(batch["y"] == 0, batch["x"].mean((1, 2, 3)) > 0.5)
    assert batch["c"].shape[1:] == (2,)
    streamed = load(tmp_path, memory=10).train
    assert torch.equal(streamed.take(range(len(streamed)))["y"], batch["y"])
    picture(tmp_path / "loose.png")
    assert load(tmp_path).spec.classes is None


def test_orientation_transparency_and_palettes(tmp_path):
    wide = np.zeros((16, 32, 3), np.uint8)
    wide[:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise when shown
    for k in range(4):
        Image.fromarray(wide).save(tmp_path / f"{k}.jpg", exif=exif)
    splits = load(tmp_path)
    assert splits.spec.shape == (3, 32, 16)
    assert (splits.train.x[0, :, :16] > 250).all()
    assert (splits.train.x[0, :, 16:] < 5).all()
    other = tmp_path / "other"
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[:2, :, 3] = 255
    palette = Image.fromarray(np.eye(4, dtype=np.uint8)).convert("P")
    other.mkdir()
    for k in range(4):
        Image.fromarray(clear).save(other / f"{k}.png")
        palette.save(other / f"p{k}.gif", transparency=0)
    splits = load(other)
    tops = torch.cat([part.x for part in (splits.train, splits.valid, splits.test)])
    assert (tops[:, :, 3, 0] == 255).all()  # clear pixels are white


def test_load_like_a_folder(tmp_path):
    folder(tmp_path, count=6)
    spec = load(tmp_path, size=8, channels=1).spec
    picture(tmp_path / "new" / "large.png", size=(40, 30))
    data = load_like(tmp_path / "new", spec)
    assert (len(data), data.spec.shape) == (1, (1, 8, 8))
