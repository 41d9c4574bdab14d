"""Folders from strangers: nothing in them runs, nothing takes more memory than it brings, one line each."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile

import pytest
import torch

from vaekit.cli import main
from vaekit.errors import UserError
from vaekit.importing import archive, import_folder


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def refused(folder, tmp_path, match):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=match) as caught:
        import_folder(folder, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before
    return str(caught.value)


def rewritten(path, change=None, compression=zipfile.ZIP_STORED):
    """The archive again, with another pickle or compressed."""
    with zipfile.ZipFile(path) as source:
        entries = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, content in entries.items():
            target.writestr(name, change if change is not None and name.endswith("data.pkl") else content)


@pytest.mark.parametrize("where", ["in the state", "beside the state", "as the whole", "as a plain pickle"])
def test_a_pickle_that_would_run_code_does_not_run(where, pythae, tmp_path):
    trap = tmp_path / "ran"
    bomb = Bomb(trap)
    if where == "in the state":
        folder = pythae(change=lambda state: state.update(extra=bomb))
    elif where == "beside the state":
        folder = pythae(content={"model_state_dict": {"a": torch.zeros(1)}, "more": bomb})
    else:
        folder = pythae(content=bomb)
    if where == "as a plain pickle":
        (folder / "model.pt").write_bytes(pickle.dumps(bomb))
        refused(folder, tmp_path, "damaged or no archive of torch.save")
    else:
        refused(folder, tmp_path, "names posix.mkdir, which is no plain weight and could run code")
    assert not trap.exists()
    if where == "as a plain pickle":
        pickle.loads((folder / "model.pt").read_bytes())
    else:
        torch.load(folder / "model.pt", weights_only=False)  # the trap is a real one
    assert trap.exists()


def test_objects_of_ones_own_beside_the_weights_are_never_opened(pythae, tmp_path):
    folder = pythae(settings={"uses_default_encoder": False})
    (folder / "encoder.pkl").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    said = refused(folder, tmp_path, "its own encoder.*encoder.pkl")
    assert "only Pythae's standard networks" in said
    assert not (tmp_path / "ran").exists()


def test_other_ways_into_a_pickle_are_closed(pythae, tmp_path):
    folder = pythae()
    for opcodes in (
        # a terabyte of zeros, in words that torch's own reader of plain tensors knows
        b"\x80\x02cbuiltins\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R.",
        b"\x80\x04\x8c\x05posix\x8c\x05mkdir\x93\x8c\x01a\x85R.",
        b"(S'a'\niposix\nmkdir\n.",
    ):
        rewritten(folder / "model.pt", opcodes)
        refused(folder, tmp_path, "could run code")
    rewritten(folder / "model.pt", b"\x80\x02no pickle")
    refused(folder, tmp_path, "is damaged")


def test_archives_that_grow_are_refused(pythae, tmp_path, monkeypatch):
    folder = pythae()
    rewritten(folder / "model.pt", compression=zipfile.ZIP_DEFLATED)
    refused(folder, tmp_path, "compressed or larger inside than outside")
    pythae(change=lambda state: state.update({"encoder.embedding.weight": torch.zeros(1).expand(3, 512)}))
    refused(folder, tmp_path, r"encoder.embedding.weight.*no ordinary tensor")
    pythae()
    monkeypatch.setattr(archive, "LARGEST", 1000)
    refused(folder, tmp_path, "expected at most 1,000")


def test_a_configuration_that_asks_for_much_takes_no_memory(pythae, tmp_path):
    refused(
        pythae(settings={"input_dim": [1, 4000, 4000]}),
        tmp_path,
        r"expected floating-point.*\(512, 16000000\)",
    )
    refused(pythae(settings={"latent_dim": 900_000}), tmp_path, r"encoder.embedding.weight.*\(900000, 512\)")
    refused(pythae(settings={"latent_dim": 10**9}), tmp_path, "latent_dim")
    refused(pythae(settings={"input_dim": [1, 10**9]}), tmp_path, "input_dim")
    refused(pythae("VAMP", settings={"number_components": 900_000}), tmp_path, "pseudo_inputs.0.weight")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda s: s.pop("decoder.layers.1.0.bias"), "holds nothing under 'decoder.layers.1.0.bias'"),
        (
            lambda s: s.update(more=torch.zeros(1)),
            "holds 'more', which Pythae's standard",
        ),
        (lambda s: s.update({"encoder.log_var.bias": torch.zeros(4)}), r"shape \(4,\).*expected.*\(3,\)"),
        (lambda s: s.update({"encoder.log_var.bias": torch.zeros(3).long()}), "torch.int64"),
        (lambda s: s["encoder.log_var.bias"].fill_(float("nan")), "not finite"),
        (lambda s: s.update({"encoder.log_var.bias": "words"}), "is str; expected a tensor"),
        (
            lambda s: s.update({"encoder.log_var.bias": torch.zeros(3, device="meta")}),
            "no plain weight",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(change, match, pythae, tmp_path):
    refused(pythae(change=change), tmp_path, match)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"name": "RHVAEConfig"}, "no recipe of vaekit is the same system: expected one of AE, "),
        ({"name": ["VAEConfig"]}, "no recipe of vaekit"),
        ({"reconstruction_loss": "huber"}, "'reconstruction_loss' is 'huber'; expected mse or bce"),
        ({"latent_dim": "3"}, "'latent_dim' is '3'; expected a whole number"),
        ({"latent_dim": True}, "latent_dim"),
        ({"input_dim": None}, "'input_dim' is None; expected 1 to 4 sizes"),
        ({"input_dim": [1, -2, 3]}, "input_dim"),
        ({"uses_default_encoder": "yes"}, "'uses_default_encoder' is 'yes'; expected true or false"),
        ({"name": "BetaVAEConfig", "beta": float("inf")}, "'beta' is inf; expected a number"),
        ({"name": "BetaVAEConfig", "beta": -1.0}, "beta"),
    ],
)
def test_settings_that_mean_nothing_are_named(settings, match, pythae, tmp_path):
    refused(pythae(settings=settings), tmp_path, match)


def test_a_penalty_that_the_recipe_refuses_is_refused(pythae, tmp_path):
    # the defaults of Pythae: a discrepancy that weighs -0.999 and drives codes away from the prior
    folder = pythae("INFOVAE_MMD", {"alpha": 0, "lbd": 1e-3})
    with pytest.raises(TypeError, match=r"would weigh -0\.999"):
        import_folder(folder, tmp_path / "run")
    assert main(["import", str(folder), "--out", str(tmp_path / "run")]) == 2
    assert not (tmp_path / "run").exists()


def test_folders_that_are_nothing(pythae, tmp_path, capsys):
    refused(tmp_path / "absent", tmp_path, "is no folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", tmp_path, "neither model_config.json")
    folder = pythae()
    (folder / "model.pt").write_bytes(b"PK\x03\x04 and no more")
    refused(folder, tmp_path, "damaged or no archive")
    with zipfile.ZipFile(folder / "model.pt", "w") as target:
        target.writestr("other", b"")
    refused(folder, tmp_path, "expected one data.pkl")
    (folder / "model.pt").unlink()
    refused(folder, tmp_path, "holds no model.pt")
    (folder / "model_config.json").write_text("[1, 2")
    refused(folder, tmp_path, "no valid JSON")
    (folder / "model_config.json").write_text("[1, 2]")
    refused(folder, tmp_path, "expected a JSON object")
    (folder / "model_config.json").write_text(json.dumps({"a": "b" * (1 << 20)}))
    refused(folder, tmp_path, "at most 1,048,576")
    assert main(["import", str(tmp_path / "empty")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_saved_whole_is_no_state(pythae, tmp_path):
    for content, match in (
        ({"state_dict": {}}, "holds no 'model_state_dict'"),
        ([1, 2], "holds no 'model_state_dict'"),
        ({"model_state_dict": torch.zeros(2)}, "holds no 'model_state_dict'"),
    ):
        refused(pythae(content=content), tmp_path, match)


def test_a_half_written_archive_is_damaged(pythae, tmp_path):
    folder = pythae()
    content = (folder / "model.pt").read_bytes()
    for cut in (10, len(content) // 2, len(content) - 10):
        (folder / "model.pt").write_bytes(content[:cut])
        refused(folder, tmp_path, "damaged or no archive")
    # a whole archive whose tensor is shorter than the pickle says
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(folder / "model.pt", "w") as target:
        for name in source.namelist():
            inside = source.read(name)
            target.writestr(name, inside[:4] if "/data/" in name else inside)
    refused(folder, tmp_path, "cannot be read as plain tensors")
