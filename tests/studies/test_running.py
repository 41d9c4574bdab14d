"""A study runs to its end, goes on where it was stopped, and records what fails."""

from __future__ import annotations

import json
import os
import time

import pytest
import torch

from vaekit import Run
from vaekit.errors import UserError
from vaekit.studies import rows, run
from vaekit.studies import runner as runners
from vaekit.studies import work as units
from vaekit.studies.pool import Here
from vaekit.studies.store import Store
from vaekit.studies.unit import Event


@pytest.fixture
def counted(monkeypatch):
    """The hashes of the runs that are really carried out."""
    seen = []
    carry = units._carried_out

    def count(call, *rest):
        seen.append(call.hash)
        return carry(call, *rest)

    monkeypatch.setattr(units, "_carried_out", count)
    return seen


def test_every_run_has_one_record_and_is_run_once(tiny, tmp_path, counted):
    study = tiny({"seed": [0, 1], "arguments.beta": [1.0, 2.0]})
    seen = []
    at = run(study, tmp_path / "s", workers=0, show=lambda p: seen.append((p.done, p.running)))
    assert (at.total, at.done, at.failed, at.before) == (4, 4, 0, 0)
    assert counted == [call.hash for call in study.calls]
    assert seen[0] == (0, 0)
    assert seen[-1] == (4, 0)
    again = run(study, tmp_path / "s", workers=0)
    assert (again.done, again.before) == (4, 4)
    assert len(counted) == 4
    assert not any((tmp_path / "s" / "work").iterdir())
    assert not any((tmp_path / "s" / "runs").iterdir())


def test_a_run_is_the_training_that_its_call_says(tiny, tmp_path):
    import vaekit

    study = tiny({"seed": [3]}, {"evaluation": {"limit": 20}})
    run(study, tmp_path / "s", workers=0, keep="all")
    kept = Run.open(tmp_path / "s" / "runs" / study.calls[0].hash)
    same = vaekit.train(
        "beta_vae", "digits", out=tmp_path / "run", seed=3, steps=2, epochs=1, batch_size=10, latents=2,
        hidden=(4,), data_options={"limit": 20},
    )  # fmt: skip
    for a, b in zip(kept.model().state_dict().values(), same.model().state_dict().values(), strict=True):
        assert torch.equal(a, b)
    from vaekit.metrics.evaluate import evaluate

    [row] = rows(study, tmp_path / "s")
    assert row["evaluation/elbo"] == evaluate(same.model(), same.data().test, samples=0, limit=20)["elbo"]
    assert row["last.step"] == 2
    assert row["last.valid/elbo"] == same.metrics()[-1]["valid/elbo"]
    assert kept.data().spec.size == same.data().spec.size  # it knows where its data came from


def test_steps_alone_are_exactly_so_many(tiny, tmp_path):
    study = tiny({"training.steps": [1, 2, 5]}, training={"batch_size": 10})
    run(study, tmp_path / "s", workers=0)
    assert [row["last.step"] for row in rows(study, tmp_path / "s")] == [1, 2, 5]


@pytest.mark.parametrize(("keep", "names"), [
    ("record", None),
    ("weights", {"run.json", "metrics.jsonl", "weights.safetensors"}),
    ("all", {"run.json", "metrics.jsonl", "weights.safetensors", "state.safetensors"}),
])  # fmt: skip
def test_what_is_kept(tiny, tmp_path, keep, names):
    study = tiny({"seed": [0]})
    run(study, tmp_path / "s", workers=0, keep=keep)
    kept = tmp_path / "s" / "runs" / study.calls[0].hash
    assert ({path.name for path in kept.iterdir()} if kept.exists() else None) == names
    if names:
        assert Run.open(kept).model().names == ("z",)


def test_a_longer_study_runs_what_is_new(tiny, tmp_path, counted):
    run(tiny({"seed": [0, 1]}), tmp_path / "s", workers=0)
    longer = tiny({"seed": [1, 2, 0]})
    at = run(longer, tmp_path / "s", workers=0)
    assert (at.before, at.done) == (2, 3)
    assert len(counted) == 3
    assert [row["seed"] for row in rows(longer, tmp_path / "s")] == [1, 2, 0]


