"""What values a set holds, and what is refused, with value and position."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vaekit.data import kinds, load
from vaekit.errors import UserError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("x", "kind", "levels"),
    [
        (RNG.integers(0, 2, (30, 4)), "binary", None),
        (RNG.integers(0, 2, (30, 4)).astype(bool), "binary", None),
        (RNG.integers(0, 2, (30, 4)).astype(np.float32), "binary", None),
        (RNG.integers(0, 2, (30, 4, 4)).astype(np.uint8), "binary", None),
        (RNG.random((30, 4)), "unit", None),
        (RNG.integers(0, 256, (30, 4, 4)).astype(np.uint8), "unit", 256),
        (RNG.integers(0, 9, (30, 4)), "count", None),
        (RNG.integers(0, 900, (30, 4)).astype(np.uint16), "count", None),
        (RNG.integers(-5, 9, (30, 4)), "real", None),
        (RNG.normal(size=(30, 4)), "real", None),
        (RNG.normal(size=(30, 4)).astype(np.float16), "real", None),
        (RNG.random((30, 4)) * 1.001 + 0.5, "real", None),
    ],
)
def test_inferred(x, kind, levels):
    for source in (x, torch.from_numpy(x) if x.dtype != np.uint16 else x):
        spec = load(source).spec
        assert (spec.kind, spec.levels) == (kind, levels)


def test_bytes_stay_bytes_and_are_scaled_in_the_batch():
    x = RNG.integers(0, 256, (30, 5, 5)).astype(np.uint8)
    splits = load(x)
    assert splits.train.x.dtype == torch.uint8
    batch = splits.train.take(range(24))["x"]
    torch.testing.assert_close(batch, splits.train.x.float() / 255)
    assert splits.spec.shape == (1, 5, 5)
    assert "divided by 255" in splits.spec.note


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers(bad, monkeypatch):
    monkeypatch.setattr(kinds, "_ROWS_AT_ONCE", 16)  # positions must count over the pieces of a scan
    x = RNG.normal(size=(30, 4))
    x[17, 2] = bad
    x[25, 1] = np.nan
    with pytest.raises(UserError, match=rf"{bad} at position \(17, 2\)"):
        load(x)
    with pytest.raises(UserError, match=r"`c`.*position \(17, 2\)"):
        load((RNG.normal(size=(30, 4)), None, x))


@pytest.mark.parametrize(
    ("kind", "bad"), [("binary", 2.0), ("binary", 0.5), ("unit", 1.25), ("unit", -0.5), ("count", -1.0),
                      ("count", 1.5), ("categorical", 0.5), ("categorical", -1.0)]
)  # fmt: skip
def test_a_declared_kind_is_held_against_the_values(kind, bad, monkeypatch):
    monkeypatch.setattr(kinds, "_ROWS_AT_ONCE", 16)
    x = RNG.integers(0, 2, (30, 4)).astype(float)
    assert load(x, kind=kind).spec.kind == kind
    x[11, 3] = bad
    with pytest.raises(UserError, match=rf"{bad} contradicts kind '{kind}'.*position \(11, 3\)"):
        load(x, kind=kind)


def test_declared_kinds():
    x = RNG.integers(0, 7, (40, 3))
    x[0, 0] = 6
    assert load(x, kind="categorical").spec.levels == 7
    spec = load(x.astype(np.uint8), kind="count").spec
    assert (spec.kind, spec.levels) == ("count", None)
    assert load(x.astype(np.uint8), kind="count").train.take([0])["x"].max() <= 6
    assert load(x, kind="real", standardise=False).train.take([0])["x"].dtype == torch.float32


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(5), r"shape \(5,\)"),
        (np.zeros(()), r"shape \(\)"),
        (np.zeros((0, 4)), "empty"),
        (np.zeros((5, 0)), "one element or more"),
        (np.zeros((1, 4)), "one row; expected 3 or more"),
        (np.zeros((2, 4)), "2 rows; expected 3 or more"),
        (np.array([["a", "b"]] * 4), "type <U1"),
        (np.array([[1, None]] * 4, dtype=object), "type object"),
        (np.ones((4, 4), dtype=complex), "type complex128"),
        (np.full((4, 2), 1e39) * [1, -1], "does not fit into 32-bit"),
        (np.full((4, 2), 2**30), "up to 16777216"),
        ([[1.0, 2.0], [3.0]], "no array"),
        (None, "expected"),
    ],
)
def test_arrays_that_cannot_be_used(x, message):
    with pytest.raises(UserError, match=message) as caught:
        load(x, standardise=False)
    assert "\n" not in str(caught.value)


def test_axes_of_images():
    x = RNG.integers(0, 256, (20, 6, 5, 3)).astype(np.uint8)
    splits = load(x)
    assert splits.spec.shape == (3, 6, 5)
    assert "channels last" in splits.spec.note
    reference = load(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    assert torch.equal(splits.train.x, reference.train.x)
    assert load(RNG.integers(0, 256, (20, 1, 5, 3)).astype(np.uint8)).spec.shape == (1, 5, 3)
    assert load(RNG.normal(size=(20, 2, 5, 4))).spec.shape == (2, 5, 4)


def test_size_and_channels_of_arrays():
    x = np.zeros((20, 4, 4), np.uint8)
    x[:, :2, :2] = 200
    x[:, 0, 2] = 100
    splits = load(x, size=2)
    assert splits.train.x[0, 0].tolist() == [[200, 25], [0, 0]]
    assert "from 4x4 to 2x2" in splits.spec.note
    thirds = load(x, size=3, kind="unit").train.take([0])["x"]
    assert thirds.mean() * 255 == pytest.approx(x[0].mean(), abs=0.5)  # an average by area keeps the mean
    assert load(x, channels=3).spec.shape == (3, 4, 4)
    colour = np.zeros((20, 3, 4, 4), np.uint8)
    colour[:, 1] = 100
    assert (load(colour, channels=1).train.x == 59).all()
    with pytest.raises(UserError, match="`size` is for images"):
        load(np.zeros((20, 7)), size=2)
    with pytest.raises(UserError, match="`size` is 0"):
        load(x, size=0)
    with pytest.raises(UserError, match="`channels` is 2"):
        load(x, channels=2)


def test_labels():
    x = RNG.normal(size=(30, 2))
    names = np.array(["cat", "dog", "cow"] * 10)
    spec = load((x, names)).spec
    assert (spec.classes, spec.class_names) == (3, ("cat", "cow", "dog"))
    years = load((x, np.array([1990, 2000, 2010] * 10))).spec
    assert years.class_names == ("1990", "2000", "2010")
    assert load((x, np.arange(30.0) % 4)).spec.classes == 4
    assert load(x, labels=np.arange(30) % 5).spec.classes == 5
    for wrong, message in (
        (np.arange(29), "expected \\(30,\\)"),
        (np.arange(30) - 2, "label 0 is -2"),
        (np.full(30, -1), "label 0 is -1"),
        (np.full(30, 0.5), "label 0 is 0.5"),
        (np.full(30, np.nan), "label 0 is nan"),
    ):
        with pytest.raises(UserError, match=message):
            load((x, wrong))
    with pytest.raises(UserError, match="tuple of 4"):
        load((x, names, None, None))
    with pytest.raises(UserError, match="is no table"):
        load(x, labels="y")
