"""Twenty seeded steps of every recipe give the stored losses.

After a change that is meant to move them, write them anew: `python tests/recipes/test_golden.py`.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
import torch

from vaekit import recipes
from vaekit.data.spec import Spec

STORED = Path(__file__).with_name("golden.json")
STEPS = 20


def losses(name, arguments):
    """Every player's loss at each step; weights, batches and noise are seeded."""
    kind = {"ppca": "real", "sigma_vae": "unit", "vae_gan": "unit", "cvae_gan": "unit"}.get(name, "binary")
    context = (3,) if name in ("cvae", "cvae_gan") else None
    classes = 3 if name == "cvae_gan" else None
    spec = Spec("toy", (1, 4, 4), kind, 20, context=context, classes=classes)
    torch.manual_seed(7)
    system = getattr(recipes, name)(spec, **arguments)
    x = torch.rand(20, 1, 4, 4)
    x = (x > 0.6).to(x.dtype) if kind == "binary" else x
    c = torch.randn(20, 3)
    y = torch.arange(20) % 3
    found = []
    for step in range(STEPS):
        rows = torch.arange(5 * step, 5 * step + 10) % 20
        given = {"c": c[rows]} if context else {}
        given |= {"y": y[rows]} if classes else {}
        said = system.procedure.step([{"x": x[rows], **given}])
        found.append([said[key].item() for key in said if key.endswith("loss")])
    return found


def test_twenty_steps_are_as_stored(name, small):
    stored = json.loads(STORED.read_text())
    assert name in stored, f"{STORED.name} has no {name!r}: run python {Path(__file__).name}"
    for step, (ours, theirs) in enumerate(zip(losses(name, small[name]), stored[name], strict=True)):
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-6), f"step {step}"


def test_nothing_stored_is_out_of_date():
    assert sorted(json.loads(STORED.read_text())) == recipes.names


def write() -> None:
    """Store what the recipes do now."""
    torch.set_default_dtype(torch.float64)
    small = runpy.run_path(str(Path(__file__).with_name("conftest.py")))["SMALL"]
    rows = [f"{json.dumps(name)}: {json.dumps(losses(name, small[name]))}" for name in recipes.names]
    STORED.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    write()
