"""Tiny trained runs that the tests of the explorer share, and what the page is told of each."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

import vaekit
from vaekit.data import ArrayData, Splits
from vaekit.data.spec import Spec
from vaekit.explorer import payload


@pytest.fixture(scope="session")
def small():
    """The model of small.py, which is no module of the package."""
    spec = importlib.util.spec_from_file_location("small", Path(__file__).with_name("small.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def digits_run(folder):
    """8x8 pictures with labels, 5 latents."""
    return vaekit.train("vae", "digits", latents=5, hidden=(32,), epochs=2, out=folder / "digits")


@pytest.fixture(scope="session")
def table_run(folder):
    """A CSV table of four columns, one of which has a name that a page has to escape; two latents."""
    rng = np.random.Generator(np.random.PCG64(0))
    base = rng.standard_normal((240, 2))
    rows = np.column_stack([
        20 + 5 * base[:, 0],
        1000 * base[:, 0] + 100 * rng.standard_normal(240),
        base[:, 1],
        base.sum(1) + 3,
    ])  # fmt: skip
    path = folder / "people.csv"
    lines = ['age,income,"<b>""x""</b> & y",height', *(",".join(f"{v:.4f}" for v in row) for row in rows)]
    path.write_text("\n".join(lines))
    return vaekit.train("vae", path, latents=2, hidden=(16,), epochs=3, out=folder / "table")


def squares(count=300, side=64, seed=0):
    """64x64 pictures of one white square: its place, its size and whether it is hollow are the factors."""
    rng = np.random.Generator(np.random.PCG64(seed))
    sizes = {"hollow": 2, "x": 8, "y": 8, "size": 4, "constant": 1}
    factors = np.column_stack([rng.integers(0, n, count) for n in sizes.values()])
    x = np.zeros((count, 1, side, side), dtype=np.uint8)
    for picture, (hollow, across, down, size, _) in zip(x[:, 0], factors, strict=True):
        width = 8 + 4 * size
        top, left = down * 5, across * 5
        picture[top : top + width, left : left + width] = 1
        if hollow:
            picture[top + 3 : top + width - 3, left + 3 : left + width - 3] = 0
    spec = Spec("squares", (1, side, side), "binary", 200, factors=sizes)
    whole = ArrayData(spec, torch.from_numpy(x), factors=torch.from_numpy(factors))
    parts = torch.arange(count).split([count - 100, 20, 80])
    return Splits(*(whole.subset(rows) for rows in parts))


@pytest.fixture(scope="session")
def squares_run(folder):
    """64x64 binary pictures with known factors, in memory, 6 latents."""
    return vaekit.train(
        "beta_vae", squares(), latents=6, hidden=(64,), architecture="mlp", epochs=4, out=folder / "squares"
    )


@pytest.fixture(scope="session")
def given_run(folder):
    """8x8 pictures given their class, 3 latents: p(z|class) is narrow, and lies elsewhere for every class."""
    run = vaekit.train(
        "cvae", "digits", latents=3, hidden=(8,), steps=1, data_options={"context": "labels"}, device="cpu",
        out=folder / "given-class",
    )  # fmt: skip
    model = run.model()
    head = [part for part in model.priors.modules() if isinstance(part, torch.nn.Linear)][-1]
    with torch.no_grad():
        head.weight[:3] *= 40
        head.weight[3:] = 0
        head.bias[3:] = -2
    run.save_weights(model)
    return run


@pytest.fixture(scope="session")
def given_payload(given_run):
    return payload(given_run)


@pytest.fixture(scope="session")
def digits_payload(digits_run):
    return payload(digits_run)


@pytest.fixture(scope="session")
def table_payload(table_run):
    return payload(table_run)


@pytest.fixture(scope="session")
def squares_payload(squares_run):
    return payload(squares_run)
