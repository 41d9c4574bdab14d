"""Runs on flow fields: the parameters come back with the data, travel to later stages, and stay withheld."""

from __future__ import annotations

import pytest
import torch

import vaekit
from vaekit.data import flow_fields, load
from vaekit.models import without_withheld
from vaekit.runs import Run
from vaekit.stages import encoded_splits

SMALL = {"hidden": (8,), "weight": "rising", "start": 4, "alpha": 10.0}
OPTIONS = {"size": 17, "limit": 20, "labelled": 4, "labelled_seed": 3}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return vaekit.train(
        "hierarchical_prior_vae", "darcy", out=out, epochs=2, batch_size=8, data_options=OPTIONS, **SMALL
    )


def test_a_run_finds_its_data_and_their_parameters_again(run):
    again = Run.open(run.path)
    assert again.spec.theta == ("theta1", "theta2")
    assert again.spec.labelled == 4
    theta, expected = (splits.train.theta for splits in (again.data(), load("darcy", **OPTIONS)))
    torch.testing.assert_close(theta, expected, equal_nan=True)
    assert int((~theta[:, 0].isnan()).sum()) == 4
    model = again.model()
    codes = model.encode(again.data().test.take(range(5)))
    assert codes["z1"].shape == (5, 2)
    assert "theta" not in without_withheld(model, again.data().test.take(range(5)))


def test_what_is_told_is_recorded_in_training_and_zero_where_it_is_withheld(run):
    rows = run.metrics()
    assert all(row["train/told"] > 0 for row in rows)
    assert all(row["valid/told"] == 0 for row in rows)


def test_a_run_goes_on_bit_for_bit(run, tmp_path):
    settings = {"batch_size": 8, "data_options": OPTIONS, **SMALL}
    short = vaekit.train("hierarchical_prior_vae", "darcy", out=tmp_path / "short", epochs=1, **settings)
    resumed = vaekit.resume(short.path, epochs=2)
    whole = run.model().state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in resumed.model().state_dict().items())


def test_later_stages_know_the_parameters_too(tmp_path):
    splits = flow_fields(17, limit=12, labelled=3)
    model = vaekit.train(
        "vae", splits, out=tmp_path / "run", epochs=1, latents=2, hidden=(4,), likelihood="gaussian"
    ).model()
    codes = encoded_splits(splits, model, "z")
    assert (codes.spec.theta, codes.spec.labelled, codes.spec.shape) == (("theta1", "theta2"), 3, (2,))
    torch.testing.assert_close(codes.train.take(range(12))["theta"], splits.train.theta, equal_nan=True)
