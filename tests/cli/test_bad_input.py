"""Bad input gets one clear line and exit code 2, and leaves nothing behind."""

from __future__ import annotations

import errno
import gzip
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file


@pytest.fixture
def refused(vaekit, tree, tmp_path):
    """Runs a command that has to fail with one line; checks that nothing on the disk changed."""

    def check(*words: object, says: str) -> None:
        before = tree(tmp_path)
        said = vaekit(*words)
        assert said.code == 2, said
        lines = said.err.rstrip("\n").splitlines()
        assert lines[-1].startswith("vaekit: ")
        assert all(not line.startswith(("vaekit:", "Traceback", " ")) for line in lines[:-1]), said.err
        assert "Traceback" not in said.err
        assert says in lines[-1]
        assert said.out == ""
        assert tree(tmp_path) == before

    return check


@pytest.mark.parametrize(("words", "says"), [
    (["trian"], "did you mean 'train'"),
    (["train", "vea"], "did you mean 'vae'"),
    (["train", "mnist"], "`vaekit train vae mnist`"),
    (["train", "vae", "mnits"], "did you mean 'mnist'"),
    (["train", "vae", "no/such.npy"], "no/such.npy"),
    (["train", "vae", "digits", "more"], "does not expect 'more'"),
    (["train", "--latent", "3"], "did you mean '--latents'"),
    (["train", "beta_vae", "--betta", "3"], "did you mean '--beta'"),
    (["train", "--latents", "many"], "--latents"),
    (["train", "--latents"], "--latents"),
    (["train", "--prior", "flows"], "standard"),
    (["train", "--limit", "20", "--latents", "0"], "0"),
    (["train", "--limit", "20", "--latents", "-4"], "-4"),
    (["train", "--limit", "20", "--latents", "99999999999999"], "memory"),
    (["train", "--limit", "20", "--hidden", "-4"], "-4"),
    (["train", "--limit", "20", "--learning-rate", "-1"], "learning_rate"),
    (["train", "--limit", "20", "--likelihood", "gaussian"], "bernoulli"),
    (["train", "--limit", "20", "--architecture", "conv"], "conv"),
    (["train", "--limit", "-3"], "-3"),
    (["train", "m2", "--labelled", "5", "--limit", "60"], "10 classes"),
    (["train", "m2", "--labelled", "5000"], "take fewer"),
    (["train", "m2", "dsprites"], "labels"),
    (["train", "--size", "0"], "`size` is 0"),
    (["train", "--epochs", "0"], "`epochs` is 0"),
    (["train", "--steps", "-1"], "`steps` is -1"),
    (["train", "--batch-size", "0"], "`batch_size` is 0"),
    (["train", "--accumulate", "0"], "`accumulate` is 0"),
    (["train", "--patience", "0"], "`patience` is 0"),
    (["train", "--clip", "-1"], "`clip` is -1.0"),
    (["train", "--clip", "nan"], "`clip` is nan"),
    (["train", "--seed", "-1"], "`seed` is -1"),
    (["train", "--seed", "99999999999999999999999"], "`seed`"),
    (["train", "--nll-samples", "-1"], "-1"),
    (["train", "--device", "tpu"], "`device` is 'tpu'"),
    (["train", "cvae", "--limit", "20"], "condition"),
    (["evaluate"], "run"),
    (["evaluate", "nowhere"], "nowhere is no run directory"),
    (["sample", "nowhere", "-n", "3"], "nowhere is no run directory"),
    (["resume", "."], "holds no run.json"),
    (["reproduce", "nothing_like_it"], "there is no reproduction"),
    (["list", "everything"], "recipes"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")  # fmt: skip
def test_words(refused, words, says):
    refused(*words, says=says)


def save(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def good(rows: int = 30) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, 4))


def with_value(value: float) -> np.ndarray:
    array = good()
    array[3, 2] = value
    return array


@pytest.mark.parametrize(("array", "options", "says"), [
    (with_value(np.nan), [], "(3, 2)"),
    (with_value(np.inf), [], "inf"),
    (with_value(7.0), ["--kind", "unit"], "contradicts kind 'unit'"),
    (with_value(0.5), ["--kind", "binary"], "contradicts kind 'binary'"),
    (np.array([[1.5, 2.0]] * 9), ["--kind", "count"], "contradicts kind 'count'"),
    (good(0), [], "empty"),
    (good(1), [], "one row"),
    (good()[:, 0], [], "shape"),
    (np.array([["a", "b"]] * 9), [], "type"),
], ids=["nan", "inf", "unit", "binary", "count", "empty", "one row", "shape", "words"])  # fmt: skip
def test_arrays(refused, tmp_path, array, options, says):
    refused("train", "vae", save(tmp_path / "x.npy", array), *options, says=says)


def test_files(refused, tmp_path, table):
    whole = save(tmp_path / "whole.npy", good())
    (tmp_path / "cut.npy").write_bytes(whole.read_bytes()[:-9])
    refused("train", "vae", tmp_path / "cut.npy", says="cut.npy")
    (tmp_path / "cut.npz").write_bytes(b"PK\3\4broken")
    refused("train", "vae", tmp_path / "cut.npz", says="cut.npz")
    (tmp_path / "words.csv").write_text("a,b\n1,2\n3,x\n")
    refused("train", "vae", tmp_path / "words.csv", says="line 3, column 'b'")
    (tmp_path / "empty.csv").write_text("")
    refused("train", "vae", tmp_path / "empty.csv", says="empty")
    refused("train", "vae", table, "--labels", "weight", says="'weight'")
    (tmp_path / "pictures").mkdir()
    refused("train", "vae", tmp_path / "pictures", says="no pictures")
    (tmp_path / "pictures" / "a.png").write_bytes(b"\x89PNG\r\n")
    refused("train", "vae", tmp_path / "pictures", says="a.png")
    (tmp_path / "x.exe").write_bytes(b"MZ")
    refused("train", "vae", tmp_path / "x.exe", says="'.exe'")


def test_a_published_file_with_another_hash(refused, tmp_path, monkeypatch):
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    with gzip.open(tmp_path / "data/mnist/train-images-idx3-ubyte.gz", "wb") as stream:
        stream.write(b"\0\0\x08\x01\0\0\0\x01\x07")
    monkeypatch.setenv("VAEKIT_DATA", str(tmp_path / "data"))
    refused("train", "vae", "mnist", says="SHA-256")


class Canary:
    """A pickle that leaves a file behind when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_is_never_opened(refused, run, tmp_path, tree):
    canary = tmp_path / "canary"
    payload = pickle.dumps(Canary(canary))
    pickle.loads(payload)
    assert canary.exists()  # it would sing
    canary.rmdir()
    (tmp_path / "x.npy").write_bytes(payload)
    refused("train", "vae", tmp_path / "x.npy", says="x.npy")
    np.save(tmp_path / "o.npy", np.array([Canary(canary)], dtype=object), allow_pickle=True)
    refused("train", "vae", tmp_path / "o.npy", says="pickle")
    torch.save({"a": torch.zeros(2), "b": Canary(canary)}, tmp_path / "t.pt")
    for name, commands in (
        ("weights.safetensors", ("sample", "evaluate")),
        ("state.safetensors", ("resume",)),
    ):
        kept = (run / name).read_bytes()
        for content in (payload, (tmp_path / "t.pt").read_bytes()):
            (run / name).write_bytes(content)
            for command in commands:
                refused(command, run, says=name)
        (run / name).write_bytes(kept)
    (run / "run.json").write_bytes(payload)
    refused("sample", run, says="run.json")
    assert not canary.exists()


def changed(run: Path, **entries: object) -> None:
    path = run / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def spec_with(run: Path, **entries: object) -> dict[str, object]:
    return {**json.loads((run / "run.json").read_text())["spec"], **entries}


@pytest.mark.parametrize("command", ["sample", "resume"])
def test_damaged_records(refused, run, command):
    path = run / "run.json"
    whole = path.read_text()
    for content, says in ((whole[:-40], "no valid JSON"), ("", "no valid JSON"), ("[]", "JSON object"),
                          ("[" * 100_000, "no valid JSON"), ("\0\1", "no valid JSON")):  # fmt: skip
        path.write_text(content)
        refused(command, run, says=says)
    arguments = json.loads(whole)["arguments"]
    data = json.loads(whole)["data"]
    path.write_text(whole)
    spec = spec_with(run)
    for entries, says in (
        ({"format": 99}, "format 99"),
        ({"format": None}, "format None"),
        ({"recipe": "../../etc/passwd"}, "no recipe"),
        ({"recipe": "os.system"}, "no recipe"),
        ({"recipe": 3}, "recipe"),
        ({"arguments": {**arguments, "latent": 3}}, "latent"),
        ({"arguments": {**arguments, "latents": "x"}}, "recipe"),
        ({"arguments": {**arguments, "latents": 10**15}}, "bytes of weights"),
        ({"arguments": {**arguments, "latents": 10**8}}, "bytes of weights"),
        ({"arguments": {**arguments, "hidden": {"a": 1}}}, "recipe"),
        ({"spec": {**spec, "shape": [1, 10**6, 10**6]}}, "bytes of weights"),
        ({"spec": {**spec, "shape": [1, 8]}}, ""),
        ({"spec": {**spec, "shape": "x"}}, "run.json"),
        ({"spec": {**spec, "shape": [1.5]}}, ""),
        ({"spec": {**spec, "kind": "sound"}}, "kind"),
        ({"spec": {**spec, "colour": 3}}, "colour"),
        ({"seed": -1}, "seed"),
        ({"seed": 10**30}, "seed"),
        ({"data": {**data, "source": ["a"]}}, "source"),
        ({"data": {"source": "digits"}}, "options"),
    ):  # fmt: skip
        changed(run, **entries)
        refused(command, run, says=says)
        path.write_text(whole)


def test_damaged_data_of_a_run(refused, run, tmp_path):
    whole = (run / "run.json").read_text()
    data = json.loads(whole)["data"]
    for entries, says in (
        ({"source": "../../../etc/passwd"}, "passwd"),
        ({"source": "/etc"}, "no pictures"),
        ({"source": None}, "memory"),
        ({"options": {"limit": 30, "folder": "x"}}, "folder"),
        ({"options": {"limit": "x"}}, "options"),
        ({"options": {"limit": 29}}, "changed"),
        ({"fingerprint": "0"}, "changed"),
    ):  # fmt: skip
        changed(run, data={**data, **entries})
        for command in (["evaluate", run], ["resume", run], ["encode", run, "test"]):
            refused(*command, says=says)
        (run / "run.json").write_text(whole)


def test_damaged_training_of_a_run(refused, run):
    whole = (run / "run.json").read_text()
    training = json.loads(whole)["training"]
    for entries in ({"epochs": "x"}, {"epochs": -1}, {"batch_size": 0}, {"optimizer": "x"}, {"clip": "x"}):
        changed(run, training={**training, **entries})
        refused("resume", run, says="damaged")
        (run / "run.json").write_text(whole)
    for line in ("{", "[]", '{"epoch": "x"}', "{}"):
        (run / "metrics.jsonl").write_text(line + "\n")
        refused("resume", run, says="damaged")


def test_damaged_weights_and_states(refused, run):
    for name, command in (("weights.safetensors", "sample"), ("state.safetensors", "resume")):
        path = run / name
        whole = path.read_bytes()
        tensors = load_file(path)
        for content in (
            whole[: len(whole) // 2],
            b"",
            b"garbage" * 99,
            b"\xff" * 64,
            whole[:8] + b"}" + whole[9:],
        ):
            path.write_bytes(content)
            refused(command, run, says=name)
        first = next(key for key in tensors if key.endswith("weight"))
        for spoilt in (
            {key: value for key, value in tensors.items() if key != first},
            {**tensors, first: torch.zeros(2, 2)},
            {"other": torch.zeros(3)},
        ):
            save_file(spoilt, path, metadata={"about": "{}"})
            refused(command, run, says=str(run))
        path.unlink()
        refused(command, run, says=name)
        path.write_bytes(whole)


def test_data_that_do_not_fit_a_run(refused, run, tmp_path, table):
    refused("encode", run, table, says="expected")
    refused("reconstruct", run, save(tmp_path / "x.npy", np.zeros((3, 5, 5))), says="expected")
    refused("encode", run, save(tmp_path / "y.npy", with_value(np.nan)), says="")
    refused("encode", run, "tset", says="tset")


def test_places_that_cannot_be_written(refused, run, tmp_path, tiny):
    refused("train", *tiny, "--out", run, says="exists already")
    (tmp_path / "file").write_text("x")
    refused("train", *tiny, "--out", tmp_path / "file", says="exists already")
    refused("train", *tiny, "--out", tmp_path / "file" / "run", says="cannot create")
    refused("sample", run, "--out", tmp_path / "none" / "x.png", says="no folder")
    refused("sample", run, "--out", tmp_path, says="expected .png or .npy")
    refused("sample", run, "--out", tmp_path / "x.csv", says="expected .png or .npy")
    refused("encode", run, "test", "--out", tmp_path / "x.pkl", says="expected .npy or .csv")
    refused("sample", run, "-n", 0, says="-n is 0")
    refused("sample", run, "--mean", "--noise", says="exclude each other")
    refused("reconstruct", run, "test", "-n", -1, says="-n is -1")
    refused("evaluate", run, "--samples", -1, says="--samples is -1")
    refused("evaluate", run, "--limit", 0, says="--limit is 0")
    refused("resume", run, "--epochs", 1, says="epochs")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(refused, tmp_path, tiny):
    (tmp_path / "closed").mkdir(mode=0o500)
    refused("train", *tiny, "--out", tmp_path / "closed" / "run", says="Permission denied")


@pytest.mark.parametrize("call", ["replace", "fsync", "mkdir"])
@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_refuses(refused, run, tiny, monkeypatch, call, reason):
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, call, refuse)
    refused("train", *tiny, "--out", "new", says=os.strerror(reason))
    if call != "mkdir":
        refused("sample", run, says=os.strerror(reason))


def test_a_disk_that_fills_while_training(vaekit, here, tiny, monkeypatch):
    from vaekit.runs import Run

    replace, calls = os.replace, []

    def full(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    said = vaekit("train", *tiny, "--out", "new", "--checkpoint-seconds", 0, "--epochs", 9)
    assert said.code == 2
    assert said.err.rstrip().splitlines()[-1].startswith("vaekit: ")
    assert "No space left" in said.err
    assert "Traceback" not in said.err
    assert not list(here.glob("**/.*"))
    monkeypatch.setattr(os, "replace", replace)
    assert Run.open("new").record["status"] == "running"
    assert vaekit("resume", "new", "--nll-samples", 0, "--no-report").code == 0


def test_a_full_disk_for_real(refused, run, tiny):
    full = Path("/dev/full")
    if not full.exists() or not shutil.which("true"):
        pytest.skip("no /dev/full here")
    refused("sample", run, "--out", full, says="expected .png or .npy")


def test_a_bug_shows_its_traceback_and_a_mistake_does_so_on_request(vaekit, run, monkeypatch):
    from vaekit.errors import UserError

    with pytest.raises(UserError):
        vaekit("--debug", "sample", "nowhere")
    monkeypatch.setenv("VAEKIT_DEBUG", "1")
    with pytest.raises(UserError):
        vaekit("sample", "nowhere")
    monkeypatch.setenv("VAEKIT_DEBUG", "0")
    assert vaekit("sample", "nowhere").code == 2
    monkeypatch.setattr("vaekit.runs.Run.model", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        vaekit("sample", run)
