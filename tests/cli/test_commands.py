"""Every command on a tiny run: what it writes, and what it says."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vaekit.data import load
from vaekit.randomness import own_stream
from vaekit.runs import Run


def rows_of(path: str | Path) -> list[list[str]]:
    return list(csv.reader(Path(path).read_text().splitlines()))


def test_training_evaluates_reports_and_says_what_to_type_next(vaekit, here, tiny):
    said = vaekit("train", *tiny)
    assert said.code == 0
    path = here / "runs" / "vae-digits-1"
    assert {file.name for file in path.iterdir()} == {
        "run.json", "metrics.jsonl", "weights.safetensors", "state.safetensors", "report.html",
    }  # fmt: skip
    record = json.loads((path / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["arguments"]["latents"] == 3
    assert record["arguments"]["hidden"] == [8]
    evaluation = record["evaluation"]
    assert evaluation["nll_samples"] == 5
    assert evaluation["n"] == 30
    for figure in (f"{evaluation['elbo']:.2f}", f"{evaluation['nll']:.2f} +- {evaluation['nll_se']:.2f}"):
        assert figure in said.out
    for word in ("ELBO", "distortion", "rate", "NLL", f"{evaluation['active_units']} of 3",
                 "runs/vae-digits-1/report.html", "vaekit sample runs/vae-digits-1 -n 64"):  # fmt: skip
        assert word in said.out
    assert "epoch 2/2" in said.err
    assert vaekit("train", *tiny, "--no-report").code == 0
    assert not (here / "runs" / "vae-digits-2" / "report.html").exists()


def test_options_stand_anywhere_and_reach_recipe_training_and_data(vaekit, here):
    said = vaekit(
        "train", "--epochs", 1, "--beta", 2.5, "beta_vae", "digits", "--limit", 20, "--binarise=threshold",
        "--batch_size", 7, "--clip", 1, "--seed", 3, "--out", "a", "--nll-samples", 0, "--no-report",
    )  # fmt: skip
    assert said.code == 0
    record = json.loads((here / "a" / "run.json").read_text())
    assert record["recipe"] == "beta_vae"
    assert record["arguments"]["beta"] == 2.5
    assert record["data"]["options"] == {"limit": 20, "binarise": "threshold"}
    assert record["training"]["batch_size"] == 7
    assert record["training"]["clip"] == 1.0
    assert record["seed"] == 3
    assert "nll" not in record["evaluation"]
    assert "NLL" not in said.out


def test_a_long_log_is_short(vaekit, tiny):
    said = vaekit("train", *tiny, "--epochs", 100, "--nll-samples", 0, "--no-report")
    lines = [line for line in said.err.splitlines() if line.startswith("epoch")]
    assert 10 <= len(lines) <= 21
    assert lines[-1].startswith("epoch 100/100")


def test_evaluation_draws_what_it_is_told_and_keeps_the_test_figures(vaekit, run):
    before = json.loads((run / "run.json").read_text())
    said = vaekit("evaluate", run, "--samples", 7, "--limit", 11, "--split", "valid")
    assert said.code == 0
    assert "11 valid data (of 30), 7 importance samples" in said.out
    assert json.loads((run / "run.json").read_text()) == before
    first = vaekit("evaluate", run, "--samples", 7).out
    assert json.loads((run / "run.json").read_text())["evaluation"]["nll_samples"] == 7
    assert vaekit("evaluate", run, "--samples", 7).out == first
    assert vaekit("evaluate", run, "--samples", 7, "--seed", 1).out != first


def test_samples_from_a_fitted_sampler(vaekit, run, here):
    prior = vaekit("sample", run, "-n", 20, "--out", "a.npy")
    assert "z from the prior" in prior.out
    first = vaekit("sample", run, "-n", 20, "--out", "b.npy", "--sampler", "mixture")
    assert "Fitting the sampler mixture" in first.err
    assert "z from the mixture" in first.out
    again = vaekit("sample", run, "-n", 20, "--out", "c.npy", "--sampler", "mixture")
    assert "Fitting" not in again.err
    assert np.array_equal(np.load("b.npy"), np.load("c.npy"))
    assert not np.array_equal(np.load("a.npy"), np.load("b.npy"))
    wrong = vaekit("sample", run, "--sampler", "mixtur")
    assert wrong.code == 2
    assert "did you mean 'mixture'" in wrong.err


def test_two_stages_from_training_to_samples(vaekit, here):
    words = [
        "--limit",
        40,
        "--epochs",
        1,
        "--latents",
        3,
        "--hidden",
        8,
        "--second-hidden",
        8,
        "--nll-samples",
        5,
    ]
    said = vaekit(
        "train", "two_stage_vae", "digits", "--binarise", "none", *words, "--out", "run", "--no-report"
    )
    assert said.code == 0, said.err
    assert "run/stages/second" in said.err
    drawn = vaekit("sample", "run", "-n", 4)
    assert "z from the stages" in drawn.out
    assert vaekit("report", "run").code == 0
    assert "Samples from the stages" in (here / "run" / "report.html").read_text()
    assert vaekit("evaluate", "run/stages/second", "--samples", 5).code == 0


def test_few_labels_from_training_to_errors(vaekit, here):
    words = ["--labelled", 20, "--limit", 60, "--epochs", 1, "--hidden", 8, "--latents", 3, "--no-report"]
    said = vaekit("train", "m2", "digits", *words, "--nll-samples", 2, "--out", "run")
    assert said.code == 0, said.err
    assert "% of the labels are told wrong" in said.out
    record = json.loads((here / "run" / "run.json").read_text())
    assert record["data"]["options"] == {"labelled": 20, "limit": 60}
    assert 0 <= record["evaluation"]["error"] <= 1
    said = vaekit("evaluate", "run", "--samples", 0)
    assert f"{100 * record['evaluation']['error']:.2f}" in said.out
    assert vaekit("sample", "run", "-n", 4).code == 0
    assert vaekit("encode", "run", "test", "--out", "codes.npy").code == 0
    assert np.load(here / "codes.npy").shape == (60, 3 + 10)
    assert vaekit("reconstruct", "run", "test", "-n", 4).code == 0
    two = [*words, "--second-hidden", 8, "--second-latents", 2]
    said = vaekit("train", "m1_m2", "digits", *two, "--nll-samples", 0, "--out", "two")
    assert said.code == 0, said.err
    assert "% of the labels are told wrong" in said.out
    assert vaekit("report", "run").code == 0


def test_samples_as_picture_and_array(vaekit, run, here):
    assert vaekit("sample", run, "-n", 9).code == 0
    with Image.open(run / "samples.png") as picture:
        assert picture.size == (3 * 48 + 8, 3 * 48 + 8)
    assert vaekit("sample", run, "-n", 300, "--out", "a.npy").code == 0
    means = np.load("a.npy")
    assert means.shape == (300, 1, 8, 8)
    assert len(np.unique(means[:, 0, 4, 4])) == 300  # draws of z, none twice
    assert vaekit("sample", run, "-n", 300, "--out", "b.npy", "--noise").code == 0
    noisy = np.load("b.npy")
    assert set(np.unique(noisy)) == {0.0, 1.0}
    vaekit("sample", run, "-n", 300, "--out", "c.npy", "--noise")
    assert (np.load("c.npy") == noisy).all()
    vaekit("sample", run, "-n", 300, "--out", "c.npy", "--noise", "--seed", 5)
    assert not (np.load("c.npy") == noisy).all()


def test_codes_are_the_models_own(vaekit, run):
    assert vaekit("encode", run, "test").code == 0
    opened = Run.open(run)
    expected = opened.model().encode(opened.data().test.take(torch.arange(30)))["z"]
    assert np.allclose(np.load(run / "codes.npy"), expected, atol=1e-6)
    assert vaekit("encode", run, "digits", "--out", "c.csv", "--limit", 5).code == 0
    rows = rows_of("c.csv")
    assert rows[0] == ["z_0", "z_1", "z_2"]
    assert len(rows) == 6
    vaekit("encode", run, "test", "--sample", "--out", "s.npy")
    assert not np.allclose(np.load("s.npy"), expected, atol=1e-6)


def test_reconstructions_stand_below_their_originals(vaekit, run):
    assert vaekit("reconstruct", run, "test", "-n", 11).code == 0
    pixels = np.asarray(Image.open(io.BytesIO((run / "reconstructions.png").read_bytes())))
    assert pixels.shape == (4 * 50 + 2, 8 * 50 + 2)
    opened = Run.open(run)
    x = opened.data().test.take(torch.arange(11))["x"]
    assert (pixels[2:50:6, 2:50:6] == (x[0, 0] * 255).numpy()).all()
    assert (pixels[102:150:6, 102:150:6] == (x[10, 0] * 255).numpy()).all()
    back = opened.model().decode(opened.model().encode({"x": x})).mean
    assert (abs(pixels[52:100:6, 2:50:6] - (back[0, 0] * 255).detach().numpy()) <= 1).all()
    assert (pixels[102:150, 160:] == 255).all()  # the short last row ends in white
    assert vaekit("reconstruct", run, "valid", "--out", "r.npy").code == 0
    assert np.load("r.npy").shape == (30, 1, 8, 8)


def test_a_table_comes_back_in_its_own_units(vaekit, table, here):
    said = vaekit("train", "vae", table, "--epochs", 60, "--latents", 2, "--hidden", 16, "--out", "run",
                  "--nll-samples", 5, "--no-report", "--learning-rate", "0.01")  # fmt: skip
    assert said.code == 0, said.err
    assert vaekit("sample", "run", "-n", 200).code == 0
    rows = rows_of("run/samples.csv")
    assert rows[0] == ["height", "depth"]
    values = np.array(rows[1:], float)
    assert values.mean(0) == pytest.approx([100.0, -5.0], rel=0.1)
    assert 2 < values[:, 0].std() < 30
    assert vaekit("reconstruct", "run", table, "--out", "back.csv").code == 0
    back = np.array(rows_of("back.csv")[1:], float)
    original = np.array(rows_of(table)[1:], float)
    assert np.corrcoef(back[:, 0], original[:, 0])[0, 1] > 0.5
    assert "ending" not in said.err
    assert vaekit("sample", "run", "--out", "x.png").code == 2


def test_a_conditional_model_gets_conditions_of_test_data(vaekit, here):
    said = vaekit("train", "cvae", "digits", "--context", "quadrant1", "--limit", 30, "--epochs", 1,
                  "--hidden", 8, "--latents", 3, "--nll-samples", 3, "--no-report",
                  "--out", "run")  # fmt: skip
    assert said.code == 0, said.err
    assert "conditions of test data" in vaekit("sample", "run", "-n", 40, "--out", "a.npy", "--noise").out
    samples = np.load("a.npy")
    assert samples.shape == (40, 1, 8, 8)
    whole = load("digits", limit=30, context="quadrant1").test.take([0, 1])
    assert samples[30, 0, 4:, :4].reshape(-1) == pytest.approx(whole["c"][0].numpy())  # in turn
    assert vaekit("sample", "run").code == 0
    assert vaekit("reconstruct", "run", "test").code == 0
    assert vaekit("encode", "run", "digits").code == 0


def test_a_model_of_classes_draws_them_in_columns(vaekit, here):
    said = vaekit("train", "cvae", "digits", "--context", "labels", "--limit", 30, "--epochs", 1,
                  "--hidden", 8, "--latents", 3, "--nll-samples", 0, "--no-report",
                  "--out", "run")  # fmt: skip
    assert said.code == 0, said.err
    drawn = vaekit("sample", "run", "-n", 25)
    assert "given the classes in turn: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in drawn.out
    with Image.open("run/samples.png") as picture:
        assert picture.size == (10 * 50 + 2, 3 * 50 + 2)  # ten columns
    assert vaekit("sample", "run", "-n", 25, "--out", "a.npy").code == 0
    model = Run.open("run").model()
    with own_stream("cpu", 0), torch.no_grad():
        expected = model.generate(25, torch.eye(10)[torch.arange(25) % 10]).mean
    assert np.load("a.npy") == pytest.approx(expected.numpy(), abs=1e-6)


def test_resuming_longer_equals_training_longer(vaekit, run, tiny, here):
    assert vaekit("resume", run, "--epochs", 4, "--nll-samples", 5).code == 0
    assert vaekit("train", "vae", "digits", *tiny, "--epochs", 4, "--out", "long").code == 0
    assert (run / "weights.safetensors").read_bytes() == (here / "long/weights.safetensors").read_bytes()
    records = [json.loads((path / "run.json").read_text()) for path in (run, here / "long")]
    assert records[0]["evaluation"] == records[1]["evaluation"]


def test_a_report_is_written_again(vaekit, run):
    (run / "report.html").unlink()
    said = vaekit("report", run)
    assert said.code == 0
    assert str(run / "report.html") in said.out
    assert (run / "report.html").stat().st_size > 1000


def test_a_reproduction_is_run_by_name(vaekit, monkeypatch):
    from vaekit import reproductions
    from vaekit.reproductions import runner
    from vaekit.reproductions.outcome import Check, Figure, Outcome, Reproduction

    def experiment(full, say):
        say("step one")
        checks = [Check("it is small", True), Check("it is large", full)]
        return Outcome([Figure("size", 2.5, "", "exact 2")], checks, [7], "none", "nothing")

    made = Reproduction("A claim.", "a paper", ("vae",), experiment)
    monkeypatch.setattr(runner, "get", lambda name: made)
    recorded = []
    monkeypatch.setattr(runner, "record", recorded.append)
    name = reproductions.names()[0][0]
    said = vaekit("reproduce", name)
    assert said.code == 0
    for words in ("A claim.", "2.5", "exact 2", "holds: it is small", "FAILS: it is large", "partly shown"):
        assert words in said.out
    assert "step one" in said.err
    assert not recorded
    assert "verdict: shown" in vaekit("reproduce", name, "--full", "--record").out
    assert recorded[0]["full"]
    assert recorded[0]["seeds"] == [7]
    said = vaekit("reproduce", name[:-2])
    assert said.code == 2
    assert f"did you mean {name!r}" in said.err