def test_a_failure_is_recorded_and_run_again_when_asked(tiny, tmp_path, monkeypatch, counted):
    study = tiny({"seed": [0, 1, 2]})
    good = units._carried_out

    def fails(call, *rest):
        if call.seed == 1:
            raise ZeroDivisionError("of a\nkind")
        return good(call, *rest)

    monkeypatch.setattr(units, "_carried_out", fails)
    at = run(study, tmp_path / "s", workers=0)
    assert (at.done, at.failed) == (2, 1)
    found = rows(study, tmp_path / "s")
    assert [row["status"] for row in found] == ["finished", "failed", "finished"]
    assert found[1]["error"] == "ZeroDivisionError: of a kind"
    record = json.loads((tmp_path / "s" / "records" / f"{study.calls[1].hash}.json").read_text())
    assert 'raise ZeroDivisionError("of a\\nkind")' in record["traceback"]
    monkeypatch.setattr(units, "_carried_out", good)
    assert run(study, tmp_path / "s", workers=0).failed == 1  # not asked
    assert len(counted) == 2
    at = run(study, tmp_path / "s", workers=0, retry=True)
    assert (at.done, at.failed) == (3, 0)
    assert len(counted) == 3
    assert all(row["status"] == "finished" for row in rows(study, tmp_path / "s"))


def test_a_training_that_diverges_says_so_in_a_line(tiny, tmp_path):
    study = tiny({"arguments.learning_rate": [1e30]}, **{"training.steps": 30}, training={"batch_size": 10})
    assert run(study, tmp_path / "s", workers=0).failed == 1
    [row] = rows(study, tmp_path / "s")
    assert "finite" in row["error"]
    assert "\n" not in row["error"]


def test_what_was_stopped_goes_on_bit_for_bit(tiny, tmp_path):
    study = tiny({"seed": [0]}, **{"training.steps": 8}, training={"batch_size": 10})
    [call] = study.calls
    run(study, tmp_path / "whole", workers=0, keep="all")
    store = Store.create(tmp_path / "s", "", "", [call])
    for after in (3, 2):
        left = [False] * (after - 1) + [True]
        with pytest.raises(KeyboardInterrupt):
            units.work(store, call, "all", "cpu", stop=lambda left=left: left.pop(0))
        assert not store.finished()
        assert (tmp_path / "s" / "work" / call.hash / "state.safetensors").exists()
    assert rows(study, tmp_path / "s")[0]["status"] == "open"
    run(study, tmp_path / "s", workers=0, keep="all")
    weights = [
        (tmp_path / place / "runs" / call.hash / "weights.safetensors").read_bytes()
        for place in ("whole", "s")
    ]
    assert weights[0] == weights[1]
    scores = [
        {name: value for name, value in rows(study, tmp_path / place)[0].items() if "evaluation/" in name}
        for place in ("whole", "s")
    ]
    assert scores[0] == scores[1]


class Killed(BaseException):
    """A kill: nothing that comes after it in the program is done."""


@pytest.mark.parametrize("keep", ["record", "all"])
def test_a_kill_before_any_move_of_putting_away_loses_nothing(tiny, tmp_path, monkeypatch, keep):
    study = tiny({"seed": [0]})
    [call] = study.calls
    put_away, moments = Store.put_away, 0
    while True:
        left = [moments]

        def killed(real, left=left):
            def move(*places):
                if not left[0]:
                    raise Killed
                left[0] -= 1
                return real(*places)

            return move

        def armed(self, *rest, killed=killed):
            with monkeypatch.context() as patch:
                for name in ("rename", "replace"):
                    patch.setattr(os, name, killed(getattr(os, name)))
                put_away(self, *rest)

        place = tmp_path / str(moments)
        store = Store.create(place, "", "", [call])
        with monkeypatch.context() as patch:
            patch.setattr(Store, "put_away", armed)
            try:
                units.work(store, call, keep, "cpu")
                break
            except Killed:
                moments += 1
        assert not store.finished()
        assert run(study, place, workers=0, keep=keep).done == 1
        assert not any((place / "work").iterdir())
        assert (place / "runs" / call.hash).exists() == (keep == "all")
    assert moments == (1 if keep == "record" else 2)


def test_a_kill_between_record_and_tidying_leaves_nothing_behind(tiny, tmp_path, monkeypatch):
    [call] = tiny({"seed": [0]}).calls
    store = Store.create(tmp_path / "s", "", "", [call])

    def killed(*rest):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Store, "sweep", killed)
        with pytest.raises(Killed):
            units.work(store, call)
    assert store.has(call.hash)
    assert any((tmp_path / "s" / "work").iterdir())
    assert units.work(store, call) == "taken"
    assert not any((tmp_path / "s" / "work").iterdir())


