"""Workers that are killed at random: no run is lost, and none is there twice."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter

import pytest

from vaekit.errors import UserError
from vaekit.studies import rows, run
from vaekit.studies.runner import Interrupted


@pytest.mark.slow  # `test_stacked.py` kills a worker that has runs and stacks
def test_twelve_runs_and_a_kill(tiny, tmp_path, killed_study):
    study = tiny({"seed": [0, 1, 2], "arguments.beta": [1.0, 2.0, 4.0, 8.0]})
    killed = killed_study(study, tmp_path / "s", [4])
    run(study, tmp_path / "whole", workers=0)
    scores = [
        [[v for k, v in row.items() if k.startswith(("evaluation/", "last."))] for row in table]
        for table in (killed, rows(study, tmp_path / "whole"))
    ]
    assert scores[0] == scores[1]


def test_workers_that_cannot_start_end_the_study_with_their_last_words(tiny, tmp_path, monkeypatch):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'No module named torch' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    study = tiny({"seed": [0, 1, 2]})
    with pytest.raises(UserError, match="no worker can be started: ended with No module named torch"):
        run(study, tmp_path / "s", workers=2)
    assert {row["status"] for row in rows(study, tmp_path / "s")} == {"open"}


@pytest.mark.slow
def test_two_hundred_runs_and_five_kills(tiny, tmp_path, killed_study):
    study = tiny({"seed": list(range(50)), "arguments.beta": [1.0, 2.0, 4.0, 8.0]})
    assert len(study.calls) == 200
    found = killed_study(study, tmp_path / "s", [10, 45, 90, 130, 180])
    assert Counter(row["arguments.beta"] for row in found) == {1.0: 50, 2.0: 50, 4.0: 50, 8.0: 50}


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint_and_the_next_time_goes_on(tiny, tmp_path):
    long = tiny({"seed": [0, 1]}, **{"training.steps": 100_000}, training={"batch_size": 10})
    work = tmp_path / "s" / "work"

    def show(at):
        if at.running == 2 and sum((path / "state.safetensors").exists() for path in work.iterdir()) == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="start the study again"):
        run(long, tmp_path / "s", workers=2, show=show)
    from vaekit import Run

    for call in long.calls:
        stopped = Run.open(work / call.hash)
        assert stopped.record["status"] == "interrupted"
        assert stopped.state()[1]["at"]["step"] > 0


@pytest.mark.slow
def test_workers_end_with_whoever_started_them(tmp_path):
    file = tmp_path / "long.toml"
    file.write_text(
        '[fixed]\nrecipe = "vae"\ndata = "digits"\ntraining.steps = 1_000_000\n[sweep]\nseed = [0, 1]\n'
    )
    place = tmp_path / "s"
    words = ["-m", "vaekit", "study", str(file), "--out", str(place), "--workers", "2"]
    runner = subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL)
    try:
        states = [place / "work"]
        while sum(1 for path in states[0].glob("*/run.json")) < 2:
            assert runner.poll() is None
            time.sleep(0.1)
    finally:
        runner.kill()
        runner.wait()
    from vaekit import Run

    until = time.monotonic() + 60
    while {Run.open(path).record["status"] for path in (place / "work").iterdir()} != {"interrupted"}:
        assert time.monotonic() < until, "a worker goes on without its runner"
        time.sleep(0.1)
