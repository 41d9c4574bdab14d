"""The doctor looks at a run of every recipe, whatever it is made of, and comes to an end."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

import vaekit
from vaekit import recipes
from vaekit.cli import main

SMALL = runpy.run_path(str(Path(__file__).parents[1] / "recipes" / "conftest.py"))["SMALL"]

GREY = {"kind": "unit", "binarise": "none"}
DATA = {
    "ada_gvae": ("mini_sprites", {"pairs": 1}),
    "cvae": ("digits", {"context": "labels"}),
    "cvae_gan": ("digits", {**GREY, "context": "labels"}),
    "flow_density": ("digits", {"kind": "real"}),
    "hierarchical_prior_vae": ("darcy", {"labelled": 6, "size": 17}),
    "id_gan": ("digits", GREY),
    "id_gan_generator": ("digits", GREY),
    "latent_vae": ("digits", {"kind": "real"}),
    "m1_m2": ("digits", {"labelled": 20}),
    "m2": ("digits", {"labelled": 20}),
    "ppca": ("digits", {"kind": "real"}),
    "sigma_vae": ("digits", GREY),
    "structured_vae": ("digits", GREY),
    "two_stage_vae": ("digits", GREY),
    "vae_gan": ("digits", GREY),
}
"""Data of recipes that are not tried on binary digits."""

HEIRS = ("id_gan_generator",)
"""Trained as stages alone."""

SEAMS = ("factor_vae", "hvae", "m2", "two_stage_vae", "vq_vae")
"""A game, a hierarchy, labels, stages and codes: what is looked at every time; the rest takes longer."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in SEAMS else pytest.mark.slow)
        for name in recipes.names
        if name not in HEIRS
    ],
)
def test_a_run_of_every_recipe_is_examined(name, tmp_path, capsys):
    """Three steps: a model that is no good, of which everything may be said and nothing may break."""
    source, options = DATA.get(name, ("digits", {}))
    run = vaekit.train(
        name, source, out=tmp_path / "run", epochs=3, steps=3, batch_size=30, device="cpu",
        data_options={"limit": 60, **options}, **SMALL[name],
    )  # fmt: skip
    before = {path.name: path.stat().st_mtime_ns for path in run.path.iterdir()}
    assert main(["doctor", str(run.path), "--json", str(tmp_path / "said.json")]) == 0
    said = json.loads((tmp_path / "said.json").read_text())
    found = {finding["key"] for finding in said["findings"]}
    assert "no_data" not in found  # all of it was looked at
    assert sum(finding["key"] == "not_checked" for finding in said["findings"]) <= 1
    assert said["verdict"] in capsys.readouterr().out
    assert before == {path.name: path.stat().st_mtime_ns for path in run.path.iterdir()}
