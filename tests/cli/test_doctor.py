"""`vaekit doctor` on a terminal: what it prints, writes and answers, also to bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vaekit.doctor.finding import Finding


@pytest.fixture
def sick(tmp_path):
    """A table with an outlier, a constant and a hole."""
    rows = np.random.default_rng(0).normal(size=(240, 4))
    rows[:, 2] = 7.0
    rows[5, 0] = 1e4
    lines = [",".join(f"{value:.5f}" for value in row) for row in rows]
    lines[9] = lines[9].rsplit(",", 1)[0] + ","
    path = tmp_path / "my table.csv"
    path.write_text("a,b,c,d\n" + "\n".join(lines) + "\n")
    return path


def test_a_healthy_set(vaekit):
    said = vaekit("doctor", "digits")
    assert said.code == 0
    assert said.out.startswith("No problems found.\n")
    assert "Try       vaekit train vae digits --latents" in said.out
    assert vaekit("doctor", "digits", "--strict").code == 0


def test_findings_are_told_and_written(vaekit, sick, here):
    said = vaekit("doctor", sick, "--json", "found.json")
    assert said.code == 0
    record = json.loads((here / "found.json").read_text())
    assert said.out.startswith(record["verdict"])
    assert record["verdict"] == "1 problem and 2 warnings found."
    assert record["healthy"] is False
    found = [Finding(**entry) for entry in record["findings"]]
    assert [finding.key for finding in found][:3] == ["missing_values", "constant_columns", "outliers"]
    flat = " ".join(said.out.split())
    for finding in found:
        assert f"{finding.severity}: {finding.title}" in flat
        assert " ".join(finding.measured.split())[:60] in flat
        if finding.command:  # on one line, to be copied, with its path quoted
            assert finding.command in said.out
            assert f"'{sick}'" in finding.command
    assert "row 5" in next(finding.measured for finding in found if finding.key == "outliers")
    assert vaekit("doctor", sick, "--strict").code == 1


def test_options_of_the_data(vaekit, sick):
    said = vaekit("doctor", sick, "--drop", "d", "--strict")
    assert said.code == 1
    assert "missing" not in said.out
    assert "--drop d c" in said.out
    said = vaekit("doctor", "digits", "--labelled", "100")
    assert "1,337 of 1,437 (93 %) training data have no label" in " ".join(said.out.split())


def test_the_same_seed_says_the_same(vaekit):
    first, again = (vaekit("doctor", "mini_sprites", "--seed", "3") for _ in range(2))
    assert first.out == again.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Missing from"),
        (["mnits"], "did you mean 'mnist'"),
        (["digits", "--sizes", "8"], "did you mean '--size'"),
        (["digits", "--size", "0"], "`size` is 0"),
        (["digits", "--seed", "-1"], "--seed is -1"),
        (["digits", "--drop", "a"], "digits has no named columns"),
        (["digits", "--json", "no/such/place.json"], "cannot write"),
        (["empty.csv"], "is empty"),
        (["ragged.csv"], "line 3 has 1 values"),
        (["x.json"], "'.json'"),
        (["pickle.npy"], "pickled objects"),
        (["."], "no pictures"),
    ],
)
def test_bad_input_is_one_line(vaekit, here, words, says, tree):
    (here / "empty.csv").write_text("")
    (here / "ragged.csv").write_text("a,b\n1,2\n3\n")
    (here / "x.json").write_text("{}")
    np.save(here / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    before = tree(here)
    said = vaekit("doctor", *words)
    assert said.code == 2
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert says in said.err
    assert tree(here) == before


def test_a_run(vaekit, trained, here, tree):
    before = tree(trained)
    said = vaekit("doctor", trained, "--json", "found.json")
    assert said.code == 0
    keys = [entry["key"] for entry in json.loads((here / "found.json").read_text())["findings"]]
    assert "worse_than_constant" in keys  # after two steps
    assert "kind" not in keys
    said = vaekit("doctor", trained, "--size", "8")
    assert said.code == 2
    assert "is a run, which knows its data; got --size: leave that out" in said.err
    assert tree(trained) == before


def test_the_folder_of_a_published_run_is_a_run(vaekit, trained, here):
    assert vaekit("export", trained, "--hub", "published").code == 0
    shown = vaekit("doctor", "published", "--json", "of-published.json")
    vaekit("doctor", trained, "--json", "of-run.json")
    assert shown.code == 0
    keys = [
        {found["key"] for found in json.loads((here / name).read_text())["findings"]}
        for name in ("of-published.json", "of-run.json")
    ]
    assert keys[0] == keys[1]
