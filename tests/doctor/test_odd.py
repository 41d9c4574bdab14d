"""Odd data are examined, too: the smallest, the flattest, every type, every source."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from vaekit.data import load
from vaekit.doctor import examine_data, record_of
from vaekit.errors import UserError


def draw(kind: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(0)
    if kind == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if kind == "int8":
        return rng.integers(-90, 90, shape).astype(np.int8)
    if kind == "constant":
        return np.full(shape, 2.5)
    if kind == "huge":
        return rng.normal(size=shape) * 1e30
    return rng.normal(size=shape).astype(kind)


@pytest.mark.parametrize("kind", ["float16", "float64", "bool", "int8", "constant", "huge"])
@pytest.mark.parametrize(
    "shape", [(3, 1), (3, 4), (12, 2), (60, 1), (80, 3, 8, 8), (70, 2, 3, 4, 5)], ids=str
)
def test_every_type_and_shape(kind, shape):
    findings = examine_data(draw(kind, shape))
    keys = [finding.key for finding in findings]
    assert keys.count("start") == 1
    assert keys.count("kind") == 1
    for finding in findings:
        assert finding.title
        assert finding.measured
        assert "nan" not in finding.measured.lower().split()
    json.dumps(record_of("made", findings), allow_nan=False)


def test_every_source(tmp_path):
    rng = np.random.default_rng(0)
    x, y, c = rng.normal(size=(200, 4)), rng.integers(-1, 3, 200), rng.normal(size=(200, 2))
    np.savez(tmp_path / "all.npz", x=x, y=y, c=c)
    np.save(tmp_path / "large.npy", rng.integers(0, 256, (90, 16, 16)).astype(np.uint8))
    (tmp_path / "pictures" / "a").mkdir(parents=True)
    (tmp_path / "pictures" / "b").mkdir()
    for k in range(60):
        noise = rng.integers(0, 256, (9, 9, 3)).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / "pictures" / "ab"[k % 2] / f"{k}.png")
    sources = [
        ((x, y), {}),
        ((torch.from_numpy(x), None, c), {}),
        (load(x), {}),
        (load("digits", labelled=100), {}),
        (load("mini_sprites", pairs=1, limit=300), {}),
        (str(tmp_path / "all.npz"), {}),
        (str(tmp_path / "large.npy"), {"memory": 10}),  # stays on the disk
        (str(tmp_path / "pictures"), {"memory": 10}),
        (tmp_path / "pictures", {"channels": 1, "size": 6}),
        ("digits", {"context": "quadrant2"}),
        ("digits", {"binarise": "none", "limit": 90, "labels": None}),
    ]
    for data, options in sources:
        findings = examine_data(data, data_options=options)
        assert {"kind", "start"} <= {finding.key for finding in findings}
        assert not any("--memory" in finding.command for finding in findings)
        if not isinstance(data, str) and not hasattr(data, "exists"):
            assert not any(finding.command for finding in findings)  # it has no name on a command line


def test_large_sets_are_looked_at_in_part(monkeypatch):
    from vaekit.doctor import sample

    monkeypatch.setattr(sample, "MOST_ROWS", 300)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 4))
    x[:, 1] = 3.0
    [found] = [f for f in examine_data(x, seed=5) if f.key == "constant_columns"]
    assert "240 of 1,600 training rows, drawn by seed 5" in found.measured
    assert [f.measured for f in examine_data(x, seed=5)] == [f.measured for f in examine_data(x, seed=5)]


def test_what_is_no_data_is_refused():
    for data, options, error in (
        ("nowhere", {}, UserError),
        (None, {}, UserError),
        (np.array(["a", "b"]), {}, UserError),
        (np.zeros((2, 3)), {}, UserError),
        (np.full((9, 3), np.nan), {"kind": "binary"}, None),  # nothing is left, and it is said
        ("digits", {"sice": 8}, TypeError),
    ):
        if error is None:
            [finding] = examine_data(data, data_options=options)
            assert finding.key == "not_finite"
        else:
            with pytest.raises(error):
                examine_data(data, data_options=options)


def test_the_rest_of_refused_data_is_examined(tmp_path):
    """Rows keep their numbers, and commands leave out what was in the way."""
    rng = np.random.default_rng(0)
    rows = [[f"{value:.4f}" for value in row] for row in rng.normal(size=(200, 3))]
    for k in (1, 2):
        rows[k][2] = ""
    rows[50][0] = "9999"
    path = tmp_path / "t.csv"
    path.write_text("a,b,c,who\n" + "".join(f"{','.join(row)},no {k}\n" for k, row in enumerate(rows)))
    found = {finding.key: finding for finding in examine_data(str(path))}
    assert {"text_columns", "missing_values", "outliers"} <= set(found)
    assert "row 50" in found["outliers"].measured
    for finding in found.values():
        if finding.command:
            assert f"{path} --drop c who" in finding.command
