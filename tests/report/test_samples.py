"""Samples stand where the condition is that they were drawn under."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.distributions import Bernoulli, Independent

from vaekit import recipes
from vaekit.data.spec import Spec
from vaekit.report import samples
from vaekit.report.codes import encode
from vaekit.report.pictures import Pixels
from vaekit.report.texts import sampled_texts
from vaekit.report.write import write_report

from .conftest import run_of, splits_of


class Shows:
    """Draws nothing: every sample is grey by what `grey` makes of its condition."""

    def __init__(self, grey):
        self.grey = grey

    def generate(self, n, context=None):
        assert len(context) == n
        mean = self.grey(context).view(n, 1, 1, 1).expand(n, 1, 6, 6)
        return Independent(Bernoulli(mean), 3)


@pytest.fixture
def codes(make_run):
    run = make_run("image")
    return encode(run.trained, run.splits.test, 40)


def levels(picture, left=0):
    """Grey level of every tile, (rows, columns), from `left` pixels on; those without one are None."""
    image = np.asarray(Image.open(io.BytesIO(picture.png))).astype(int)[:, left:]
    gap = 1
    return image[3 :: 6 + gap, 3 :: 6 + gap, 0]


def given_classes(codes, count, names=None):
    y = torch.arange(len(codes.means)) % count
    spec = Spec("blobs", (1, 6, 6), "binary", 40, context=(count,), classes=count, class_names=names)
    batch = {**codes.batch, "y": y, "c": torch.eye(count)[y]}
    shows = Shows(lambda c: c.argmax(1) / count)
    return Pixels.of(spec), replace(codes, batch=batch, source=shows)


def test_every_class_has_a_column(codes):
    pixels, given = given_classes(codes, 4, ("a", "<b>", "c", "d"))
    figure = samples.samples(pixels, given, True, "the mean")
    grid, noise = figure.pictures
    assert grid.label == "given, from left to right: a, <b>, c, d"
    assert levels(grid).tolist() == [[0, 64, 128, 191]] * 6
    assert "6 under each class" in figure.caption
    assert levels(noise).shape == (1, 4)
    assert levels(noise)[0, 0] == 0  # never white


def test_many_classes_have_a_line_of_columns_after_another(codes):
    pixels, given = given_classes(codes, 20)
    figure = samples.samples(pixels, given, False, "the mean")
    columns = pixels.columns(12)
    assert [p.label for p in figure.pictures] == [
        "given, from left to right: " + ", ".join(map(str, part)) for part in torch.arange(20).split(columns)
        for part in [part.tolist()]
    ]  # fmt: skip
    shown = np.concatenate([levels(p)[0] for p in figure.pictures])
    np.testing.assert_allclose(shown, 255 * np.arange(20) / 20, atol=1)


def test_of_very_many_classes_as_many_as_there_is_room_for(codes, monkeypatch):
    pixels, given = given_classes(codes, 20)
    monkeypatch.setattr(Pixels, "room", lambda self: 7)
    figure = samples.samples(pixels, given, False, "the mean")
    assert "1 under each of the first 7 of 20 classes" in figure.caption
    assert sum(levels(p).size for p in figure.pictures) == 7


def test_other_conditions_have_a_row_each_behind_their_datum(codes):
    c = torch.linspace(0.1, 0.9, len(codes.means)).unsqueeze(1)
    x = c.view(-1, 1, 1, 1).expand(-1, 1, 6, 6)  # a datum is as grey as its samples have to be
    given = replace(codes, batch={**codes.batch, "x": x, "c": c}, source=Shows(lambda c: c[:, 0]))
    pixels = Pixels.of(Spec("blobs", (1, 6, 6), "binary", 40, context=(1,)))
    figure = samples.samples(pixels, given, True, "the mean")
    columns = pixels.columns(12)
    expected = np.round(255 * c[:6].numpy()) * np.ones((6, columns - 1))
    np.testing.assert_allclose(levels(figure.pictures[0])[:, :1], expected[:, :1], atol=1)
    np.testing.assert_allclose(levels(figure.pictures[0], 6 + 4), expected, atol=1)
    assert "held-out datum that the row begins with" in figure.caption
    assert levels(figure.pictures[1], 6 + 4).shape == (1, columns - 1)


def test_texts_name_their_condition(tmp_path, page):
    spec = Spec(
        "lines", (5,), "categorical", 40, levels=3, vocabulary=("a", "b", "<i>"), context=(2,), classes=2,
        class_names=("<left>", "right"),
    )  # fmt: skip
    x, y = torch.randint(0, 3, (100, 5)).float(), torch.arange(100) % 2
    model = recipes.cvae(spec, latents=2, hidden=(8,)).model
    run = run_of(tmp_path, spec, model, splits_of(spec, x, y=y, c=torch.eye(2)[y]))
    codes = encode(model.eval(), run.splits.test, 40)
    names = [row[0] for row in sampled_texts(spec, codes).tables[0].rows]
    kinds = [spec.class_names[int(k)] for k in codes.batch["y"][:8]]
    assert names == [f"sample {i + 1}, given {kind}" for i, kind in enumerate(kinds)]
    unnamed = replace(codes, batch={k: v for k, v in codes.batch.items() if k != "y"})
    rows = sampled_texts(spec, unnamed).tables[0].rows
    assert [row[0] for row in rows][2] == "sample 3, given that of datum 3"
    text = write_report(run).read_text(encoding="utf-8")
    assert "<left>" not in text
    assert "samples" in page(text).sections
