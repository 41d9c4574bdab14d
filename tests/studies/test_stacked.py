"""Studies whose runs are trained in stacks: the rows of single training, none lost, none there twice."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vaekit.errors import UserError
from vaekit.stacked import run as training
from vaekit.studies import Study, chain, fixed, product, rows, run, sweep
from vaekit.studies import stack as stacks
from vaekit.studies.pool import Here
from vaekit.studies.queue import MOST_LOSSES
from vaekit.studies.store import Store
from vaekit.studies.table import stacking
from vaekit.studies.unit import Event, Unit, joint_hash

CLAIM = """
import fcntl, sys
with open(sys.argv[1], "r+") as claims:
    try:
        fcntl.lockf(claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(sys.argv[2], 16))
    except OSError:
        sys.exit(1)
"""
"""Take a claim in another process: 0, or 1 where it is taken."""

TINY = {"data": "digits", "data.limit": 20, "arguments": {"latents": 2, "hidden": [4]}}
TRAINING = {"training": {"steps": 4, "batch_size": 10, "weights": "last"}}
SCORES = {"evaluation": {"limit": 5}}


@pytest.fixture(scope="module")
def study():
    """Two methods of two seeds that stack, a game that does not, and a training that does not."""
    lists = chain(
        product(fixed({"recipe": "beta_vae"}), sweep({"seed": [0, 1]})),
        product(fixed({"recipe": "dip_vae"}), sweep({"seed": [0, 1]})),
        fixed({"recipe": "adversarial_autoencoder"}),
    )
    points = chain(
        product(lists, fixed({**TINY, **TRAINING})),
        fixed({"recipe": "vae", "training": {"steps": 4, "patience": 2}, **TINY}),
    )
    return Study.of(points, SCORES)


@pytest.fixture(scope="module")
def four():
    """One stack of four models."""
    models = sweep({"arguments.beta": [1.0, 4.0], "seed": [0, 1]})
    return Study.of(product(fixed({"recipe": "beta_vae", **TINY, **TRAINING}), models), SCORES)


@pytest.fixture(scope="module")
def alone(study, tmp_path_factory):
    """The rows of the same study, every run by itself."""
    place = tmp_path_factory.mktemp("alone")
    run(study, place, workers=0)
    return rows(study, place)


@pytest.fixture
def trained(monkeypatch):
    """The seeds of the models of every stack that is trained from its beginning."""
    seen = []
    inner = stacks.train_stacked

    def watched(*rest, calls, **settings):
        seen.append([call.seed for call in calls])
        return inner(*rest, calls=calls, **settings)

    monkeypatch.setattr(stacks, "train_stacked", watched)
    return seen


def scores_of(table):
    names = {name for row in table for name in row if name.startswith(("evaluation/", "last."))}
    return [{name: row[name] for name in names if row.get(name) is not None} for row in table]


def assert_same_scores(table, expected):
    for mine, theirs in zip(scores_of(table), scores_of(expected), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4, abs=1e-5)


def test_rows_are_those_of_single_training(study, alone, tmp_path, trained):
    at = run(study, tmp_path / "s", workers=0, stacked=True)
    assert (at.total, at.done, at.failed) == (6, 6, 0)
    assert trained == [[0, 1], [0, 1]]
    found = rows(study, tmp_path / "s")
    assert [row["hash"] for row in found] == [call.hash for call in study.calls]
    assert_same_scores(found, alone)
    assert {"evaluation/elbo", "last.valid/elbo"} <= scores_of(found)[0].keys()
    assert [row["stacked"] for row in found] == [2, 2, 2, 2, None, None]
    assert found[4]["apart"].startswith("its players look one after the other")
    assert found[5]["apart"].startswith("`patience` stops every model at an epoch of its own")
    assert all(row["apart"] is None for row in found[:4])
    assert all(row["seconds.training"] > 0 for row in found)
    assert all(row["stacked"] is None and row["apart"] is None for row in alone)
    assert not any((tmp_path / "s" / "work").iterdir())
    assert run(study, tmp_path / "s", workers=0, stacked=True).before == 6
    assert len(trained) == 2
    told = stacking(found)
    assert told[0] == "4 runs were trained in stacks of 2 models."
    assert [line.partition(": ")[0] for line in told[1:]] == [
        f"One run of {method} was trained apart" for method in ("adversarial_autoencoder", "vae")
    ]


def test_at_most_so_many_and_evenly(four, tmp_path, trained):
    seen = []
    run(four, tmp_path / "s", workers=0, stacked=3, show=lambda at: seen.append(at.running))
    assert trained == [[0, 1], [0, 1]]
    assert max(seen) == 2


@pytest.mark.parametrize("value", [0, 1, -3, 2.5])
def test_a_stack_has_two_models_or_more(study, tmp_path, value):
    with pytest.raises(UserError, match="`stacked` is "):
        run(study, tmp_path / "s", workers=0, stacked=value)
    assert not (tmp_path / "s").exists()


def test_only_what_is_missing_is_trained_again(four, tmp_path, trained):
    run(four, tmp_path / "s", workers=0, stacked=True)
    records = tmp_path / "s" / "records"
    before = {path.name: path.read_bytes() for path in records.iterdir()}
    for number in (1, 2):
        (records / f"{four.calls[number].hash}.json").unlink()
    assert run(four, tmp_path / "s", workers=0, stacked=True).done == 4
    (records / f"{four.calls[1].hash}.json").unlink()
    assert run(four, tmp_path / "s", workers=0, stacked=True).done == 4
    assert trained == [[0, 1, 0, 1], [1, 0]]
    found = rows(four, tmp_path / "s")
    assert [row["stacked"] for row in found] == [4, None, 2, 4]
    assert found[1]["apart"] == "no other run of the study is of its shape"
    kept = [f"{four.calls[number].hash}.json" for number in (0, 3)]
    assert all((records / name).read_bytes() == before[name] for name in kept)


class Killed(BaseException):
    """A kill: nothing that comes after it in the program is done."""


def test_a_stack_that_was_stopped_goes_on(four, tmp_path, trained):
    store = Store.create(tmp_path / "s", "", "", list(four.calls))
    left = [False, True]
    with pytest.raises(KeyboardInterrupt):
        stacks.carry_out(store, Unit(four.calls), "record", "cpu", [].append, lambda: left.pop(0))
    assert [names for _, names in store.stacks()] == [[call.hash for call in four.calls]]
    assert run(four, tmp_path / "s", workers=0, stacked=4).done == 4
    assert trained == [[0, 1, 0, 1]]  # it is not begun again
    run(four, tmp_path / "whole", workers=0, stacked=4)
    assert_same_scores(*(rows(four, tmp_path / place) for place in ("s", "whole")))


@pytest.mark.parametrize("changed", ["smaller", "single", "damaged"])
def test_a_stack_that_cannot_go_on_is_begun_anew(four, tmp_path, trained, changed):
    store = Store.create(tmp_path / "s", "", "", list(four.calls))
    with pytest.raises(KeyboardInterrupt):
        stacks.carry_out(store, Unit(four.calls), "record", "cpu", [].append, lambda: True)
    if changed == "damaged":
        (store.stack(four.calls) / "stack.json").write_text("rubbish")
    stacked = {"smaller": 2, "single": False, "damaged": True}[changed]
    assert run(four, tmp_path / "s", workers=0, stacked=stacked).done == 4
    assert len(trained) == {"smaller": 3, "single": 1, "damaged": 2}[changed]
    assert not any((tmp_path / "s" / "work").iterdir())


def test_a_stack_that_is_begun_anew_stays_claimed(four, tmp_path, monkeypatch):
    store = Store.create(tmp_path / "s", "", "", list(four.calls))
    with pytest.raises(KeyboardInterrupt):
        stacks.carry_out(store, Unit(four.calls), "record", "cpu", [].append, lambda: True)
    (store.stack(four.calls) / "stack.json").write_text("rubbish")
    begun = []

    def watched(*rest, **settings):
        asked = (sys.executable, "-c", CLAIM, str(store.path / "claims"), joint_hash(four.calls)[:15])
        begun.append(subprocess.run(asked).returncode)
        raise UserError("that is enough")

    monkeypatch.setattr(stacks, "train_stacked", watched)
    stacks.carry_out(store, Unit(four.calls), "record", "cpu", [].append)
    assert begun == [1]  # another process did not get it


@pytest.mark.parametrize("moment", ["written", "trained", "second"])
def test_a_kill_after_the_training_loses_and_doubles_nothing(four, tmp_path, monkeypatch, trained, moment):
    """Killed while the runs are written, before the first is scored, or after the second."""
    store = Store.create(tmp_path / "s", "", "", list(four.calls))
    told = []
    with monkeypatch.context() as patch:
        if moment == "written":
            inner, made = training._run, []

            def write(*rest):
                made.append(1)
                if len(made) == 3:
                    raise Killed
                return inner(*rest)

            patch.setattr(training, "_run", write)
        else:
            work, after = stacks.work, {"trained": 0, "second": 2}[moment]

            def killed(*rest):
                if len(told) == after:
                    raise Killed
                return work(*rest)

            patch.setattr(stacks, "work", killed)
        with pytest.raises(Killed):
            stacks.carry_out(store, Unit(four.calls), "record", "cpu", told.append)
    assert len(store.finished()) == len(told)
    at = run(four, tmp_path / "s", workers=0, stacked=True)
    assert (at.done, at.failed) == (4, 0)
    assert trained == [[0, 1, 0, 1]]  # none is trained again
    found = rows(four, tmp_path / "s")
    assert [row["stacked"] for row in found] == [4, 4, 4, 4]
    assert not any((tmp_path / "s" / "work").iterdir())


def test_what_fails_in_a_stack_fails_alone_and_says_what_it_would_say_alone(tmp_path):
    points = product(
        fixed({"recipe": "beta_vae", "data": "digits", "data.limit": 20, "training.steps": 30}),
        fixed({"arguments": {"latents": 2, "hidden": [4]}, "training.batch_size": 10}),
        sweep({"arguments.beta": [1.0, 1e300]}),
    )
    study = Study.of(points, {"evaluation": {"limit": 5}})
    for place, stacked in (("s", True), ("alone", False)):
        at = run(study, tmp_path / place, workers=0, stacked=stacked)
        assert (at.done, at.failed) == (1, 1)
    found, expected = (rows(study, tmp_path / place) for place in ("s", "alone"))
    assert [row["status"] for row in found] == ["finished", "failed"]
    assert found[1]["error"] == expected[1]["error"]
    assert found[1]["stacked"] == 2


def test_a_stack_that_torch_refuses_is_trained_one_by_one(four, tmp_path, monkeypatch):
    def refuse(*rest, **settings):
        raise RuntimeError("no such\nkernel")

    monkeypatch.setattr(stacks, "train_stacked", refuse)
    assert run(four, tmp_path / "s", workers=0, stacked=True).done == 4
    found = rows(four, tmp_path / "s")
    assert [row["apart"] for row in found] == ["RuntimeError: no such kernel"] * 4
    assert all(row["stacked"] is None for row in found)


def test_a_stack_too_large_for_the_memory_is_halved(four, tmp_path, monkeypatch):
    inner, sizes = stacks.train_stacked, []

    def small(*rest, calls, **settings):
        sizes.append(len(calls))
        if len(calls) > 2:
            raise MemoryError("4 models")
        return inner(*rest, calls=calls, **settings)

    monkeypatch.setattr(stacks, "train_stacked", small)
    assert run(four, tmp_path / "s", workers=0, stacked=True).done == 4
    assert sizes == [4, 2, 2]
    assert [row["stacked"] for row in rows(four, tmp_path / "s")] == [2] * 4


def test_a_stack_that_loses_every_worker_is_halved_and_halved(four, tmp_path, monkeypatch):
    lost = []

    class Deadly(Here):
        def wait(self, seconds):
            [unit] = self.waiting
            if four.calls[0] in unit.calls and len(unit.calls) > 1:
                lost.append(len(unit.calls))
                self.waiting = []
                return [Event(unit.calls, "lost", "its worker was ended by SIGKILL")]
            return super().wait(seconds)

    monkeypatch.setattr("vaekit.studies.runner.Here", Deadly)
    at = run(four, tmp_path / "s", workers=0, stacked=True)
    assert (at.done, at.failed, at.lost) == (4, 0, 2 * MOST_LOSSES)
    assert sorted(lost) == [2] * MOST_LOSSES + [4] * MOST_LOSSES
    found = rows(four, tmp_path / "s")
    assert found[0]["apart"].startswith("its worker was ended by SIGKILL, 5 times in a row")
    assert found[2]["stacked"] == found[3]["stacked"] == 2


def test_workers_that_are_killed(study, alone, tmp_path, killed_study):
    found = killed_study(study, tmp_path / "s", [1], stacked=3, workers=1)
    assert_same_scores(found, alone)
