"""`vaekit disrupt` on a run in memory's reach: the matrix, the pictures, and what is refused in one line."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

import vaekit as library
from vaekit.cli.disrupt import matrix
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.disruption import Disruption
from vaekit.runs import Run


def pictures() -> Splits:
    """Bars of 8 x 8 pixels, of 6 places and 2 levels."""
    factors = torch.cartesian_prod(torch.arange(2), torch.arange(6))
    x = torch.zeros(12, 1, 8, 8)
    for number, (level, place) in enumerate(factors.tolist()):
        x[number, 0, :, place : place + 2] = (1 + level) / 2
    spec = Spec("bars", (1, 8, 8), "unit", 12, factors={"level": 2, "place": 6})
    data = ArrayData(spec, x, factors=factors)
    return Splits(data, data, data)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("disrupt") / "run"
    library.train("id_gan", pictures(), out=path, latents=2, hidden=(6,), epochs=2, second_epochs=2)
    return path


@pytest.fixture
def run(trained, monkeypatch):
    """A run whose data are at hand, as those of a named set would be."""
    monkeypatch.setattr(Run, "data", lambda self: pictures())
    return trained


def test_the_matrices_of_decoder_and_generator_and_their_pictures(vaekit, run, here):
    said = vaekit("disrupt", run, "--steps", 30, "--draws", 3, "--out", here / "a.png")
    assert said.code == 0, said.err
    assert "Read right: level " in said.out
    assert said.out.count("rate, nats") == 2
    assert "decoder, 12 test data, seed 0" in said.out
    assert "generator, 12 test data, seed 0" in said.out
    assert said.out.count("disruption disentanglement") == 2
    for name in ("a.png", "a-generator.png"):
        with Image.open(here / name) as picture:
            assert picture.size == ((2 + 3) * 50 + 2, 2 * 50 + 2)
    again = vaekit("disrupt", run, "--steps", 30, "--draws", 3, "--out", here / "a.png")
    assert again.out == said.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--limit", 1], "--limit is 1"),
        (["--steps", 0], "--steps is 0"),
        (["--draws", 12], "--draws 12, of 12 data"),
        (["--datum", 99], "--datum is 99"),
        (["--out", "a.csv"], ".csv"),
        (["--seed", -1], "--seed is -1"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(vaekit, run, here, words, expected):
    said = vaekit("disrupt", run, *words)
    assert said.code == 2
    assert expected in said.err
    assert len(said.err.splitlines()) == 1
    assert list(here.iterdir()) == []


def test_data_without_factors_are_refused(vaekit, tmp_path):
    x = torch.rand(12, 5)
    data = ArrayData(Spec("toy", (5,), "unit", 12), x)
    library.train("vae", Splits(data, data, data), out=tmp_path / "run", latents=2, hidden=(4,), epochs=1)
    said = vaekit("disrupt", tmp_path / "run")
    assert said.code == 2
    assert "ground truth" in said.err


def test_the_table():
    found = Disruption(
        ["z_0", "z_1"], ["x", "scale"], [[1.0, 0.25], [0.0, 0.0]], [1.5, None], [True, False], 9, 0
    )
    lines = [line.split() for line in matrix(found).splitlines()]
    assert lines[0] == ["x", "scale", "rate,", "nats"]
    assert lines[1] == ["z_0", "1.00", "0.25", "1.500", "x"]
    assert lines[2] == ["z_1", "0.00", "0.00", "-", "not", "active"]
    assert "0.75, mean over 1 active" in matrix(found)


def test_new_data_are_said_to_come_from_the_generator(vaekit, run, here):
    said = vaekit("sample", run, "-n", 3, "--out", here / "s.png")
    assert said.code == 0
    assert "z from the prior of the stage generator" in said.out
