"""Two processes and one end in the same place: one launch of `torchrun`, looked at from many sides."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vaekit import recipes
from vaekit.loggers.following import numbers

pytest.importorskip("accelerate", reason="the extra `distributed` is not installed")

SCRIPT = Path(__file__).with_name("together.py")
REFUSED: dict[str, str] = {}
"""Recipe -> why two processes cannot train it."""


def torchrun(*arguments, count=2, **options):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, env=environment, **options
    )


@pytest.fixture(scope="module")
def alone():
    """The functions that both sides run."""
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("together")
    done = torchrun(SCRIPT, folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no warning of anybody
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(2)]


@pytest.fixture(scope="module")
def expected(alone):
    """What one process finds on the whole batches."""
    return alone["all_steps"]()


@pytest.mark.parametrize("key", [*recipes.names, "batch_norm", "vae in pieces", "piwae in pieces"])
def test_the_same_steps(ranks, expected, key):
    name = key.split()[0]
    first, second = (rank["steps"][key] for rank in ranks)
    if name in REFUSED:
        assert REFUSED[name] in first
        assert "one process" in first
        return
    assert not isinstance(first, str), first
    assert first.keys() == second.keys() == expected[key].keys()
    for entry, value in expected[key].items():
        assert torch.equal(first[entry], second[entry]), entry
        torch.testing.assert_close(
            first[entry], value, rtol=1e-9, atol=1e-11, msg=lambda m, e=entry: f"{e}: {m}"
        )


def test_a_run_is_the_same_on_two_processes(ranks, alone, tmp_path):
    one = alone["whole_run"](tmp_path / "run")
    for rank in ranks:
        found = rank["run"]
        assert found["state"].keys() == one["state"].keys()
        for name, value in one["state"].items():
            torch.testing.assert_close(found["state"][name], value, rtol=1e-4, atol=1e-5)
        assert len(found["metrics"]) == len(one["metrics"]) == 3
        for mine, theirs in zip(one["metrics"], found["metrics"], strict=True):
            assert len(mine["valid/rates"]) > 1
            assert numbers({**mine, "seconds": 0}) == pytest.approx(
                numbers({**theirs, "seconds": 0}), rel=1e-5
            )
        assert found["record"]["status"] == "finished"
        assert found["record"]["processes"] == 2
        assert found["seen"] == one["seen"]
    assert one["record"]["processes"] == 1


def test_the_stream_is_that_of_one_process(ranks, alone, tmp_path):
    one = alone["whole_run"](tmp_path / "run")
    assert torch.equal(ranks[0]["run"]["state"]["random/cpu"], one["state"]["random/cpu"])


def test_resume_is_exact_when_one_of_them_asked_to_stop(ranks):
    for rank in ranks:
        whole, cut = rank["run"], rank["cut"]
        assert whole["state"].keys() == cut["state"].keys()
        for name, value in whole["state"].items():
            assert torch.equal(cut["state"][name], value), name
        without_time = [[{**row, "seconds": 0} for row in run["metrics"]] for run in (whole, cut)]
        assert without_time[0] == without_time[1]


def test_stages_are_trained_together_too(ranks, alone, tmp_path):
    one = alone["staged_run"](tmp_path / "stages")
    for rank in ranks:
        for stage, state in one.items():
            assert rank["stages"][stage].keys() == state.keys()
            for name, value in state.items():
                torch.testing.assert_close(rank["stages"][stage][name], value, rtol=1e-3, atol=1e-5)


def test_one_error_for_all(ranks):
    assert all("exists already" in rank["occupied"] for rank in ranks)
    assert all(
        rank["files"] == ["cut", "run", "stages"] for rank in ranks
    )  # nothing is left behind by the second


@pytest.mark.slow
def test_the_command_line(tmp_path):
    arguments = (
        "-m",
        "vaekit",
        "train",
        "vae",
        "digits",
        "--epochs",
        "1",
        "--nll-samples",
        "0",
        "--no-report",
    )
    done = torchrun(*arguments, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ELBO") == 1
    assert done.stderr.count("Trained 1 epochs") == 1
    assert json.loads((tmp_path / "run" / "run.json").read_text())["processes"] == 2
    refused = torchrun("-m", "vaekit", "train", "vae", "digits", "--compile", "--out", tmp_path / "no")
    assert refused.returncode != 0
    assert "`compile` does not go together with several processes yet, and 2 were started" in refused.stderr
    assert not (tmp_path / "no").exists()
