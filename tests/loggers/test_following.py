"""What loggers hear: everything that is recorded, once; and that none of them stops a training."""

from __future__ import annotations

import logging

import pytest
import torch

import vaekit
from vaekit.cli import main
from vaekit.errors import UserError
from vaekit.loggers import Following
from vaekit.loggers.following import MOST, numbers
from vaekit.runs import Run


def train(splits, path, **more):
    return vaekit.train("vae", splits, out=path, **({"epochs": 3} | more))


def stops_after(steps):
    seen = []

    def show(at, batches, means):
        seen.append(at.step)
        return len(seen) == steps

    return show


def test_a_logger_hears_the_call_every_named_value_of_every_epoch_and_the_end(splits, notes, small, tmp_path):
    heard = notes()
    run = train(splits, tmp_path / "run", seed=5, loggers=[heard], **small)
    assert [entry[0] for entry in heard.said] == ["started", "called", "row", "row", "row", "finished"]
    [(call,)] = heard.of("called")
    assert call["recipe"] == "vae"
    assert call["seed"] == 5
    assert call["latents"] == 2
    assert call["training/batch_size"] == 16
    recorded = [
        (numbers({k: v for k, v in row.items() if k != "epoch"}), row["epoch"], "") for row in run.metrics()
    ]
    assert heard.of("row") == recorded
    assert {"train/distortion", "train/rate", "valid/distortion", "valid/elbo"} <= set(recorded[0][0])
    assert {"valid/rates/z 1", "valid/rates/z 2"} <= set(recorded[0][0])  # one value for each latent
    assert heard.of("finished") == [("finished",)]
    assert Run.open(run.path, data=splits).record["loggers"] == {"notes": {"id": "7", "epoch": 3}}


def test_rates_of_many_latents_are_kept_and_not_told(splits, notes, small, tmp_path):
    heard = notes()
    run = train(splits, tmp_path / "run", loggers=[heard], **{**small, "latents": MOST + 1, "epochs": 1})
    assert len(run.metrics()[0]["valid/rates"]) == MOST + 1
    [(values, _, _)] = heard.of("row")
    assert "valid/rate" in values
    assert not any(name.startswith("valid/rates") for name in values)


def test_listening_changes_nothing(splits, notes, small, tmp_path):
    heard = train(splits, tmp_path / "heard", loggers=[notes()], **small)
    alone = train(splits, tmp_path / "alone", **small)
    weights = alone.model().state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in heard.model().state_dict().items())
    assert "loggers" not in alone.record


@pytest.mark.parametrize("stop", [2, 3, 5])
@pytest.mark.parametrize("seconds", [0.0, 100.0])
def test_a_resumed_run_goes_on_and_tells_no_row_twice(splits, notes, small, tmp_path, stop, seconds):
    first, second = notes(), notes()
    settings = {**small, "checkpoint_seconds": seconds}
    with pytest.raises(KeyboardInterrupt):
        train(splits, tmp_path / "run", loggers=[first], show=stops_after(stop), **settings)
    assert first.of("finished") == [("interrupted",)]
    run = vaekit.resume(tmp_path / "run", data=splits, loggers=[second])
    assert second.of("started") == [({"id": "7", "epoch": len(first.of("row"))},)]
    assert [epoch for _, epoch, _ in first.of("row") + second.of("row")] == [1, 2, 3]
    assert [row[0]["valid/loss"] for row in first.of("row") + second.of("row")] == [
        row["valid/loss"] for row in run.metrics()
    ]


def test_a_logger_that_joins_later_hears_what_was_before(splits, notes, small, tmp_path):
    late = notes()
    with pytest.raises(KeyboardInterrupt):
        train(splits, tmp_path / "run", show=stops_after(4), **small)
    vaekit.resume(tmp_path / "run", data=splits, loggers=[late])
    assert [epoch for _, epoch, _ in late.of("row")] == [1, 2, 3]


