"""`vaekit export` with input that cannot be used: one line, exit code 2, and nothing is left behind."""

from __future__ import annotations

import sys

import pytest

from vaekit.cli import main


@pytest.mark.parametrize(("words", "says"), [
    ([], "--onnx PATH, --torch PATH or --hub DIR"),
    (["--push", "me/model"], "--push belongs to --hub DIR"),
    (["--onnx", "g", "--graphs"], "--graphs belongs to --hub DIR"),
    (["--hub", "h", "--public"], "--public belongs to --push"),
    (["--torch", "t", "--precision", "int8"], "--precision int8 is of ONNX graphs"),
    (["--onnx", "g", "--precision", "int4"], "int4"),
    (["--onnx", "model.pt"], "expected a folder, or a file that ends with .onnx"),
    (["--hub", "h", "--onnx", "h"], "the same target"),
    (["--torch", "model.onnx"], "expected a folder, or a file that ends with .pt2"),
    (["--onnx", "no/such/model.onnx"], "there is no folder no/such"),
    (["--hub", "h", "--push", "model"], "expected OWNER/NAME"),
    (["--onnx", "g", "--torch", "./g"], "the same target"),
    (["--onnx", "g", "--part", "encoder"], "a folder gets both"),
    (["--onyx", "g"], "did you mean '--onnx'"),
])  # fmt: skip
def test_options_that_do_not_fit(refused, path, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    assert says in refused("export", path, *words)
    assert not list(tmp_path.iterdir())


def test_what_is_no_run_or_has_no_weights(refused, copied, tmp_path):
    assert "no run directory" in refused("export", tmp_path / "none", "--onnx", tmp_path / "g")
    (copied / "weights.safetensors").unlink()
    for form in ("--onnx", "--torch", "--hub"):
        assert "vaekit resume" in refused("export", copied, form, tmp_path / "g")
    assert [part.name for part in tmp_path.iterdir()] == ["run"]


def test_existing_targets(refused, path, tmp_path):
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "mine.txt").write_text("mine")
    for form in ("--onnx", "--torch", "--hub"):
        assert "exists already" in refused("export", path, form, tmp_path / "g")
        assert "no export to overwrite" in refused("export", path, form, tmp_path / "g", "--overwrite")
    (tmp_path / "model.onnx").write_text("mine")
    assert "exists already" in refused("export", path, "--onnx", tmp_path / "model.onnx")
    assert sorted(part.name for part in tmp_path.iterdir()) == ["g", "model.onnx"]


def test_a_missing_extra(refused, path, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    line = refused("export", path, "--onnx", tmp_path / "g")
    assert "python -m pip install 'vaekit[onnx]'" in line
    assert not list(tmp_path.iterdir())


def test_a_token_is_asked_for_before_anything_is_written(refused, path, tmp_path, monkeypatch):
    client = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(client, "get_token", lambda: None)
    assert "HF_TOKEN" in refused("export", path, "--hub", tmp_path / "h", "--push", "me/model")
    assert not list(tmp_path.iterdir())


def test_the_hub_folder_by_the_command(path, tmp_path, capsys):
    assert main(["export", str(path), "--hub", str(tmp_path / "h")]) == 0
    assert "model.safetensors" in capsys.readouterr().out
    assert main(["export", str(path), "--hub", str(tmp_path / "h"), "--overwrite"]) == 0
