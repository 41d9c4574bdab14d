"""Data with one planted fault each: the doctor names it, with the right numbers, and offers what runs."""

from __future__ import annotations

import csv
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vaekit.cli import main
from vaekit.cli.parsing import parse
from vaekit.cli.train import _form
from vaekit.data import ArrayData, Spec, Splits
from vaekit.doctor import classes, columns, identity, images, kinds, order, rows, start, values
from vaekit.doctor.data import CHECKS
from vaekit.doctor.finding import Finding
from vaekit.doctor.refused import sample_or_findings

Made = tuple[Any, dict[str, Any]]


@dataclass(frozen=True)
class Planted:
    """A fault.

    Args:
        key: of the finding.
        check: that finds it; None where the data are refused.
        make: (generator, folder) -> data and data options.
        told: words of `measured`.
        severity: of the finding.
        title: words of the title.
    """

    key: str
    check: Callable[..., Any] | None
    make: Callable[[np.random.Generator, Path], Made]
    told: tuple[str, ...]
    severity: str = "warning"
    title: tuple[str, ...] = field(default=())


def gaussian(rng: np.random.Generator, n: int = 600, d: int = 5) -> np.ndarray:
    """Healthy rows: correlated Gaussian columns of several scales, with noise of their own."""
    mixed = rng.normal(size=(n, 3)) @ rng.normal(size=(3, d)) + rng.normal(size=(n, d))
    return mixed * np.linspace(1, 9, d) + np.arange(d)


def saved(folder: Path, x: np.ndarray) -> Path:
    np.save(folder / "x.npy", x)
    return folder / "x.npy"


