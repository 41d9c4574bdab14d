"""Outcomes, their record, and the status that follows from it."""

from __future__ import annotations

import json

import pytest

from vaekit import reproductions
from vaekit.errors import UserError
from vaekit.reproductions import runner, status
from vaekit.reproductions.outcome import Check, Figure, Outcome


def outcome(*holds):
    checks = [Check(f"condition {i}", held) for i, held in enumerate(holds)]
    return Outcome([Figure("x", 1.0)], checks, [0], "data", "budget")


@pytest.mark.parametrize(
    ("holds", "verdict"),
    [((True, True), "shown"), ((True, False), "partly shown"), ((False, False), "not shown")],
)
def test_the_verdict_follows_from_the_conditions(holds, verdict):
    assert outcome(*holds).verdict == verdict
    assert outcome(*holds).to_json()["verdict"] == verdict


def test_a_record_replaces_an_older_one_of_the_same_budget(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    monkeypatch.setattr(runner, "results", lambda: json.loads(path.read_text()) if path.exists() else {})
    for value, full in ((1, False), (2, True), (3, False)):
        runner.record({"name": "b", "full": full, "value": value}, path)
    runner.record({"name": "a", "full": False, "value": 4}, path)
    stored = json.loads(path.read_text())
    assert list(stored) == ["a", "b", "b --full"]
    assert stored["b"]["value"] == 3


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "checked"),
        (["shown"], "reproduced"),
        (["shown", "partly shown"], "partly"),
        (["not shown"], "partly"),
    ],
)
def test_the_status_of_a_recipe(monkeypatch, verdicts, expected):
    table = {str(i): {"verdict": v, "recipes": ["vae"]} for i, v in enumerate(verdicts)}
    table["other"] = {"verdict": "not shown", "recipes": ["iwae"]}
    monkeypatch.setattr(reproductions, "results", lambda: table)
    assert status("vae") == expected


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'iwae_on_mnist'"):
        reproductions.get("iwae_on_mnst")


@pytest.mark.slow
def test_a_claim_that_takes_a_minute_is_shown_again():
    result = runner.run("full_covariance_closes_the_gap", say=lambda line: None)
    assert result["verdict"] == "shown"
