"""`vaekit evaluate RUN --scores PRESET`."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import pytest

from vaekit.cli import main
from vaekit.disentanglement import NAMES, PRESETS

TINY = [
    "--epochs",
    "1",
    "--limit",
    "64",
    "--hidden",
    "8",
    "--latents",
    "3",
    "--nll-samples",
    "2",
    "--no-report",
]


@pytest.fixture(scope="module")
def of_squares(tmp_path_factory):
    path = tmp_path_factory.mktemp("squares") / "run"
    assert main(["train", "vae", "mini_xy", *TINY, "--out", str(path)]) == 0
    return path


@pytest.fixture
def squares(of_squares, tmp_path, monkeypatch):
    small = {"train": 60, "test": 30, "batch": 4, "labels": (10,)}
    for name in PRESETS:
        monkeypatch.setitem(PRESETS, name, replace(PRESETS[name], **small))
    return shutil.copytree(of_squares, tmp_path / "squares")


def test_all_scores_with_their_times_are_printed_and_kept(vaekit, squares):
    said = vaekit("evaluate", squares, "--scores", "modern", "--seed", 3)
    assert said.code == 0
    assert said.out.startswith("preset modern, mean representation, seed 3; 60 train, 30 test, 4 batch\n")
    kept = json.loads((squares / "run.json").read_text())["disentanglement"]["modern mean"]
    assert tuple(kept["scores"]) == NAMES
    for name, value in kept["values"].items():
        line = next(line for line in said.out.splitlines() if line.split()[:1] == [name])
        shown = float(line.split()[1])
        assert math.isnan(shown) if value is None else shown == pytest.approx(value, abs=1e-4)
    assert said.out.count(" s   ") == len(NAMES)


def test_some_scores_are_printed_and_not_kept(vaekit, squares):
    first, again, other = (
        vaekit("evaluate", squares, "--scores", "locatello2019", "--only", "mig", "irs", "--seed", seed).out
        for seed in (0, 0, 1)
    )
    values = [[line.split()[:2] for line in out.splitlines()[1:]] for out in (first, again, other)]
    assert values[0] == values[1] != values[2]
    assert [name for name, _ in values[0] if name != "note:"] == ["mig", "irs"]
    assert "disentanglement" not in json.loads((squares / "run.json").read_text())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--scores", "moderne"], "moderne"),
        (["--scores", "modern", "--only", "migs"], "did you mean 'mig'"),
        (["--scores", "modern", "--limit", "5"], "leave out --limit"),
        (["--scores", "modern", "--seed", "-1"], "--seed is -1"),
        (["--scores", "modern", "--only", "mig", "--merge"], "no two values"),
        (["--only", "mig"], "belong to --scores"),
        (["--representation", "sampled"], "belong to --scores"),
    ],
)
def test_bad_options_are_refused_in_one_line(vaekit, squares, words, says):
    before = (squares / "run.json").read_text()
    said = vaekit("evaluate", squares, *words)
    assert said.code == 2
    assert says in said.err.splitlines()[-1]
    assert said.out == ""
    assert (squares / "run.json").read_text() == before


def test_data_without_known_factors_are_refused(vaekit, run):
    said = vaekit("evaluate", run, "--scores", "modern")
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "digits, whose factors are not known" in said.err


def test_the_gap_of_the_posteriors(vaekit, squares):
    said = vaekit("evaluate", squares, "--scores", "modern", "--only", "exact_mig", "--limit", 40)
    assert said.code == 0
    [line] = [line for line in said.out.splitlines() if "mig_exact" in line]
    from vaekit.metrics import exact_mig
    from vaekit.runs import Run

    run = Run.open(squares)
    expected = exact_mig(run.model(), run.ground_truth(), limit=40)
    assert float(line.split()[line.split().index("mig_exact") + 1]) == pytest.approx(expected.value, abs=1e-4)
    assert "disentanglement" not in json.loads((squares / "run.json").read_text())


def test_runs_are_ranked_by_how_well_others_find_their_latents(vaekit, squares, tmp_path):
    for seed in (1, 2):
        assert (
            main(["train", "vae", "mini_xy", *TINY, "--seed", f"{seed}", "--out", f"{tmp_path}/{seed}"]) == 0
        )
    others = [tmp_path / "1", tmp_path / "2"]
    said = vaekit("evaluate", squares, "--partners", *others, "--limit", 30)
    assert said.code == 0
    from vaekit.metrics import udr
    from vaekit.runs import Run

    runs = [Run.open(path) for path in (squares, *others)]
    expected = udr([run.model() for run in runs], runs[0].data().test, n=30)
    lines = said.out.splitlines()
    for run, line, value in zip(runs, lines, expected.values.values(), strict=False):
        assert line.split()[:2] == [str(run.path), f"{value:.4f}"]
    assert lines[3].startswith("udr  [seed 0; 30 points, 3 models")
    record = json.loads((others[1] / "run.json").read_text())
    record["data"]["fingerprint"] = "0" * 64
    (others[1] / "run.json").write_text(json.dumps(record))
    for words, says in (
        (["--partners", *others], "was trained on other data"),
        (["--partners", squares], "twice"),
        (["--partners", others[0], "--scores", "modern"], "leave out --scores"),
        (["--partners", others[0], "--limit", 1], "--limit is 1"),
        (["--partners", tmp_path / "3"], "no run directory"),
    ):
        bad = vaekit("evaluate", squares, *words)
        assert (bad.code, bad.out) == (2, "")
        assert says in bad.err
