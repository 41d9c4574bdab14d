"""Run directories: whole or absent, resumed bit for bit, and never a way to run code."""

from __future__ import annotations

import json
import pickle
import shutil

import pytest
import torch

import vaekit
from vaekit.api import default_epochs
from vaekit.errors import UserError
from vaekit.files import read_tensors, write_json, write_tensors, write_text
from vaekit.runs import Run

SMALL = {"latents": 2, "hidden": (8,), "batch_size": 16}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def without_time(rows):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.fixture
def run(splits, tmp_path):
    return vaekit.train("vae", splits, out=tmp_path / "run", epochs=3, **SMALL)


def test_a_run_opens_as_it_was_left(run, splits):
    again = Run.open(run.path, data=splits)
    assert again.record["status"] == "finished"
    assert again.record["recipe"] == "vae"
    assert again.record["arguments"]["latents"] == 2
    assert again.spec == splits.spec
    assert len(again.metrics()) == 3
    assert same(again.model().state_dict(), run.model().state_dict())
    assert not again.model().training
    assert sorted(p.name for p in run.path.iterdir()) == [
        "metrics.jsonl", "run.json", "state.safetensors", "weights.safetensors",
    ]  # fmt: skip


@pytest.mark.parametrize("stop", [1, 4, 5, 9, 14])
def test_resume_is_exact_wherever_it_stopped(run, splits, tmp_path, stop):
    count = []

    def show(at, batches, means):
        count.append(1)
        return len(count) == stop

    with pytest.raises(KeyboardInterrupt):
        vaekit.train("vae", splits, out=tmp_path / "cut", epochs=3, show=show, **SMALL)
    assert Run.open(tmp_path / "cut").record["status"] == "interrupted"
    torch.randn(100)  # the caller's stream is no part of the run
    resumed = vaekit.resume(tmp_path / "cut", data=splits)
    assert same(resumed.model().state_dict(), run.model().state_dict())
    first, _ = run.state()
    second, _ = resumed.state()
    assert same(first, second)  # optimisers and random stream too
    assert without_time(resumed.metrics()) == without_time(run.metrics())


GAMES = {
    "factor_vae": {"latents": 2, "hidden": (8,), "critic": (6,)},
    "adversarial_autoencoder": {"latents": 2, "hidden": (8,), "critic": (6,), "encoder": "gaussian"},
    "nash_ae": {"latents": 2, "hidden": (8,), "regressors": (6,)},
}


@pytest.mark.parametrize("name", GAMES)
def test_resume_brings_all_players_back(name, splits, tmp_path):
    """Critics, their optimisers, and parameters that two players move."""
    whole = vaekit.train(name, splits, out=tmp_path / "whole", epochs=2, batch_size=16, **GAMES[name])
    count = []

    def show(at, batches, means):
        count.append(1)
        return len(count) == 7

    with pytest.raises(KeyboardInterrupt):
        vaekit.train(name, splits, out=tmp_path / "cut", epochs=2, batch_size=16, show=show, **GAMES[name])
    resumed = vaekit.resume(tmp_path / "cut", data=splits)
    assert same(whole.state()[0], resumed.state()[0])
    assert without_time(resumed.metrics()) == without_time(whole.metrics())


def test_a_finished_run_goes_on_as_if_it_had_been_longer(run, splits, tmp_path):
    longer = vaekit.train("vae", splits, out=tmp_path / "long", epochs=5, **SMALL)
    extended = vaekit.resume(run.path, data=splits, epochs=5)
    assert same(longer.model().state_dict(), extended.model().state_dict())
    with pytest.raises(UserError, match="at least"):
        vaekit.resume(run.path, data=splits, epochs=2)


def test_a_schedule_is_not_cut_short_by_the_default_budget(splits, tmp_path, monkeypatch):
    monkeypatch.setattr("vaekit.staged.DEFAULT_BUDGET", 65)
    monkeypatch.setattr("vaekit.staged.LEAST_STEPS", 1)
    plain = vaekit.train("vae", splits, out=tmp_path / "plain", **SMALL)
    ramp = vaekit.train("annealed_vae", splits, out=tmp_path / "ramp", ramp=20, **SMALL)
    assert len(plain.metrics()) == 1
    assert ramp.metrics()[-1]["step"] >= 20


@pytest.mark.parametrize(
    ("count", "batch", "epochs"),
    [(65, 16, 400), (55_000, 128, 36), (3_000_000, 128, 1), (1_000, 10, 50), (1, 1, 2000)],
)
def test_default_epochs_are_right_for_small_and_large_sets(splits, count, batch, epochs):
    system = vaekit.recipes.vae(splits.spec, latents=2)
    assert system.epochs == 50
    assert default_epochs(system, count, batch) == epochs


