"""Training on ground truth: resumed in the middle of an epoch, and taken up again by name."""

from __future__ import annotations

import pytest
import torch

import vaekit
from vaekit.errors import UserError
from vaekit.runs import Run

SMALL = {"latents": 2, "hidden": (4,), "batch_size": 16, "architecture": "mlp"}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def stopped_after(steps):
    count = []

    def show(at, batches, means):
        count.append(1)
        return len(count) == steps

    return show


@pytest.mark.parametrize("name", ["color_dsprites", "noisy_dsprites", "mini_xy"])
@pytest.mark.parametrize("stop", [2, 5])
def test_what_is_drawn_beside_the_factors_is_resumed_bit_for_bit(name, stop, tmp_path):
    options = {"data_options": {"limit": 60}, "epochs": 2, **SMALL}
    whole = vaekit.train("vae", name, out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        vaekit.train("vae", name, out=tmp_path / "cut", show=stopped_after(stop), **options)
    torch.randn(10)
    resumed = vaekit.resume(tmp_path / "cut")  # the data come back by their recorded name
    assert same(whole.state()[0], resumed.state()[0])
    assert same(whole.model().state_dict(), resumed.model().state_dict())


def test_a_run_knows_its_ground_truth(tmp_path):
    run = vaekit.train(
        "vae", "xysquares", out=tmp_path / "run", steps=2, data_options={"limit": 20, "spacing": 3}, **SMALL
    )
    assert run.record["data"]["options"] == {"limit": 20, "spacing": 3}
    found = Run.open(run.path).ground_truth()
    assert len(found.grid) == 262_144
    assert found.spacing == 3
    digits = vaekit.train(
        "vae", "digits", out=tmp_path / "digits", steps=1, data_options={"limit": 5}, **SMALL
    )
    with pytest.raises(UserError, match="no known factors"):
        digits.ground_truth()


def test_better_words_in_a_note_do_not_make_other_data(tmp_path):
    run = vaekit.train("vae", "mini_xy", out=tmp_path / "run", steps=1, data_options={"limit": 20}, **SMALL)
    spec = {**run.record["spec"], "note": "said otherwise"}
    run.update(spec=spec)
    assert len(Run.open(run.path).data().train) == 20
    run.update(spec={**spec, "size": 19})
    with pytest.raises(UserError, match="changed since"):
        Run.open(run.path).data()
