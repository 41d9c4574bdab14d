"""The page about studies: its file is a study, and its program runs."""

from __future__ import annotations

import re
from pathlib import Path

from vaekit.studies import read

PAGE = Path(__file__).parents[2] / "docs" / "studies.md"


def snippet(language):
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return found


def test_the_file_of_the_page_is_a_study_of_twelve_runs(tmp_path):
    path = tmp_path / "two.toml"
    path.write_text(snippet("toml"))
    study = read(path)
    assert len(study.calls) == 12
    assert study.title == "Two methods on digits"


def test_the_program_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    exec(snippet("python").replace("workers=2", "workers=0"), scope)  # our own page
    assert len(scope["study"].calls) == 8
    assert scope["best"]["status"] == "finished"
