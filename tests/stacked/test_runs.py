"""Runs of a stack are those of single training: weights, records, what follows them; stopped or not."""

from __future__ import annotations

import json

import pytest
import torch

import vaekit
from vaekit import UnsupportedError, UserError
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.loggers.following import numbers
from vaekit.runs import Run
from vaekit.stacked import Call, resume_stacked, train_stacked
from vaekit.stacked import run as runs_module
from vaekit.stacked.fit import StackedFit
from vaekit.staged import Stopped
from vaekit.worlds import mini_sprites

SMALL = {"latents": 2, "hidden": (8,), "device": "cpu", "batch_size": 16, "epochs": 3}
CALLS = [Call(5, {"beta": 1}), Call(5, {"beta": 20.0}), Call(6, {"beta": 20.0}, name="other")]


ORDINARY = ("epoch", "step", "seconds", "train", "valid")


@pytest.fixture
def splits():
    """60 pictures, in batches of 16 a last one of 12."""
    return mini_sprites(("scale", "x")).splits()


@pytest.fixture
def grey():
    """Data with randomness of their own: pixels are drawn anew at every visit."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randint(0, 17, (50, 1, 4, 4), generator=generator).to(torch.uint8)
    spec = Spec("grey", (1, 4, 4), "binary", 30, levels=17)
    held_out = ArrayData(spec, (x[30:] > 8).float())
    return Splits(ArrayData(spec, x[:30], binarise=True), held_out, held_out)


def assert_same_run(mine, alone, tolerance=1e-5):
    state, about = mine.state()
    expected, told = alone.state()
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        if name.startswith("random/"):
            assert torch.equal(state[name], value)
        else:
            torch.testing.assert_close(state[name], value, rtol=tolerance, atol=tolerance, msg=name)
    assert {**about["at"], "seconds": 0, "best_value": 0} == {**told["at"], "seconds": 0, "best_value": 0}
    assert about["optimizers"] == told["optimizers"]
    for row, other in zip(mine.metrics(), alone.metrics(), strict=True):
        assert row.keys() == other.keys()
        assert list(row["valid/rates"]) == list(other["valid/rates"]) == ["z 1", "z 2"]
        assert numbers({**row, "seconds": 0}) == pytest.approx(
            numbers({**other, "seconds": 0}), rel=1e-4, abs=1e-5
        )
    for name, value in alone.model().state_dict().items():
        torch.testing.assert_close(mine.model().state_dict()[name], value, rtol=tolerance, atol=tolerance)
    assert not mine.model().training
    record, other = dict(mine.record), dict(alone.record)
    assert record.pop("stacked")["models"] == 3
    assert record.pop("best")["epoch"] == other.pop("best")["epoch"]
    for one in (record, other):
        del one["started"], one["seconds"]
        one["training"] = {**one["training"], "checkpoint_seconds": 0}
    assert record == other


@pytest.mark.parametrize("which", ["splits", "grey"])
def test_as_single_training(which, request, tmp_path):
    data = request.getfixturevalue(which)
    stream = torch.get_rng_state()
    found = train_stacked("beta_vae", data, calls=CALLS, out=tmp_path / "stack", learning_rate=1e-2, **SMALL)
    assert torch.equal(torch.get_rng_state(), stream)
    assert sorted(path.name for path in (tmp_path / "stack").iterdir()) == ["000", "001", "other"]
    for number, (call, run) in enumerate(zip(CALLS, found, strict=True)):
        alone = vaekit.train("beta_vae", data, out=tmp_path / str(number), seed=call.seed, learning_rate=1e-2,
                             **call.arguments, **SMALL)  # fmt: skip
        assert_same_run(run, alone)
        # what follows does not ask where a run comes from
        reopened = Run.open(run.path, data=data)
        assert json.loads((run.path / "run.json").read_text())["status"] == "finished"
        assert reopened.spec == data.spec
        longer = [vaekit.resume(path, data=data, epochs=4, device="cpu") for path in (run.path, alone.path)]
        last, expected = (r.metrics()[-1]["valid/loss"] for r in longer)
        assert last == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("recipe", "calls", "settings", "names"),
    [
        ("control_vae", [{"capacity": 0.05}, {"capacity": 3.0}],
         {"start": None, "ki": 0.1}, {"weight/rate"}),
        ("annealed_vae", [{"capacity": 1.0}, {"capacity": 5.0}], {"ramp": 10}, {"capacity/capacity"}),
    ],
)  # fmt: skip
def test_weights_that_move_are_each_models_own(splits, tmp_path, recipe, calls, settings, names):
    """In the rows of a stack as in those of single training."""
    made = [Call(5, call) for call in calls]
    found = train_stacked(recipe, splits, calls=made, out=tmp_path / "stack", **settings, **SMALL)
    last = []
    for number, (call, run) in enumerate(zip(calls, found, strict=True)):
        out = tmp_path / str(number)
        alone = vaekit.train(recipe, splits, out=out, seed=5, **call, **settings, **SMALL)
        for row, other in zip(run.metrics(), alone.metrics(), strict=True):
            assert {name for name in row if name.split("/")[0] not in ORDINARY} == names
            for name in names:
                assert row[name] == pytest.approx(other[name], rel=1e-4)
        last.append([run.metrics()[-1][name] for name in names])
    assert last[0] != pytest.approx(last[1], rel=0.01)


def test_the_best_weights_are_each_models_own(splits, tmp_path):
    """A step that is far too large: the best epoch is not the last one, and not the same for all."""
    calls = [Call(s, {"beta": b}) for s in range(2) for b in (0.0, 300.0)]
    settings = {**SMALL, "epochs": 6, "learning_rate": 1.0}
    found = train_stacked("beta_vae", splits, calls=calls, out=tmp_path / "stack", **settings)
    epochs = []
    for call, run in zip(calls, found, strict=True):
        losses = [row["valid/loss"] for row in run.metrics()]
        best = run.record["best"]
        assert best["value"] == min(losses) == losses[best["epoch"] - 1]
        epochs.append(best["epoch"])
        state = run.state()[0]
        for name, value in run.model().state_dict().items():
            assert torch.equal(state[f"best/{name}"], value)
        assert run.record["seed"] == run.record["training"]["seed"] == call.seed
    assert len(set(epochs)) > 1, epochs
    assert min(epochs) < 6


def test_a_game_keeps_the_last_weights(splits, tmp_path):
    calls = [Call(0, {"gamma": 5.0}), Call(1, {"gamma": 5.0}), Call(1, {"gamma": 30.0})]
    found = train_stacked("factor_vae", splits, calls=calls, out=tmp_path / "stack", critic=(6,), **SMALL)
    for number, (call, run) in enumerate(zip(calls, found, strict=True)):
        alone = vaekit.train("factor_vae", splits, out=tmp_path / str(number), seed=call.seed, critic=(6,),
                             **call.arguments, **SMALL)  # fmt: skip
        assert run.record["best"]["epoch"] == 3
        assert_same_run(run, alone)


def test_stopped_and_resumed_bit_for_bit(splits, tmp_path):
    whole = train_stacked("beta_vae", splits, calls=CALLS, out=tmp_path / "whole", **SMALL)
    seen = []

    def show(at, batches, means):
        seen.append((at.step, batches, sorted(means())))
        return at.step == 6  # in the middle of the second epoch

    with pytest.raises(Stopped, match="resume_stacked") as stop:
        train_stacked("beta_vae", splits, calls=CALLS, out=tmp_path / "cut", show=show, **SMALL)
    assert stop.value.path == tmp_path / "cut"
    assert seen == [(i, 4, ["distortion", "loss", "rate"]) for i in range(1, 7)]
    names = sorted(path.name for path in (tmp_path / "cut").iterdir())
    assert names == ["stack.json", "stack.safetensors"]
    with pytest.raises(UserError, match="trained on data in memory"):
        resume_stacked(tmp_path / "cut", device="cpu")
    resumed = resume_stacked(tmp_path / "cut", data=splits, device="cpu")
    for one, other in zip(whole, resumed, strict=True):
        first, second = one.state()[0], other.state()[0]
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
        rows = [[{**row, "seconds": 0} for row in run.metrics()] for run in (one, other)]
        assert rows[0] == rows[1]
    with pytest.raises(UserError, match="no stack is being trained there"):
        resume_stacked(tmp_path / "cut", data=splits)


def test_killed_while_it_wrote_its_runs(splits, tmp_path, monkeypatch):
    create, made = Run.create.__func__, []

    def failing(cls, path, **rest):
        made.append(path)
        if len(made) == 2:
            raise KeyboardInterrupt
        return create(cls, path, **rest)

    monkeypatch.setattr(Run, "create", classmethod(failing))
    with pytest.raises(Stopped):
        train_stacked("beta_vae", splits, calls=CALLS, out=tmp_path / "stack", **SMALL)
    assert (tmp_path / "stack" / "000").exists()
    monkeypatch.undo()
    # whatever happened to the first, it is written again
    Run.open(tmp_path / "stack" / "000", data=splits).update(status="running")
    found = resume_stacked(tmp_path / "stack", data=splits, device="cpu")
    assert [run.record["status"] for run in found] == ["finished"] * 3
    assert [run.path.name for run in found] == ["000", "001", "other"]
    assert all(len(run.metrics()) == 3 for run in found)


def test_one_that_leaves_the_finite_numbers_leaves_alone(splits, tmp_path):
    calls = [Call(0, {"beta": 1.0}), Call(0, {"beta": 1e300}), Call(1, {"beta": 1.0})]
    found = train_stacked("beta_vae", splits, calls=calls, out=tmp_path / "stack", **SMALL)
    assert [run.record["status"] for run in found] == ["finished", "failed", "finished"]
    assert found[1].record["error"].startswith("training left the finite numbers in epoch 1: ")
    with pytest.raises(UserError, match="has no weights"):
        found[1].model()
    healthy = [Call(0, {"beta": 1.0}), Call(0, {"beta": 2.0}), Call(1, {"beta": 1.0})]
    others = train_stacked("beta_vae", splits, calls=healthy, out=tmp_path / "healthy", **SMALL)
    for m in (0, 2):
        first, second = (run.model().state_dict() for run in (found[m], others[m]))
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_shared_batches(splits, tmp_path):
    calls = [Call(0), Call(1)]
    found = train_stacked("vae", splits, calls=calls, out=tmp_path / "a", shared_batches=True, **SMALL)
    apart = train_stacked("vae", splits, calls=calls, out=tmp_path / "b", **SMALL)
    assert found[0].record["stacked"]["shared_batches"]
    assert not apart[0].record["stacked"]["shared_batches"]
    first, second, own = (run.model().state_dict() for run in (*found, apart[1]))
    assert not any(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(own[name], second[name]) for name in own)


def test_shared_batches_are_those_of_the_first(splits, tmp_path, monkeypatch):
    seen = {}
    step = StackedFit._step

    def watched(self, batch, noise):
        seen.setdefault(self.shared, []).append((batch["x"].clone(), [value.clone() for value in noise]))
        step(self, batch, noise)

    monkeypatch.setattr(StackedFit, "_step", watched)
    for shared in (True, False):
        train_stacked("vae", splits, calls=[Call(0), Call(1)], out=tmp_path / str(shared),
                      shared_batches=shared, **SMALL)  # fmt: skip
    for (shared, noise), (own, _) in zip(seen[True], seen[False], strict=True):
        assert torch.equal(shared, own[0])
        assert not torch.equal(own[0], own[1])
        assert not torch.equal(noise[0][0], noise[0][1])  # the noise is not shared


def test_defaults_are_those_of_single_training(splits, tmp_path):
    made = []

    def stop(at, batches, means):
        made.append(at)
        return True

    for call in (train_stacked, vaekit.train):
        more = {"calls": [Call(0)]} if call is train_stacked else {}
        with pytest.raises(Stopped):
            call("annealed_vae", splits, out=tmp_path / call.__name__, latents=2, hidden=(8,), ramp=10,
                 device="cpu", show=stop, **more)  # fmt: skip
    mine = json.loads((tmp_path / "train_stacked" / "stack.json").read_text())
    alone = json.loads((tmp_path / "train" / "run.json").read_text())
    assert {**mine["training"], "checkpoint_seconds": 0} == {**alone["training"], "checkpoint_seconds": 0}
    assert mine["data"] == alone["data"]


@pytest.mark.parametrize(
    ("calls", "arguments", "error", "words"),
    [
        ([], {}, UserError, "`calls` is empty"),
        ([{"seed": 1}], {}, UserError, r"holds a dict; expected `Call\(seed, arguments\)`"),
        ([Call(-1)], {}, UserError, "`seed` is -1"),
        ([Call(0), Call(0)], {}, UserError, "would end in the same weights"),
        ([Call(0, name="a"), Call(1, name="a")], {}, UserError, "two calls have the `name` 'a'"),
        ([Call(0, name="../a")], {}, UserError, "expected the name of a folder"),
        ([Call(0, {"bta": 1.0})], {}, UserError, "no argument 'bta': did you mean 'beta'"),
        ([Call(0, {"beta": -1.0})], {}, UserError, "`beta` is -1.0"),
        ([Call(0), Call(1, {"hidden": (9,)})], {}, UnsupportedError, "train these apart"),
        ([Call(0)], {"epochs": 0}, UserError, "`epochs` is 0"),
        ([Call(0)], {"precision": "half"}, UserError, "`precision`"),
        ([Call(0)], {"device": "nowhere"}, UserError, "`device` is 'nowhere'"),
    ],
)
def test_bad_input_leaves_nothing(splits, tmp_path, calls, arguments, error, words):
    with pytest.raises(error, match=words):
        train_stacked("beta_vae", splits, calls=calls, out=tmp_path / "stack", **(SMALL | arguments))
    assert list(tmp_path.iterdir()) == []


def test_epochs_that_differ_have_to_be_named(splits, tmp_path, monkeypatch):
    monkeypatch.setattr(runs_module, "default_epochs", lambda system, *_: system.epochs)
    maker = runs_module._Maker.__iter__

    def other(self):
        for number, system in enumerate(maker(self)):
            self.budgets.add((number + 3, True))
            yield system

    monkeypatch.setattr(runs_module._Maker, "__iter__", other)
    with pytest.raises(UnsupportedError, match="set `epochs`"):
        train_stacked(
            "vae", splits, calls=[Call(0), Call(1)], out=tmp_path / "x", **{**SMALL, "epochs": None}
        )


def test_occupied_places_and_several_processes(splits, tmp_path, monkeypatch):
    (tmp_path / "stack" / "001").mkdir(parents=True)
    with pytest.raises(UserError, match="001 exists already"):
        train_stacked("vae", splits, calls=[Call(0), Call(1)], out=tmp_path / "stack", **SMALL)
    assert [path.name for path in (tmp_path / "stack").iterdir()] == ["001"]
    for name, value in {
        "RANK": 0,
        "LOCAL_RANK": 0,
        "WORLD_SIZE": 2,
        "MASTER_ADDR": "a",
        "MASTER_PORT": 1,
    }.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(UserError, match="2 processes were started"):
        train_stacked("vae", splits, calls=[Call(0)], out=tmp_path / "stack", **SMALL)


def test_a_damaged_stack_is_refused(splits, tmp_path):
    with pytest.raises(Stopped):
        train_stacked("vae", splits, calls=[Call(0), Call(1)], out=tmp_path, show=lambda *_: True, **SMALL)
    record = json.loads((tmp_path / "stack.json").read_text())
    for change, words in (
        ({"calls": record["calls"][:1]}, "does not continue this stack"),
        ({"calls": [{"seed": 0}]}, "is damaged"),
        ({"training": {"epochs": 0, "batch_size": 3}}, "is damaged"),
        ({"recipe": "vea"}, "no recipe 'vea'"),
    ):
        (tmp_path / "stack.json").write_text(json.dumps(record | change))
        with pytest.raises(UserError, match=words):
            resume_stacked(tmp_path, data=splits, device="cpu")
    (tmp_path / "stack.json").write_text(json.dumps(record))
    (tmp_path / "stack.safetensors").write_bytes(b"no tensors")
    with pytest.raises(UserError, match="damaged or no safetensors file"):
        resume_stacked(tmp_path, data=splits, device="cpu")


def test_the_last_weights_where_they_are_asked_for(splits, tmp_path):
    calls = [Call(s, {"beta": b}) for s in range(2) for b in (0.0, 300.0)]
    settings = {**SMALL, "epochs": 6, "learning_rate": 1.0, "weights": "last"}
    found = train_stacked("beta_vae", splits, calls=calls, out=tmp_path / "stack", **settings)
    for run in found:
        last = run.metrics()[-1]["valid/loss"]
        assert run.record["best"] == {"epoch": 6, "value": last}
    worse = [
        run for run in found if min(row["valid/loss"] for row in run.metrics()) < run.record["best"]["value"]
    ]
    assert worse  # a step that is far too large: others would have been handed back
