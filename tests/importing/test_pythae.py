"""A model of Pythae gives the numbers that it gave there: encodings, reconstructions, bound, likelihood."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from vaekit.cli import main
from vaekit.errors import UserError
from vaekit.importing import import_folder
from vaekit.runs import Run
from vaekit.terms import Rate

HERE = Path(__file__).parent
CASES = [name for name in json.loads((HERE / "pythae.json").read_text()) if name != "trained"]
RECIPES = {
    "VAE": "vae", "VAE bce": "vae", "BetaVAE": "beta_vae", "BetaTCVAE": "beta_tcvae",
    "FactorVAE": "factor_vae",
    "INFOVAE_MMD": "info_vae", "IWAE": "iwae", "CIWAE": "ciwae", "MIWAE": "miwae", "PIWAE": "piwae",
    "VAMP": "vamp_vae", "Adversarial_AE": "adversarial_autoencoder",
    "Adversarial_AE point": "adversarial_autoencoder", "AE": "wae_mmd", "WAE_MMD": "wae_mmd",
    "VQVAE": "vq_vae", "VQVAE ema": "vq_vae",
}  # fmt: skip


def close(found, wanted, most=1e-5):
    wanted = torch.as_tensor(wanted, dtype=torch.float64)
    assert found.shape == wanted.shape
    assert (found.double() - wanted).abs().max() < most


def test_every_case_is_tried():
    assert set(RECIPES) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_numbers_are_those_that_pythae_computed(case, pythae, numbers, made, tmp_path):
    run = import_folder(pythae(case), tmp_path / "run")
    assert run.record["recipe"] == RECIPES[case]
    check(Run.open(tmp_path / "run").model(), numbers[case], made, numbers[case]["config"])


def test_a_folder_of_a_real_training(numbers, made, tmp_path):
    run = import_folder(HERE / "trained", tmp_path / "run")
    check(run.model(), numbers["trained"], made, {"reconstruction_loss": "mse"})
    assert run.record["training"] == {"epochs": 20, "batch_size": 64}
    assert run.record["arguments"]["learning_rate"] == 1e-3


@torch.no_grad()
def check(model, wanted, made, config):
    x = torch.from_numpy(made.data())
    noise = torch.from_numpy(made.drawn("noise", (made.DRAWS, made.LATENTS)))
    batch = {"x": x}
    q = model.posteriors[0](x)
    if "codes" in wanted:
        assert model.encode(batch)["z"].flatten(1).tolist() == wanted["codes"]
        trace = model(batch)
        close(trace.observed["x"].p.mean, wanted["reconstruction"])
        error = -trace.observed["x"].p.log_prob(x) - 0.5 * math.log(2 * math.pi) * x[0].numel()
        close(2 * error, wanted["recon_loss"])  # the squared error there, half of it here
        return
    close(model.encode(batch)["z"], wanted["embedding"])
    if "log_covariance" not in wanted:  # point encoders
        close(model.decode(model.encode(batch)).mean, wanted["reconstruction"])
        error = (x - model.decode(model.encode(batch)).mean).square().sum((1, 2, 3))
        close(config.get("reconstruction_loss_scale", 1.0) * error, wanted["recon_loss"])
        return
    deviation = torch.as_tensor(wanted["log_covariance"]).mul(0.5).exp()
    z = torch.as_tensor(wanted["embedding"]) + noise[: len(x)] * deviation
    p = model.decode({"z": z})
    close(p.mean, wanted["reconstruction"])
    # their squared errors leave out the constant of the Gaussian
    constant = 0.5 * math.log(2 * math.pi) * x[0].numel() if config["reconstruction_loss"] == "mse" else 0.0
    distortion = -p.log_prob(x) - constant
    close(distortion, wanted["recon_loss"])
    if config.get("deterministic_posterior"):
        return
    close(q.stddev, deviation)
    prior = model.priors[0]()
    rate = (
        Rate()(model.infer(batch))
        if config.get("name") != "VAMPConfig"
        else q.log_prob(z) - prior.log_prob(z)
    )
    close(rate, wanted["kld"])
    draws = q.mean + noise[:, None] * q.stddev
    weights = model.decode({"z": draws.flatten(0, 1)}).log_prob(x.repeat(len(noise), 1, 1, 1))
    weights = weights.view(len(noise), -1) + prior.log_prob(draws) - q.log_prob(draws)
    likelihood = (weights.logsumexp(0) - math.log(len(noise))).mean()
    close(likelihood, wanted["nll"])


def test_settings_become_arguments(pythae, tmp_path):
    def arguments(case, name, **settings):
        return import_folder(pythae(case, settings), tmp_path / name).record["arguments"]

    assert arguments("BetaVAE", "a")["beta"] == 3.0
    assert arguments("BetaTCVAE", "b")["sampling"] == "mws"
    found = arguments("INFOVAE_MMD", "c")
    assert (found["alpha"], found["lambda_mmd"], found["kernel"], found["scales"]) == (
        0.2,
        2.0,
        "rbf",
        [2.25],
    )
    found = arguments("WAE_MMD", "d", scales=[1.0, 2])
    assert (found["lambda_mmd"], found["scales"], found["kernel"]) == (2.0, [0.25, 0.5], "imq")
    found = arguments("CIWAE", "e")
    assert (found["b"], found["samples"], found["activation"]) == (0.25, 4, "relu")
    found = arguments("VQVAE ema", "f")
    assert (found["codes"], found["positions"], found["dims"], found["codebook"]) == (6, 3, 1, "ema")
    assert arguments("AE", "g")["lambda_mmd"] == 0


def test_every_command_takes_the_run(pythae, made, tmp_path, capsys):
    out, data = tmp_path / "run", tmp_path / "data.npy"
    np.save(data, made.data())
    assert main(["import", str(pythae("VAE bce")), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "Read VAE of Pythae as vae" in said.err
    assert "ln s of the posterior is held in [-8, 4]" in said.err
    assert main(["encode", str(out), str(data), "--out", str(tmp_path / "z.npy")]) == 0
    assert np.load(tmp_path / "z.npy").shape == (4, 3)
    assert main(["reconstruct", str(out), str(data), "--out", str(tmp_path / "back.npy")]) == 0
    assert main(["sample", str(out), "-n", "5", "--out", str(tmp_path / "new.npy")]) == 0
    assert np.load(tmp_path / "new.npy").shape == (5, 1, 2, 3)
    assert main(["evaluate", str(out), "--data", str(data), "--samples", "5"]) == 0
    assert "ELBO" in capsys.readouterr().out
    assert "evaluation" not in Run.open(out).record
    for words, line in (
        (["evaluate", str(out)], "imported without its data"),
        (["resume", str(out)], "no state of a training to go on from"),
        (["evaluate", str(out), "--data", str(data), "--split", "valid"], "leave out --data"),
    ):
        assert main(words) == 2
        assert line in capsys.readouterr().err


def test_data_that_are_named_belong_to_the_run(pythae, made, tmp_path, capsys):
    data, out = tmp_path / "data.npy", tmp_path / "run"
    np.save(data, np.tile(made.data(), (10, 1, 1, 1)))
    assert main(["import", str(pythae()), "--out", str(out), "--data", str(data)]) == 0
    assert main(["evaluate", str(out), "--samples", "5"]) == 0
    run = Run.open(out)
    assert "elbo" in run.record["evaluation"]
    assert "imported from Pythae's VAE" in run.spec.note
    capsys.readouterr()
    binary = tmp_path / "binary.npy"
    np.save(binary, (np.tile(made.data(), (10, 1, 1, 1)) > 0.5).astype(np.uint8))
    assert main(["import", str(pythae()), "--out", str(tmp_path / "other"), "--data", str(binary)]) == 2
    assert "trained by squared error, and binary is binary" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    wide = tmp_path / "wide.npy"
    np.save(wide, np.random.default_rng(0).random((40, 5)))
    assert main(["import", str(pythae()), "--out", str(tmp_path / "other"), "--data", str(wide)]) == 2
    assert "wide has data of shape (5,)" in capsys.readouterr().err


def test_a_training_folder_is_entered_and_a_run_is_never_overwritten(pythae, tmp_path):
    folder = pythae()
    above = tmp_path / "training"
    above.mkdir()
    folder.rename(above / "final_model")
    import_folder(above, tmp_path / "run")
    with pytest.raises(UserError, match="exists already"):
        import_folder(above, tmp_path / "run")
