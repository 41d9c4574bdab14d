"""The command line in process: exit code, what was printed, and what lies on the disk afterwards."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from vaekit.cli import main

TINY = ["--limit", "30", "--epochs", "2", "--hidden", "8", "--latents", "3", "--nll-samples", "5"]


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty working directory."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def vaekit(here, capsys) -> Callable[..., Said]:
    def run(*words: object) -> Said:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A tiny run on digits, with its report."""
    path = tmp_path_factory.mktemp("trained") / "run"
    assert main(["train", "vae", "digits", *TINY, "--out", str(path)]) == 0
    return path


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def table(tmp_path) -> Path:
    """A table of two columns, far from standardised."""
    rows = np.random.default_rng(0).normal([100.0, -5.0], [10.0, 0.1], (60, 2))
    path = tmp_path / "table.csv"
    path.write_text("height,depth\n" + "".join(f"{a:.4f},{b:.4f}\n" for a, b in rows))
    return path


@pytest.fixture
def tiny() -> list[str]:
    """Options of a training that takes no time."""
    return TINY


@pytest.fixture
def tree() -> Callable[[Path], dict[str, str]]:
    """Lists every file below a folder with the hash of its content; folders are listed too."""
    return _tree


def _tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }
