"""Scores of several runs, and runs that were kept and are scored anew."""

from __future__ import annotations

import json

import pytest
import torch

from vaekit import Run
from vaekit.disentanglement import udr
from vaekit.errors import UserError
from vaekit.metrics import codes_and_rates
from vaekit.metrics import udr as udr_of
from vaekit.studies import Study, chain, fixed, product, rows, run, sweep, write_summary
from vaekit.studies import collected as collecting
from vaekit.studies import work as units
from vaekit.studies.store import Store

RANKED = {"evaluation": {"limit": 5}, "udr": {"n": 20}}
SWEEP = {"arguments.beta": [1.0, 4.0], "seed": [0, 1, 2]}
LARGER = {"data.limit": 60}


@pytest.fixture
def trained(monkeypatch):
    """The seeds of the runs that are really trained."""
    seen = []
    train = units.api.train

    def watched(*rest, seed, **settings):
        seen.append(seed)
        return train(*rest, seed=seed, **settings)

    monkeypatch.setattr(units.api, "train", watched)
    return seen


def test_runs_are_ranked_with_those_of_other_seeds(tiny, tmp_path, monkeypatch):
    study = tiny(SWEEP, {"udr": {"n": 20}}, **LARGER)
    run(study, tmp_path / "s", workers=0, keep="weights")
    found = rows(study, tmp_path / "s")
    for cell in (study.calls[:3], study.calls[3:]):
        kept = [Run.open(tmp_path / "s" / "runs" / call.hash) for call in cell]
        models = [one.model() for one in kept]
        test = kept[0].data().test
        expected = udr_of(models, test, n=20)
        mine = [row for row in found if row["hash"] in [call.hash for call in cell]]
        assert [row["udr/udr"] for row in mine] == pytest.approx(list(expected.values.values()))
        assert [row["udr/used"] for row in mine] == [len(used) for used in expected.details["used"]]
        codes, rates = zip(*(codes_and_rates(model, test, n=20) for model in models), strict=True)
        assert codes[0].shape == (min(20, len(test)), 2)
        again = udr(codes, [rate.tolist() for rate in rates])
        assert list(again.values.values()) == pytest.approx(list(expected.values.values()))
    assert len({row["udr/udr"] for row in found}) > 2
    write_summary(study, found, tmp_path / "page.html")
    assert "udr by method" in (tmp_path / "page.html").read_text()
    # the next time nothing is computed, and what was not kept is computed again
    monkeypatch.setattr(collecting.disentanglement, "udr", None)
    assert rows(study, tmp_path / "s") == found
    (tmp_path / "s" / "collected.json").write_text("rubbish")
    with pytest.raises(TypeError):
        rows(study, tmp_path / "s")


def test_a_run_without_partner_has_no_rank_and_gets_one_with_the_next_seed(tiny, tmp_path):
    run(tiny({"seed": [0]}, RANKED, **LARGER), tmp_path / "s", workers=0)
    [row] = rows(tiny({"seed": [0]}, RANKED, **LARGER), tmp_path / "s")
    assert "udr/udr" not in row
    longer = tiny({"seed": [0, 1]}, RANKED, **LARGER)
    assert run(longer, tmp_path / "s", workers=0).before == 1
    assert all(0 <= row["udr/udr"] <= 1 for row in rows(longer, tmp_path / "s"))
    sizes = [path.stat().st_size for path in (tmp_path / "s" / "arrays").iterdir()]
    assert len(sizes) == 2
    assert max(sizes) < 2000


def test_a_damaged_array_is_said(tiny, tmp_path):
    study = tiny({"seed": [0, 1]}, RANKED, **LARGER)
    run(study, tmp_path / "s", workers=0)
    (tmp_path / "s" / "arrays" / f"{study.calls[0].hash}.safetensors").write_text("rubbish")
    with pytest.raises(UserError, match="damaged"):
        rows(study, tmp_path / "s")


def test_kept_runs_are_scored_and_not_trained(tiny, tmp_path, trained, monkeypatch):
    first = tiny({"seed": [0, 1]}, **LARGER)
    run(first, tmp_path / "s", workers=0, keep="weights")
    assert trained == [0, 1]
    taken = []
    take = units.take

    def watched(label, options, trained):
        taken.append(label)
        return take(label, options, trained)

    monkeypatch.setattr(units, "take", watched)
    more = tiny({"seed": [0, 1, 2]}, RANKED, **LARGER)
    at = run(more, tmp_path / "s", workers=0, keep="weights")
    assert (at.before, at.kept, at.done) == (0, 2, 3)
    assert trained == [0, 1, 2]
    assert taken == ["udr", "udr", "evaluation", "udr"]  # what was measured is not measured again
    old, new = rows(first, tmp_path / "s"), rows(more, tmp_path / "s")
    assert [row["evaluation/elbo"] for row in old] == [row["evaluation/elbo"] for row in new[:2]]
    assert [row["seconds.training"] for row in old] == [row["seconds.training"] for row in new[:2]]
    assert all(row["udr/udr"] is not None for row in new)
    for call in (*first.calls, *more.calls):
        assert Run.open(tmp_path / "s" / "runs" / call.hash).model().names == ("z",)
    assert not any((tmp_path / "s" / "work").iterdir())
    # another setting of a score is another score, and what is only scored is in no stack
    other = tiny({"seed": [0, 1]}, {"evaluation": {"limit": 6}}, **LARGER)
    assert run(other, tmp_path / "s", workers=0, stacked=True).kept == 2
    assert taken[4:] == ["evaluation"] * 2
    assert trained == [0, 1, 2]
    assert "stacked" not in {name for row in rows(other, tmp_path / "s") for name in row if row[name]}


def test_a_run_that_is_scored_anew_keeps_how_it_was_trained(tmp_path):
    points = chain(
        product(fixed({"recipe": "beta_vae"}), sweep({"seed": [0, 1]})),
        fixed({"recipe": "adversarial_autoencoder"}),
    )
    tiny = {
        "data": "digits",
        "data.limit": 20,
        "arguments": {"latents": 2, "hidden": [4]},
        "training.steps": 2,
    }
    points = product(points, fixed(tiny))
    table = []
    for scores in ({}, {"evaluation": {"limit": 5}}):
        study = Study.of(points, scores)
        run(study, tmp_path / "s", workers=0, keep="weights", stacked=True)
        table.append([(row["stacked"], row["apart"]) for row in rows(study, tmp_path / "s")])
    assert table[0] == table[1]
    assert [stacked for stacked, _ in table[0]] == [2, 2, None]
    assert "players" in table[0][2][1]


def test_what_was_not_kept_is_trained(tiny, tmp_path, trained):
    run(tiny({"seed": [0]}), tmp_path / "s", workers=0)
    assert run(tiny({"seed": [0]}, RANKED), tmp_path / "s", workers=0).kept == 0
    assert trained == [0, 0]


def test_a_kept_run_of_another_training_is_left_alone(tiny, tmp_path, trained):
    run(tiny({"seed": [0]}), tmp_path / "s", workers=0, keep="all")
    other = tiny({"seed": [0]}, RANKED, **{"training.steps": 3}, training={"batch_size": 10})
    assert run(other, tmp_path / "s", workers=0).kept == 0
    assert trained == [0, 0]
    [call] = other.calls
    record = json.loads((tmp_path / "s" / "records" / f"{call.hash}.json").read_text())
    assert record["call"]["training"]["steps"] == 3


def test_a_game_has_codes_without_rates(tiny, tmp_path):
    arguments = {"latents": 2, "hidden": [4]}
    study = tiny({"seed": [0, 1]}, RANKED, recipe="adversarial_autoencoder", arguments=arguments, **LARGER)
    run(study, tmp_path / "s", workers=0)
    assert Store(tmp_path / "s").arrays(study.calls[0].hash).keys() == {"udr/codes"}
    assert [row["udr/used"] for row in rows(study, tmp_path / "s")] == [2, 2]


def test_settings_of_the_ranking_are_checked():
    point = {"recipe": "vae", "data": "digits", "data.limit": 20}
    with pytest.raises(UserError, match="`n` is 1; expected at least 2"):
        Study.of([point], {"udr": {"n": 1}})
    with pytest.raises(UserError, match=r"spearmann.*did you mean 'spearman'"):
        Study.of([point], {"udr": {"relation": "spearmann"}})


def test_codes_leave_the_stream_alone(tiny, tmp_path):
    study = tiny({"seed": [0]})
    run(study, tmp_path / "s", workers=0, keep="weights")
    kept = Run.open(tmp_path / "s" / "runs" / study.calls[0].hash)
    before = torch.get_rng_state()
    codes_and_rates(kept.model(), kept.data().test, n=5)
    assert torch.equal(torch.get_rng_state(), before)