def test_the_callers_random_stream_is_left_alone(splits, tmp_path):
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    vaekit.train("vae", splits, out=tmp_path / "run", epochs=1, **SMALL)
    assert torch.equal(torch.randn(3), expected)


def test_data_in_memory_are_asked_for(run):
    with pytest.raises(UserError, match="in memory"):
        Run.open(run.path).data()


def test_an_occupied_place_is_refused_and_left_alone(splits, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="exists already"):
        vaekit.train("vae", splits, out=tmp_path / "mine", epochs=1, **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("recipe", "arguments", "message"),
    [
        ("vea", {}, "did you mean 'vae'"),
        ("vae", {"latent": 3}, "did you mean 'latents'"),
        ("vae", {"likelihood": "laplace"}, "binary"),
    ],
)
def test_a_wrong_call_leaves_nothing_behind(splits, tmp_path, recipe, arguments, message):
    with pytest.raises((UserError, vaekit.UnsupportedError), match=message):
        vaekit.train(recipe, splits, out=tmp_path / "run", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="No space left"):
        write_text(path, "new")
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_while_training_fails_cleanly(splits, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("vaekit.runs.Run.save_state", lambda *a: calls.append(1) or _full())

    def _full():
        raise UserError("cannot write: No space left on device")

    with pytest.raises(UserError, match="No space left"):
        vaekit.train("vae", splits, out=tmp_path / "run", epochs=1, **SMALL)
    assert Run.open(tmp_path / "run").record["status"] == "failed"


class Canary:
    def __reduce__(self):
        return (open, ("canary-was-here", "w"))


@pytest.mark.parametrize("name", ["weights.safetensors", "state.safetensors"])
@pytest.mark.parametrize("content", ["pickle", "truncated", "empty", "torch"])
def test_a_hostile_or_damaged_file_is_not_read(run, splits, monkeypatch, tmp_path, name, content):
    monkeypatch.chdir(tmp_path)
    path = run.path / name
    whole = path.read_bytes()
    if content == "torch":
        torch.save(Canary(), path)
    else:
        path.write_bytes({"pickle": pickle.dumps(Canary()), "truncated": whole[:-7], "empty": b""}[content])
    with pytest.raises(UserError, match=name):
        Run.open(run.path).model() if name[0] == "w" else vaekit.resume(run.path, data=splits)
    assert not (tmp_path / "canary-was-here").exists()


def test_moments_of_another_shape_are_refused(run, splits):
    tensors, about = run.state()
    name = next(n for n in tensors if n.endswith("exp_avg") and tensors[n].dim() == 2)
    write_tensors(run.path / "state.safetensors", {**tensors, name: torch.zeros(3, 3)}, about)
    with pytest.raises(UserError, match=r"exp_avg.*shape"):
        vaekit.resume(run.path, data=splits, epochs=5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "format 99"),
        ({"recipe": "os.system"}, "no recipe"),
        ({"recipe": None}, "damaged"),
        ({"arguments": {"latents": "many"}}, "damaged|latents"),
        ({"arguments": {"latent": 2}}, "did you mean"),
        ({"arguments": {"latents": 3}}, "shape"),
        ({"spec": {"name": "x"}}, "damaged"),
        ({"seed": "0"}, "damaged"),
    ],
)
def test_a_damaged_record_gets_one_clear_line(run, change, message):
    record = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(UserError, match=message) as caught:
        Run.open(run.path).model()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "\x00\xff"])
def test_a_record_that_is_no_json_object(run, text):
    (run.path / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json"):
        Run.open(run.path)


def test_what_is_no_run_directory(tmp_path, run):
    with pytest.raises(UserError, match="no run directory"):
        Run.open(tmp_path / "absent")
    shutil.rmtree(run.path)
    run.path.mkdir()
    with pytest.raises(UserError, match=r"run\.json"):
        Run.open(run.path)


def test_tensors_and_notes_come_back(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    stored = {"a": shared, "b": shared.T, "c": torch.tensor(3, dtype=torch.int64)}
    write_tensors(tmp_path / "t", stored, {"n": 1})
    tensors, about = read_tensors(tmp_path / "t")
    assert same(tensors, stored)
    assert about == {"n": 1}
    assert tensors["c"].dtype == torch.int64


def test_a_run_with_a_paced_learning_rate_can_be_opened(splits, tmp_path):
    sizes = {"latents": 2, "hidden": (8, 8), "samples": 2}
    run = vaekit.train("iwae", splits, out=tmp_path / "run", steps=2, stages=1, **sizes)
    assert Run.open(run.path).model().generate(2).mean.shape[0] == 2


def test_a_folder_of_the_name_of_a_set_does_not_take_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    run = vaekit.train("vae", "digits", latents=2, hidden=(8,), steps=1, epochs=1, out=tmp_path / "run")
    assert run.record["data"]["source"] == "digits"
    assert len(vaekit.Run.open(tmp_path / "run").data().train) == 1437
