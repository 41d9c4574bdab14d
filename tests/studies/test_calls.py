"""What a call is, and that its hash covers what changes results and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from vaekit.errors import UserError
from vaekit.studies import Study, chain, fixed, product, read, sweep
from vaekit.studies.call import Call

BASE = {"recipe": "beta_vae", "data": "digits"}


def one(settings=None, scores=None, **about):
    [call] = Study.of(fixed(BASE | (settings or {})), scores or {}, **about).calls
    return call


def test_the_order_in_which_settings_are_said_does_not_matter():
    said = {"arguments": {"beta": 2.0, "latents": 3}, "seed": 4, "training": {"steps": 5, "clip": 1.0}}
    turned = {"training": {"clip": 1.0, "steps": 5}, "seed": 4, "arguments": {"latents": 3, "beta": 2.0}}
    assert one(said) == one(turned)
    assert one(said).hash == one(turned).hash
    assert Call.from_json(json.loads(json.dumps(one(said).to_json()))).hash == one(said).hash


@pytest.mark.parametrize("settings", [
    {"arguments.beta": 5.0}, {"arguments.latents": 11}, {"arguments.hidden": [5]}, {"seed": 1},
    {"data": {"name": "digits", "limit": 30}}, {"data": {"name": "digits", "seed": 1}},
    {"data": {"name": "digits", "binarise": "threshold"}}, {"training.steps": 3}, {"training.batch_size": 9},
    {"training.weights": "last"}, {"training.precision": "bfloat16"}, {"recipe": "annealed_vae"},
])  # fmt: skip
def test_every_value_changes_the_hash(settings):
    base = {} if "data" not in settings else {"data": settings["data"]}
    rest = {name: value for name, value in settings.items() if name != "data"}
    assert one(rest | base).hash != one().hash


def test_scores_and_their_settings_change_the_hash():
    hashes = {
        one(scores=scores).hash
        for scores in (
            {},
            {"evaluation": {}},
            {"evaluation": {"seed": 1}},
            {"evaluation": {"samples": 5}},
            {"held": {"take": "evaluation"}},
        )
    }
    assert len(hashes) == 5


def test_what_is_said_otherwise_is_the_same_call():
    assert one({"arguments.beta": 4}).hash == one({"arguments.beta": 4.0}).hash == one().hash  # its default
    assert one({"training.accumulate": 1, "seed": 0, "data.limit": None}).hash == one().hash
    assert one({"method": "another name"}).hash == one().hash
    assert (
        one(scores={"evaluation": {"take": "evaluation", "samples": 0}}).hash
        == one(scores={"evaluation": {}}).hash
    )


def test_equal_calls_are_one_run():
    points = chain(fixed(BASE), product(fixed(BASE), sweep({"seed": [0, 1]})))
    study = Study.of(points)
    assert study.said == 3
    assert [call.seed for call in study.calls] == [0, 1]


def test_the_hash_is_the_same_in_another_process():
    code = (
        "from vaekit.studies import Study, fixed; print(Study.of(fixed({'recipe': 'vae', 'data': 'digits'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + ".calls[0].hash)"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == one({"recipe": "vae"}).hash
    assert re.fullmatch("[0-9a-f]{32}", done.stdout.strip())


def test_data_of_a_path_are_known_by_their_content(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 3))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "x.npy", x)
    there, moved = (
        Study.of(fixed({"recipe": "vae", "data": "x.npy"}), folder=tmp_path / name).calls[0] for name in "ab"
    )
    assert there.hash == moved.hash
    assert there.place != moved.place
    np.save(tmp_path / "b" / "x.npy", x + 1)
    from vaekit.studies import data

    data._loaded.cache_clear()
    data._fingerprint.cache_clear()
    study_module_cache_clear()
    changed = Study.of(fixed({"recipe": "vae", "data": "x.npy"}), folder=tmp_path / "b").calls[0]
    assert changed.hash != there.hash
    with pytest.raises(UserError, match="changed since the study was read"):
        data.splits_of(moved)


def study_module_cache_clear():
    from vaekit.studies import study

    study._data.cache_clear()


HEAD = '[fixed]\nrecipe = "beta_vae"\ndata = "digits"\n'


@pytest.mark.parametrize(("text", "says"), [
    (HEAD.replace("beta_vae", "beta_vea"), r"fixed.recipe: .*did you mean 'beta_vae'"),
    (HEAD.replace("digits", "digit"), r"fixed.data: there are no data 'digit'.*'digits'"),
    (HEAD + "[sweep]\narguments.betta = [1, 2]", r"sweep.arguments.betta: .*no setting 'betta': .*'beta'"),
    (HEAD + "[sweep]\narguments.beta = [1, -2]", r"sweep.arguments.beta: .*`beta` is -2.0; expected"),
    (HEAD + '[sweep]\narguments.beta = [1, "4"]', r"sweep.arguments.beta: .*'4'; expected a number"),
    (HEAD + "arguments.latents = 2.5", r"fixed.arguments.latents: .*2.5; expected a whole number"),
    (HEAD + "arguments.latents = 0", r"fixed.arguments.latents: .*`latents` is 0"),
    (HEAD + 'arguments.hidden = 4', r"fixed.arguments.hidden: .* expected a list of a whole number"),
    (HEAD + 'arguments.architecture = "covn"', r"fixed.arguments.architecture: .*did you mean 'conv'"),
    (HEAD + 'arguments.architecture = "conv"', r"fixed.arguments.architecture: .*takes images"),
    (HEAD + 'arguments.likelihood = "gaussian"', r"fixed.arguments.likelihood: .*bernoulli"),
    (HEAD + "training.step = 4", r"fixed.training.step: .*did you mean 'steps'"),
    (HEAD + "training.steps = 0", r"fixed.training.steps: .*`steps` is 0"),
    (HEAD + "training.accumulate = true", r"fixed.training.accumulate: .*True; expected a whole number"),
    (HEAD + 'training.weights = "last"\ntraining.patience = 2', r"fixed.training.*`patience` is 2"),
    (HEAD + "seed = -1", r"fixed.seed: `seed` is -1"),
    (HEAD + 'seed = "one"', r"fixed.seed: `seed` is 'one'"),
    (HEAD + "data.limits = 3".replace("data.", "data_."), "there is no setting 'data_.limits'"),
    (HEAD + "beta = 3", r"fixed.beta: there is no setting 'beta'.* arguments.beta"),
    (HEAD + "arguments = 3", r"fixed.arguments: .*say which, as arguments.NAME"),
    ('[fixed]\nrecipe = "vae"', r"fixed.recipe: no data are said"),
    ('[fixed]\ndata = "digits"', r"no `recipe` is said"),
    ('[fixed]\nrecipe = "vae"\ndata = { name = "digits", limt = 3 }', r"fixed.data.limt: .*'limit'"),
    ('[fixed]\nrecipe = "vae"\ndata = { name = "digits", limit = 0 }', r"fixed.data.limit: `limit` is 0"),
    ('[fixed]\nrecipe = "dip_vae"\ndata = "digits"\ntraining.accumulate = 2', r"fixed.training.acc.*couple"),
    ('[fixed]\nrecipe = "annealed_vae"\ndata = "digits"\ntraining.patience = 2', r"training.patience: "),
    ('[fixed]\nrecipe = "cvae"\ndata = "digits"', "condition"),
    (HEAD + "[scores.evalution]", r"scores.evalution: .*did you mean 'evaluation'"),
    (HEAD + "[scores.evaluation]\nsample = 3", r"scores.eval.*did you mean 'samples'"),
    (HEAD + "[scores.evaluation]\nlimit = 0", r"scores.evaluation: `limit` is 0"),
    (HEAD + '[scores.mean]\ntake = "disentanglement"', r"fixed.data: scores.mean needs data with known"),
    (HEAD + '[scores.disentanglement]\npreset = "modrn"', r"scores.dis.*did you mean 'modern'"),
    (HEAD + '[scores.disentanglement]\nnames = ["mgi"]', r"scores.dis.*did you mean 'mig'"),
    ('scores = 3\n' + HEAD, "scores is 3"),
    ('titel = "x"\n' + HEAD, "there is no 'titel' in a study: did you mean 'title'"),
    ("title = 3\n" + HEAD, "title is 3; expected a text"),
    (HEAD + "[", "is no TOML"),
])  # fmt: skip
def test_what_cannot_be_run_is_refused_with_its_place(tmp_path, text, says):
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=f"study.toml.*{says}") as raised:
        read(path)
    assert "\n" not in str(raised.value)


def test_from_python_the_place_is_the_number_of_the_point():
    points = product(fixed(BASE), sweep({"arguments.beta": [1.0, -1.0]}))
    with pytest.raises(UserError, match=r"point 2 of the study: .*`beta` is -1.0"):
        Study.of(points)
    with pytest.raises(UserError, match="no runs"):
        Study.of([])


def test_relative_paths_start_at_the_file(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((30, 3)) + np.arange(3))
    path = tmp_path / "study.toml"
    path.write_text('[fixed]\nrecipe = "vae"\ndata = "x.npy"\n')
    [call] = read(path).calls
    assert call.place == str(tmp_path / "x.npy")
    assert call.data["name"] == "x"
