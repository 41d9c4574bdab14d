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


def losses(name, arguments, fitting):
    """Every player's loss at each step; weights, batches and noise are seeded."""
    rest = dict(fitting)
    kind, context = rest.pop("kind", "binary"), (3,) if rest.pop("context", False) else None
    spec = Spec("toy", rest.pop("shape", (1, 4, 4)), kind, 20, context=context, **rest)
    torch.manual_seed(7)
    system = getattr(recipes, name)(spec, **arguments)
    x = torch.rand(20, *spec.shape)
    x = (x > 0.6).to(x.dtype) if kind == "binary" else x
    c = torch.randn(20, 3)
    y = torch.arange(20) % 3
    found = []
    for step in range(STEPS):
        rows = torch.arange(5 * step, 5 * step + 10) % 20
        given = {"c": c[rows]} if context else {}
        if spec.classes:  # every other label is known, where not all have to be
            y = rows % spec.classes
            given |= {"y": y if "labelled" not in fitting else torch.where(rows % 2 == 0, y, -1)}
        if spec.theta:
            waves = torch.stack([(rows * (k + 1.0)).sin() for k in range(len(spec.theta))], 1)
            given |= {"theta": waves.masked_fill(rows[:, None] % 2 == 1, torch.nan)}
        if spec.pairs is not None:
            given["partner"] = x[rows.flip(0)]
        said = system.procedure.step([{"x": x[rows], **given}])
        found.append([said[key].item() for key in said if key.endswith("loss")])
    return found


def test_twenty_steps_are_as_stored(name, small, fits):
    stored = json.loads(STORED.read_text())
    assert name in stored, f"{STORED.name} has no {name!r}: run python {Path(__file__).name}"
    for step, (ours, theirs) in enumerate(
        zip(losses(name, small[name], fits.get(name, {})), stored[name], strict=True)
    ):
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-6), f"step {step}"


def test_nothing_stored_is_out_of_date():
    assert sorted(json.loads(STORED.read_text())) == recipes.names


def write() -> None:
    """Store what the recipes do now."""
    torch.set_default_dtype(torch.float64)
    shared = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
    small, fits = shared["SMALL"], shared["FITTING"]
    rows = [
        f"{json.dumps(name)}: {json.dumps(losses(name, small[name], fits.get(name, {})))}"
        for name in recipes.names
    ]
    STORED.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    write()