def test_a_stage_records_under_its_own_name(splits, notes, tmp_path):
    heard = notes()
    run = vaekit.train(
        "two_stage_vae", splits, out=tmp_path / "run", epochs=2, batch_size=20, latents=3, hidden=(8,),
        second_hidden=(8,), second_epochs=2, loggers=[heard],
    )  # fmt: skip
    [stage] = run.record["stages"]
    name = stage["name"]
    below = [values for values, _, of in heard.of("row") if of == name]
    assert [epoch for _, epoch, _ in heard.of("row")] == [1, 2, *range(1, len(below) + 1)]
    assert len(below) == len(run.stage(name).metrics()) > 0
    assert all(key.startswith(f"{name}/") for values in below for key in values)
    assert f"{name}/valid/rate" in below[0]
    assert heard.of("called")[1][0][f"{name}/recipe"] == run.stage(name).record["recipe"]
    assert heard.of("finished") == [("finished",)]  # the end of a stage is no end of the run
    assert len(heard.of("started")) == 1


@pytest.mark.parametrize("fails", ["started", "called", "row", "finished"])
def test_a_logger_that_fails_is_off_with_one_warning(splits, notes, small, tmp_path, caplog, fails):
    bad, good = notes(fails), notes()
    good.name = "others"
    with caplog.at_level(logging.WARNING):
        run = train(splits, tmp_path / "run", loggers=[bad, good], **small)
    assert run.record["status"] == "finished"
    assert [record.getMessage() for record in caplog.records] == [
        "the logger notes is off from here on: OSError: no space left on device"
    ]
    assert bad.said[-1][0] == fails
    assert len(bad.of(fails)) == 1
    assert len(good.of("row")) == 3


def test_a_training_that_fails_says_so(splits, notes, small, tmp_path):
    heard = notes()

    def show(at, batches, means):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        train(splits, tmp_path / "run", loggers=[heard], show=show, **small)
    assert heard.of("finished") == [("failed",)]


def test_of_several_processes_the_writing_one_tells(splits, notes, small, tmp_path):
    run = train(splits, tmp_path / "run", **small)
    run.writes = False
    heard = notes()
    following = Following([heard])
    following.started(run)
    following.rows(run, run.metrics())
    following.finished(run, "finished")
    following.close(run, {"elbo": 1.0})
    assert heard.said == []


def test_the_end_waits_for_the_evaluation_where_one_follows(splits, notes, small, tmp_path):
    heard = notes()
    following = Following([heard], hold=True)
    run = train(splits, tmp_path / "run", loggers=following, **small)
    assert heard.of("finished") == []
    following.close(run, {"elbo": -3.0, "n": 10, "split": "test", "active_by_latent": {"z": 2}})
    assert heard.said[-2:] == [
        ("evaluated", {"evaluation/elbo": -3.0, "evaluation/n": 10.0, "evaluation/active_by_latent/z": 2.0}),
        ("finished", "finished"),
    ]


def test_what_is_no_finite_number_is_left_out():
    found = numbers({"a": 1, "b": float("nan"), "c": None, "d": "x", "e": True, "f": {"g": 2.5}}, "in/")
    assert found == {"in/a": 1.0, "in/f/g": 2.5}


def test_an_unknown_logger_and_one_given_twice_are_refused_at_once(splits, tmp_path, notes):
    with pytest.raises(UserError, match=r"no logger 'tensorbord': did you mean 'tensorboard'"):
        train(splits, tmp_path / "run", loggers=["tensorbord"])
    with pytest.raises(ValueError, match="each name once"):
        train(splits, tmp_path / "run", loggers=[notes(), notes()])
    assert not (tmp_path / "run").exists()


def test_a_missing_package_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    monkeypatch.delitem(__import__("sys").modules, "vaekit.loggers.wandb", raising=False)
    out = tmp_path / "run"
    assert main(["train", "vae", "digits", "--limit", "20", "--out", str(out), "--log", "wandb"]) == 2
    said = capsys.readouterr().err
    assert "pip install 'vaekit[wandb]'" in said
    assert said.count("\n") == 1
    assert not out.exists()
