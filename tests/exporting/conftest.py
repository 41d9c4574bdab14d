"""A tiny run on digits, and its exports by the command line: made once, looked at from many sides."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import vaekit
from vaekit.cli import main
from vaekit.runs import Run


@pytest.fixture(scope="session")
def path(tmp_path_factory) -> Path:
    """A run on handwritten digits, trained for as long as it takes to have numbers of its own."""
    place = tmp_path_factory.mktemp("exporting") / "run"
    vaekit.train("vae", "digits", out=place, latents=3, hidden=(16,), epochs=2, data_options={"limit": 200})
    return place


@pytest.fixture(scope="session")
def run(path) -> Run:
    """The same, opened."""
    return Run.open(path)


@pytest.fixture(scope="session")
def onnx_folder(path, tmp_path_factory) -> Path:
    """What `vaekit export RUN --onnx DIR` leaves."""
    pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    folder = tmp_path_factory.mktemp("onnx") / "graphs"
    assert main(["export", str(path), "--onnx", str(folder)]) == 0
    return folder


@pytest.fixture
def copied(path, tmp_path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(path, tmp_path / "run"))


@pytest.fixture
def refused(capsys) -> Callable[..., str]:
    """Runs a command that has to end with exit code 2 and one line, and gives the line."""

    def check(*words: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        last = err.rstrip("\n").splitlines()[-1]
        assert last.startswith("vaekit: ")
        assert "Traceback" not in err
        return last

    return check