def table(folder: Path, x: Any, names: str | None = None) -> Path:
    """A CSV file; columns are called a, b, c, ..."""
    rows = x.tolist() if isinstance(x, np.ndarray) else x
    with (folder / "t.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(names or "abcdefghijklmnopqrstuvwxyz"[: len(rows[0])])
        writer.writerows(rows)
    return folder / "t.csv"


def put(x: np.ndarray, k: int, column: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[:, k] = column
    return x


def parts(train: np.ndarray, test: np.ndarray, **spec: Any) -> Splits:
    """Real data that are already split, half of the test data for validation."""
    about = Spec("made", train.shape[1:], "real", len(train), **spec)
    half = len(test) // 2
    return Splits(*(ArrayData(about, torch.from_numpy(x).float()) for x in (train, test[half:], test[:half])))


def labelled(rng: np.random.Generator, folder: Path, counts: tuple[int, ...]) -> Made:
    """Gaussian rows with labels 0, 1, ... that many times, in random order."""
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    np.savez(folder / "x.npz", x=gaussian(rng, len(y)), y=y)
    return folder / "x.npz", {}


def smooth(rng: np.random.Generator, n: int, side: int, channels: int = 1) -> np.ndarray:
    """Pictures (n, channels, side, side) of soft waves, bytes away from both ends."""
    axis = np.linspace(0, 3, side)
    phase = rng.uniform(0, 6, (n, channels, 2, 1))
    waves = np.sin(axis + phase[:, :, 0])[..., :, None] * np.sin(axis + phase[:, :, 1])[..., None, :]
    return (128 + 90 * waves + rng.normal(0, 3, (n, channels, side, side))).clip(5, 250).astype(np.uint8)


def near(rng: np.random.Generator, folder: Path) -> Made:
    x = gaussian(rng, 800)
    x[400:440] = x[:40] + 1e-4 * rng.normal(size=(40, 5))
    return parts(x, gaussian(rng, 200)), {}


def near_leak(rng: np.random.Generator, folder: Path) -> Made:
    world = np.random.default_rng(7)
    mixing = world.normal(size=(5, 5))
    x = rng.normal(size=(1000, 5)) @ mixing
    x[800:830] = x[:30] + 1e-4 * rng.normal(size=(30, 5))  # the first of the test data
    return parts(x[:800], x[800:]), {}


def leak(rng: np.random.Generator, folder: Path) -> Made:
    x = gaussian(rng, 600)
    test = gaussian(rng, 200)
    test[:20] = x[:20]
    return parts(x, test), {}


def duplicates(rng: np.random.Generator, folder: Path) -> Made:
    x = gaussian(rng, 600)
    x[500:530] = x[0]
    return parts(x, gaussian(rng, 200)), {}


def label_leak(rng: np.random.Generator, folder: Path) -> Made:
    y = rng.integers(0, 3, 600)
    x = put(gaussian(rng), 2, 4.0 * y + rng.normal(0, 0.3, 600))
    return table(folder, [[*row, "abc"[k]] for row, k in zip(x.tolist(), y, strict=True)]), {"labels": "f"}


def one_hot(rng: np.random.Generator, folder: Path) -> Made:
    classes = np.eye(4)[rng.integers(0, 4, 600)]
    return table(folder, np.concatenate([gaussian(rng), classes], axis=1)), {}


def dependent(rng: np.random.Generator, folder: Path) -> Made:
    x = gaussian(rng)
    return table(folder, put(x, 4, x[:, 0] + 2 * x[:, 1] - x[:, 2])), {}


def same(rng: np.random.Generator, folder: Path) -> Made:
    x = gaussian(rng)
    return table(folder, put(x, 3, 32 + 1.8 * x[:, 1])), {}


def outliers(rng: np.random.Generator, folder: Path) -> Made:
    x = gaussian(rng)
    x[:, 1] = rng.normal(0, 1, len(x))
    x[17, 1] = 5_000.0
    return table(folder, x), {"seed": 3}


def missing_classes(rng: np.random.Generator, folder: Path) -> Made:
    x = rng.normal(size=(600, 5)).astype(np.float32)
    y = rng.integers(0, 3, 600)
    y[500:] = rng.integers(1, 5, 100)
    about = Spec("made", (5,), "real", 400, classes=5)
    cuts = (slice(0, 400), slice(400, 500), slice(500, 600))
    made = [ArrayData(about, torch.from_numpy(x[cut]), torch.from_numpy(y[cut])) for cut in cuts]
    return Splits(*made), {}


def clipped(rng: np.random.Generator, folder: Path) -> Made:
    x = smooth(rng, 200, 16).astype(float) * 1.5
    return saved(folder, x.clip(0, 255).astype(np.uint8)), {}


def bare(rng: np.random.Generator, folder: Path) -> Made:
    x = smooth(rng, 200, 16)
    x[:, :, :4] = 7  # a quarter
    return saved(folder, x), {}


def drift(rng: np.random.Generator, folder: Path) -> Made:
    x = gaussian(rng)
    x[:, 2] += np.linspace(0, 6 * x[:, 2].std(), len(x))
    return saved(folder, x), {}


def by_label(rng: np.random.Generator, folder: Path) -> Made:
    y = np.repeat([0, 1], 300)
    np.savez(folder / "x.npz", x=put(gaussian(rng), 0, 30.0 * y + rng.normal(size=600)), y=y)
    return folder / "x.npz", {}


def shift(rng: np.random.Generator, folder: Path) -> Made:
    mixing = rng.normal(size=(5, 5))
    train, test = (rng.normal(size=(n, 5)) @ mixing for n in (600, 400))
    return parts(train, test * 2), {}  # the same means: only the squares tell


def text(rng: np.random.Generator, folder: Path) -> Made:
    x = gaussian(rng, 100).tolist()
    rows = [[*row, ["red", "green"][k % 2], f"number {k}"] for k, row in enumerate(x)]
    return table(folder, rows), {}


def holes(cell: str) -> Callable[[np.random.Generator, Path], Made]:
    def make(rng: np.random.Generator, folder: Path) -> Made:
        rows = gaussian(rng, 100).tolist()
        for k in (3, 30, 31):
            rows[k][2] = cell
        rows[40][4] = cell
        return table(folder, rows), {}

    return make


def not_finite(rng: np.random.Generator, folder: Path) -> Made:
    x = gaussian(rng)
    x[3, 2] = x[4, 2] = np.nan
    x[4, 0] = np.inf
    return saved(folder, x), {}


def mixed_sizes(rng: np.random.Generator, folder: Path) -> Made:
    place = folder / "pictures"
    place.mkdir()
    for k in range(30):
        side = 30 if k < 20 else 35
        Image.fromarray(smooth(rng, 1, side)[0, 0]).save(place / f"{k}.png")
    return place, {}


def counts(rng: np.random.Generator, folder: Path) -> Made:
    return table(folder, rng.poisson(40.0, (600, 3))), {}


def column(k: int, draw: Callable[[np.random.Generator], np.ndarray]) -> Callable[..., Made]:
    """A healthy table of 600 rows, one of whose columns is another."""
    return lambda rng, folder: (table(folder, put(gaussian(rng), k, draw(rng))), {})


def array(draw: Callable[[np.random.Generator], np.ndarray]) -> Callable[..., Made]:
    """A file of an array."""
    return lambda rng, folder: (saved(folder, draw(rng)), {})


PLANTED = [
    Planted("kind", kinds.kind,
            lambda rng, folder: (gaussian(rng), {}), ("480 + 60 + 60", "5 columns", "float64"), "note"),
    Planted("bytes_as_numbers", kinds.bytes_as_numbers,
            array(lambda rng: smooth(rng, 60, 8).astype(np.float64)),
            ("stored as float64", "taken as real"), "problem"),
    Planted("bytes_as_numbers", kinds.bytes_as_numbers,
            array(lambda rng: smooth(rng, 60, 8).reshape(60, -1).astype(np.int64)),
            ("stored as int64", "taken as count"), "problem"),
    Planted("two_values", kinds.two_values,
            array(lambda rng: rng.choice([-1.0, 1.0], (200, 6))), ("-1 or 1", "real")),
    Planted("two_values", kinds.two_values,
            array(lambda rng: rng.choice([0, 255], (200, 8, 8)).astype(np.uint8)),
            ("0 or 255", "unit")),
    Planted("whole_numbers", kinds.whole_numbers, counts, ("1,800 values are whole", "taken as real")),
    Planted("scale", kinds.scale,
            array(lambda rng: 500 + 40 * rng.normal(size=(300, 2, 6, 6))),
            ("mean 500", "deviation 39.8")),
    Planted("leak", rows.leaks, leak, ("20 of 100 (20 %) test rows",), "problem"),
    Planted("shared_grid", rows.leaks, lambda rng, folder: ("mini_sprites", {}), ("1,440 points",), "note"),
    Planted("near_duplicates", rows.near_duplicates, near, ("80 of 800 (10 %) training rows",)),
    Planted("near_leak", rows.near_duplicates, near_leak, ("30 of 100 (30 %) test rows",)),
    Planted("duplicates", rows.duplicates, duplicates, ("30 of 600 (5 %)", "stands there 31 times")),
    Planted("label_leak", identity.label_leak, label_leak,
            ("300 rows that it has not seen", "c errs on 0 %")),
    Planted("id_columns", identity.id_columns,
            column(1, lambda rng: rng.permutation(600) + 1000.0),
            ("all different in 600 rows",), title=("b",)),
    Planted("time_columns", identity.time_columns,
            column(3, lambda rng: np.cumsum(rng.exponential(size=600))),
            ("no step in the other direction in 600 rows",), title=("d",)),
    Planted("groups", identity.groups,
            column(0, lambda rng: np.repeat(rng.permutation(60), 10).astype(float)),
            ("a: 60 of 60 (100 %) of the test rows",), title=("by a",)),
    Planted("constant_columns", columns.constant_columns,
            column(2, lambda rng: np.full(600, 4.0)),
            ("1 of 5 columns", "480 training rows"), title=(": c",)),
    Planted("nearly_constant_columns", columns.nearly_constant_columns,
            column(2, lambda rng: np.where(np.arange(600) % 200, 0.5, rng.normal(size=600))),
            ("c (99",), title=(": c",)),
    Planted("one_hot", columns.one_hot, one_hot, ("600 rows",), title=("f .. i (4 classes)",)),
    Planted("same_columns", columns.same_columns, same, ("b and d (r = 1.00000)",), title=(": d",)),
    Planted("dependent_columns", columns.dependent_columns, dependent,
            ("480 training rows: e (",), title=(": e",)),
    Planted("discrete_columns", values.discrete_columns,
            column(4, lambda rng: rng.integers(0, 7, 600).astype(float)),
            ("e 7",), title=("e",)),
    Planted("outliers", values.outliers, outliers,
            ("1 of 480 training rows", "b = 5,000 in row 17"), title=("in b",)),
    Planted("heavy_tails", values.heavy_tails,
            column(1, lambda rng: np.exp(2 * rng.normal(size=600))),
            ("480 training rows: b 2.08 %",), title=("in b",)),
    Planted("missing_classes", classes.missing_classes, missing_classes,
            ("5 classes are held out, 3 of them", "47 of 100 (47 %) test data"), title=("3 and 4",)),
    Planted("rare_classes", classes.rare_classes, lambda rng, folder: labelled(rng, folder, (400, 390, 6)),
            ("an equal share of 3 classes would be",), title=("2",)),
    Planted("unknown_labels", classes.unknown_labels, lambda rng, folder: ("digits", {"labelled": 100}),
            ("1,337 of 1,437 (93 %)",), "note"),
    Planted("picture_size", images.picture_size, array(lambda rng: smooth(rng, 30, 48)),
            ("1 x 48 x 48 = 2,304 values",)),
    Planted("grey_as_colour", images.grey_as_colour,
            array(lambda rng: np.repeat(smooth(rng, 60, 8), 3, axis=1)), ("60 pictures",)),
    Planted("clipped", images.clipped, clipped, ("exactly white (1)", "160 training pictures")),
    Planted("bare_pixels", images.bare_pixels, bare, ("25 % of 256 values",), "note"),
    Planted("drift", order.drift, drift, ("ROC curve of 0.98", "270 rows"), title=("change along the file",)),
    Planted("drift", order.drift, by_label, ("differ by 100 %",), "note", ("sorted by label",)),
    Planted("shift", order.shift, shift, ("400 rows that it has not seen",)),
    Planted("few_data", start.few_data, array(lambda rng: gaussian(rng, 60, 100)),
            ("48 training data of 100 values",)),
    Planted("start", start.start,
            lambda rng, folder: (gaussian(rng), {}), ("linear directions", "(TwoNN)"), "note"),
    Planted("text_columns", None, text,
            ("2 of 7 columns", "f (2 different, such as 'red')"), "problem", ("f and g",)),
    Planted("missing_values", None, holes("NA"), ("4 of 100 (4 %) rows", "c 3 and e 1"), "problem"),
    Planted("not_finite", None, holes("-inf"), ("4 of 100 (4 %) rows", "c 3 and e 1"), "problem"),
    Planted("stray_text", None, holes("12,5 kg"), ("c 3, such as '12,5 kg' and e 1",), "problem"),
    Planted("not_finite", None, not_finite, ("2 values are NaN and 1 infinite", "2 of 600"), "problem"),
    Planted("mixed_sizes", None, mixed_sizes,
            ("2 sizes among 30 pictures", "30x30 (20) and 35x35 (10)"), "problem"),
]  # fmt: skip


def found_by(planted: Planted, folder: Path, seed: int = 0) -> list[Finding]:
    """What one check alone finds; of refused data, what is said of them."""
    data, options = planted.make(np.random.default_rng(seed), folder)
    source = str(data) if isinstance(data, Path) else data
    sample, findings = sample_or_findings(source, options, 0)
    if planted.check is None:
        return findings
    assert not findings
    assert sample is not None
    return planted.check(sample)


def each(planted: Planted) -> str:
    return f"{planted.key}-{PLANTED.index(planted)}"


@pytest.mark.parametrize("planted", PLANTED, ids=each)
def test_a_planted_fault_is_named_with_its_numbers(planted, tmp_path):
    findings = [finding for finding in found_by(planted, tmp_path) if finding.key == planted.key]
    assert len(findings) == 1
    [finding] = findings
    for words in planted.told:
        assert words in finding.measured
    for words in planted.title:
        assert words in finding.title
    assert finding.severity == planted.severity
    assert finding.meaning
    assert finding.change
    if finding.command:
        *before, command = finding.command.split(" && ")
        assert all(line.startswith(("python -c ", "awk ")) for line in before)
        parsed(command)


def test_every_check_has_its_planted_fault():
    """So that none can be taken away unnoticed: a check alone finds what is planted for it."""
    assert {planted.check for planted in PLANTED} - {None} == set(CHECKS)


def parsed(command: str) -> list[str]:
    """The words of a `vaekit train` command, if it can be read."""
    program, train, recipe, *rest = shlex.split(command)
    assert (program, train) == ("vaekit", "train")
    parse(_form(recipe), [recipe, *rest], "vaekit train")
    return [train, recipe, *rest]


RUN = ["bytes_as_numbers", "constant_columns", "duplicates", "text_columns", "mixed_sizes", "start"]


@pytest.mark.parametrize("key", RUN)
def test_what_is_offered_can_be_run(key, tmp_path, monkeypatch):
    """Also where it begins with another program; and then the fault is gone."""
    planted = next(planted for planted in PLANTED if planted.key == key)
    if key in ("duplicates", "start"):  # those have no file
        x = gaussian(np.random.default_rng(0), 60)
        x[40:50] = x[0]
        planted = Planted(key, planted.check, lambda rng, folder: (table(folder, x), {}), ())
    [finding] = [finding for finding in found_by(planted, tmp_path) if finding.key == key]
    monkeypatch.chdir(tmp_path)
    *before, command = finding.command.split(" && ")
    for line in before:
        if line.startswith("python -c "):
            exec(shlex.split(line)[2])
        else:
            subprocess.run(line, shell=True, check=True)
    words = parsed(command)
    assert main([*words, "--steps", "2", "--nll-samples", "0", "--no-report", "--out", "run"]) == 0
    if planted.check is not None and key != "start":
        source, options = words[2], {"drop": words[4:]} if "--drop" in words else {}
        sample, _ = sample_or_findings(source, options, 0)
        assert sample is not None
        assert planted.check(sample) == []