def test_what_another_process_holds_is_left_to_it(tiny, tmp_path):
    study = tiny({"seed": [0, 1]})
    first, second = study.calls
    store = Store.create(tmp_path / "s", "", "", list(study.calls))
    with store.claim(first.hash) as mine:
        assert mine
        child = os.fork()
        if not child:  # it has its own claims
            other = Store(tmp_path / "s")
            with other.claim(first.hash) as one, other.claim(second.hash) as two:
                os._exit(10 * one + two)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 1
    child = os.fork()
    if not child:
        with Store(tmp_path / "s").claim(first.hash) as one:
            os._exit(one)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_a_claim_ends_with_its_process(tiny, tmp_path):
    [call] = tiny({"seed": [0]}).calls
    store = Store.create(tmp_path / "s", "", "", [call])
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with Store(tmp_path / "s").claim(call.hash):
            os.write(writing, b"x")
            time.sleep(60)
            os._exit(0)
    os.read(reading, 1)
    with store.claim(call.hash) as mine:
        assert not mine
    os.kill(child, 9)
    os.waitpid(child, 0)
    with store.claim(call.hash) as mine:
        assert mine


def test_runs_that_others_do_are_waited_for_and_counted(tiny, tmp_path, monkeypatch):
    """A pool that says "taken" twice, while somebody else finishes the run."""
    study = tiny({"seed": [0]})
    asked = []

    class Elsewhere(Here):
        def wait(self, seconds):
            asked.append(1)
            [unit] = self.waiting
            self.waiting = []
            if len(asked) == 2:
                units.work(self.store, *unit.calls)
            return [Event(unit.calls, "taken")]

    monkeypatch.setattr(runners, "Here", Elsewhere)
    assert run(study, tmp_path / "s", workers=0).done == 1
    assert len(asked) == 2


def test_a_run_that_loses_every_worker_fails_in_the_end(tiny, tmp_path, monkeypatch):
    study = tiny({"seed": [0, 1]})
    lost = []

    class Deadly(Here):
        def wait(self, seconds):
            [unit] = self.waiting
            if unit.calls[0].seed == 0:
                lost.append(1)
                self.waiting = []
                return [Event(unit.calls, "lost", "its worker was ended by SIGKILL")]
            return super().wait(seconds)

    monkeypatch.setattr(runners, "Here", Deadly)
    at = run(study, tmp_path / "s", workers=0)
    assert (at.done, at.failed, at.lost, len(lost)) == (1, 1, 5, 5)
    assert "SIGKILL, 5 times" in rows(study, tmp_path / "s")[0]["error"]


def test_places_that_are_no_study_are_left_alone(tiny, tmp_path):
    study = tiny({"seed": [0]})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for place in (tmp_path / "mine", tmp_path / "mine" / "letter.txt"):
        with pytest.raises(UserError, match="holds no study: choose another place"):
            run(study, place, workers=0)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]
    for settings, says in (
        ({"workers": -1}, "workers"),
        ({"on": "mars"}, "mars"),
        ({"keep": "none"}, "none"),
    ):
        with pytest.raises(UserError, match=says):
            run(study, tmp_path / "new", **settings)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("damage", ["{", "{}", '{"format": 1, "call": {}, "status": "finished"}', "[]"])
def test_a_damaged_record_is_said(tiny, tmp_path, damage):
    study = tiny({"seed": [0]})
    run(study, tmp_path / "s", workers=0)
    record = tmp_path / "s" / "records" / f"{study.calls[0].hash}.json"
    record.write_text(damage)
    for look in (lambda: rows(study, tmp_path / "s"), lambda: run(study, tmp_path / "s", workers=0)):
        with pytest.raises(UserError, match=f"{study.calls[0].hash}.json"):
            look()


def test_a_damaged_checkpoint_is_begun_anew(tiny, tmp_path):
    study = tiny({"seed": [0]})
    [call] = study.calls
    store = Store.create(tmp_path / "s", "", "", [call])
    with pytest.raises(KeyboardInterrupt):
        units.work(store, call, stop=lambda: True)
    (tmp_path / "s" / "work" / call.hash / "state.safetensors").write_bytes(b"rubbish")
    assert run(study, tmp_path / "s", workers=0).done == 1
