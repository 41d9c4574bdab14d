"""`vaekit study` and `vaekit list studies`, in this process."""

from __future__ import annotations

import pytest

from vaekit.cli import main
from vaekit.cli import study as command
from vaekit.studies import runner

TINY = """
title = "Two runs"
[fixed]
recipe = "vae"
data = { name = "digits", limit = 20 }
arguments = { latents = 2, hidden = [4] }
training = { steps = 2, batch_size = 10 }
[sweep]
seed = [0, 1]
[scores.evaluation]
limit = 5
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with a study file; runs are made in this process."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.toml").write_text(TINY)
    inner = runner.run
    monkeypatch.setattr(command, "run", lambda *a, **k: inner(*a, **k | {"workers": 0}))
    return tmp_path


@pytest.fixture
def vaekit(here, capsys):
    def call(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_from_a_file_to_table_and_page(vaekit, here):
    code, out, err = vaekit("study", "two.toml")
    assert code == 0
    assert out.splitlines()[0] == "2 finished"
    assert "2/2" in err
    place = here / "studies" / "two"
    assert {path.name for path in place.iterdir()} == {
        "claims", "records", "runs", "study.json", "summary.html", "table.parquet", "work",
    }  # fmt: skip
    code, out, err = vaekit("study", "two.toml", "--table", "csv")
    assert (code, out.splitlines()[0]) == (0, "2 finished")
    assert "2 are finished and 0 have failed already" in err
    assert len((place / "table.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("words", [
    ["--stacked", "two.toml"], ["two.toml", "--stacked"], ["--stacked", "2", "two.toml", "--table", "csv"],
])  # fmt: skip
def test_stacks_are_asked_for_with_or_without_a_number(vaekit, words):
    code, out, _ = vaekit("study", *words)
    assert code == 0
    assert out.splitlines()[:2] == ["2 finished", "2 runs were trained in stacks of 2 models."]


def test_a_dry_run_writes_nothing(vaekit, here):
    code, out, _ = vaekit("study", "two.toml", "--dry-run")
    assert code == 0
    assert "vae  2 runs on digits" in out
    assert "scores: evaluation" in out
    assert [path.name for path in here.iterdir()] == ["two.toml"]


def test_the_table_alone_of_what_is_there(vaekit, here, monkeypatch):
    inner, seen = command.run, []

    def stop(at):
        seen.append(at.done)
        if at.done:
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", lambda *a, **k: inner(*a, **k | {"show": stop}))
    code, out, err = vaekit("study", "two.toml", "--out", "a place")
    assert code == 130
    assert out == ""
    assert err.rstrip().endswith("stopped; go on with `vaekit study two.toml --out 'a place'`")
    monkeypatch.setattr(command, "run", None)
    code, out, _ = vaekit("study", "two.toml", "--out", "a place", "--only-table")
    assert (code, out.splitlines()[0]) == (0, "1 finished, 1 open")
    assert "One run is not finished yet" in (here / "a place" / "summary.html").read_text()


def test_failures_are_said_and_how_to_run_them_again(vaekit, here, monkeypatch):
    from vaekit.studies import work

    monkeypatch.setattr(work, "_carried_out", lambda *rest: 1 / 0)
    code, out, err = vaekit("study", "two.toml")
    assert (code, out.splitlines()[0]) == (0, "2 failed")
    assert "2 runs failed, see the summary; `vaekit study two.toml --retry` runs them again" in err
    monkeypatch.undo()


@pytest.mark.parametrize(("words", "says"), [
    (["nowhere.toml"], "nowhere.toml is not there, and no study of this name ships"),
    (["tinny"], "did you mean 'tiny'"),
    (["."], ". is a folder"),
    (["two.toml", "--workers", "0"], "--workers is 0; expected 1 or more"),
    (["two.toml", "--stacked", "1"], "--stacked is 1; expected one number, 2 or more, or none"),
    (["two.toml", "--stacked", "4", "5"], "--stacked is 4 5"),
    (["two.toml", "--only-table"], "holds no study yet"),
    (["two.toml", "--out", "mine"], "mine exists and holds no study"),
    (["two.toml", "--on", "mars"], "--on"),
    (["two.toml", "--kep", "all"], "did you mean '--keep'"),
    (["bad.toml"], "sweep.arguments.betta"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")  # fmt: skip
def test_bad_input_is_one_line(vaekit, here, words, says):
    (here / "mine").mkdir()
    (here / "mine" / "letter.txt").write_text("dear")
    (here / "bad.toml").write_text(TINY.replace("seed =", "arguments.betta ="))
    before = sorted(here.rglob("*"))
    code, out, err = vaekit("study", *words)
    assert (code, out) == (2, "")
    assert says in err.splitlines()[-1]
    assert "Traceback" not in err
    assert sorted(here.rglob("*")) == before


def test_studies_that_ship_are_listed_and_sound(vaekit):
    code, out, _ = vaekit("list", "studies")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == [
        "locatello2019",
        "locatello2019_small",
        "tiny",
    ]
    code, out, err = vaekit("study", "locatello2019_small", "--dry-run")
    assert code == 0
    assert out.count("9 runs on dsprites") == 6
    assert "54 runs" in err
