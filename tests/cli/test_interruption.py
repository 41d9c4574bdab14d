"""Runs that are killed, stopped or cut off go on as if nothing had happened, and are never half-written."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vaekit.cli import main
from vaekit.runs import Run

LONG = [
    "train", "vae", "digits", "--limit", "64", "--batch-size", "8", "--hidden", "8",
    "--latents", "2", "--checkpoint-seconds", "0", "--nll-samples", "0", "--no-report",
]  # fmt: skip


@pytest.fixture(scope="module")
def workers():
    """Processes that begin with everything imported, so that a kill meets the training."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["vaekit.cli.train", "vaekit.recipes", "vaekit.data", "sklearn.datasets"])
    return context


def killed_and_resumed(workers, folder: Path, epochs: int, kills: int) -> None:
    rng = random.Random(20)
    options = [*LONG, "--epochs", str(epochs)]
    assert main([*options, "--out", str(folder / "whole")]) == 0
    path = folder / "killed"
    met = 0
    while met < kills:
        words = ["resume", str(path), "--nll-samples", "0", "--no-report"] if path.exists() else \
            [*options, "--out", str(path)]  # fmt: skip
        worker = workers.Process(target=main, args=(words,))
        worker.start()
        before = (path / "state.safetensors").stat().st_mtime_ns if path.exists() else 0
        deadline = time.monotonic() + 60
        # most kills come while it writes one checkpoint after the other, some before there is anything
        while met % 5 and worker.is_alive() and time.monotonic() < deadline:
            if path.exists() and (path / "state.safetensors").stat().st_mtime_ns != before:
                break
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 0.1))
        worker.kill()
        worker.join()
        met += 1
        if path.exists():
            run = Run.open(path)
            run.state()
            run.metrics()
            assert run.record["status"] == "running", "the run ended before all kills had come"
        assert all(
            item.name in ("whole", "killed") or item.name.startswith(".killed.") for item in folder.iterdir()
        )
    words = ["resume", str(path), "--nll-samples", "0", "--no-report"]
    assert main(words if path.exists() else [*options, "--out", str(path)]) == 0
    weights = [(folder / name / "weights.safetensors").read_bytes() for name in ("killed", "whole")]
    assert weights[0] == weights[1]
    assert Run.open(path).record["evaluation"] == Run.open(folder / "whole").record["evaluation"]
    assert not list(path.glob(".*"))  # what the kills left half-written is gone


def test_three_kills_change_nothing(workers, tmp_path):
    killed_and_resumed(workers, tmp_path, epochs=12, kills=3)


@pytest.mark.slow
def test_twenty_kills_change_nothing(workers, tmp_path):
    killed_and_resumed(workers, tmp_path, epochs=100, kills=20)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_after_the_step_and_says_how_to_go_on(vaekit, here, tiny, number, code, monkeypatch):
    from vaekit.cli.progress import Watch

    show, steps = Watch.show, []

    def counted(self, at, batches, fetch):
        steps.append(at.step)
        if at.step == 3:
            os.kill(os.getpid(), number)
        return show(self, at, batches, fetch)

    monkeypatch.setattr(Watch, "show", counted)
    before = signal.getsignal(number)
    said = vaekit("train", *tiny, "--batch-size", 10, "--out", "run dir")
    assert said.code == code
    assert steps == [1, 2, 3]
    assert said.err.rstrip().endswith("go on with `vaekit resume 'run dir'`")
    assert signal.getsignal(number) is before
    assert Run.open("run dir").record["status"] == "interrupted"
    monkeypatch.setattr(Watch, "show", show)
    assert vaekit("resume", "run dir", "--nll-samples", 5, "--no-report").code == 0
    assert vaekit("train", *tiny, "--batch-size", 10, "--out", "whole", "--no-report").code == 0
    weights = [(here / name / "weights.safetensors").read_bytes() for name in ("run dir", "whole")]
    assert weights[0] == weights[1]


def test_a_signal_before_the_training_leaves_nothing(vaekit, here, tiny, monkeypatch):
    from vaekit import api

    def stop(*args: object, **kwargs: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(api, "load_splits", stop)
    said = vaekit("train", *tiny)
    assert said.code == 130
    assert said.err.strip() == "vaekit: stopped"
    assert not list(here.iterdir())


def start(*words: str, **environment: str) -> subprocess.Popen[bytes]:
    kept = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "vaekit", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=kept | environment,
    )  # fmt: skip


def test_a_reader_that_goes_away_is_no_error():
    code = f"{sys.executable} -m vaekit list recipes | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() in ("0", "141")
    assert done.stderr == ""


def test_a_terminal_of_another_age(tmp_path):
    process = start("list", "--help", PYTHONIOENCODING="ascii", LC_ALL="C", HOME="/nonexistent")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert b"recipes, data, studies or reproductions" in out


def test_a_whole_training_without_home_in_a_plain_terminal(tmp_path, tiny):
    process = start("train", *tiny, "--out", str(tmp_path / "run"), PYTHONIOENCODING="ascii", LC_ALL="C",
                    MPLCONFIGDIR=str(tmp_path), HOME="/nonexistent")  # fmt: skip
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert b"ELBO" in out
    assert b"\033" not in out + err
    assert (tmp_path / "run" / "report.html").exists()
