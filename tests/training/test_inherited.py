"""A stage on the data themselves, with parts that come trained from the system whose stage it is."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

import vaekit
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.recipes import id_gan
from vaekit.staged import check_stages
from vaekit.system import Stage, System

SMALL = {"latents": 3, "hidden": (8,), "second_epochs": 2, "second_learning_rate": 1e-2}
TRAINED, INHERITED = "posteriors.0.", "posteriors.0.conditional."


def data(count: int = 90) -> Splits:
    generator = torch.Generator().manual_seed(0)
    spec = Spec("toy", (1, 4, 4), "unit", count)
    parts = [torch.rand(size, 1, 4, 4, generator=generator) for size in (count, 20, 20)]
    return Splits(*(ArrayData(spec, part) for part in parts))


def train(path, **more):
    settings = {"epochs": 2, "batch_size": 30, "checkpoint_seconds": 0.0} | SMALL | more
    return vaekit.train("id_gan", data(), out=path, **settings)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("inherited") / "run")


def encoder(model, prefix):
    return {k.removeprefix(prefix): v for k, v in model.state_dict().items() if k.startswith(prefix)}


def test_the_stage_has_the_trained_encoder_bit_for_bit(run):
    stage = run.stage("generator")
    assert stage.record["status"] == "finished"
    assert stage.record["recipe"] == "id_gan_generator"
    mine, theirs = encoder(stage.model(), INHERITED), encoder(run.model(), TRAINED)
    assert mine.keys() == theirs.keys()
    assert mine
    assert all(torch.equal(mine[k], theirs[k]) for k in mine)
    fresh = encoder(stage.system().model, INHERITED)
    assert not any(torch.equal(fresh[k], theirs[k]) for k in fresh if k.endswith("weight"))
    batch = data().test.take(range(5))
    assert torch.equal(stage.model().encode(batch)["z"], run.model().encode(batch)["z"])
    generator = stage.model().likelihood.state_dict()
    start = stage.system().model.likelihood.state_dict()
    assert not any(torch.equal(generator[k], start[k]) for k in generator)


def test_its_data_are_those_of_the_system(run):
    stage = run.stage("generator")
    assert stage.spec == run.spec
    whole = vaekit.Run.open(run.path, data=data())
    assert torch.equal(whole.data().test.take([3])["x"], data().test.take([3])["x"])
    assert run.record["stages"] == [{"name": "generator", "latent": None, "given": None}]


def test_new_data_are_the_generators(run):
    torch.manual_seed(3)
    drawn = run.generator().generate(50).mean
    torch.manual_seed(3)
    assert torch.equal(drawn, run.stage("generator").model().generate(50).mean)
    torch.manual_seed(3)
    assert not torch.equal(drawn, run.model().generate(50).mean)
    torch.manual_seed(3)
    assert torch.equal(run.generator("prior").generate(50).mean, _drawn(run.model(), 3))
    assert run.classifier() is None


def _drawn(model, seed):
    torch.manual_seed(seed)
    return model.generate(50).mean


def test_a_killed_run_goes_on_to_the_same_weights(run, tmp_path):
    stop_at = {"count": 0}

    def stop(at, batches, means):
        stop_at["count"] += 1
        return stop_at["count"] == 8  # of 6 steps of the first stage and 6 of the second

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", show=stop)
    done = vaekit.resume(tmp_path / "run", data=data())
    assert done.record["status"] == "finished"
    for name in ("weights.safetensors", "stages/generator/weights.safetensors"):
        assert (done.path / name).read_bytes() == (run.path / name).read_bytes()


def test_more_epochs_of_the_first_stage_train_the_second_anew(tmp_path):
    short = train(tmp_path / "run", epochs=1)
    before = encoder(short.stage("generator").model(), INHERITED)
    longer = vaekit.resume(short.path, data=data(), epochs=2)
    after = encoder(longer.stage("generator").model(), INHERITED)
    assert not any(torch.equal(before[k], after[k]) for k in before if k.endswith("weight"))
    assert all(torch.equal(v, after[k]) for k, v in encoder(longer.model(), TRAINED).items())


def test_alone_it_is_refused(tmp_path):
    with pytest.raises(vaekit.UserError, match="made for a stage"):
        vaekit.train("id_gan_generator", data(), out=tmp_path / "run", latents=3, hidden=(8,))
    with pytest.raises(vaekit.UserError, match="made for a stage"):
        vaekit.VAE(recipe="id_gan_generator", latents=3, hidden=(8,)).fit(np.full((20, 1, 4, 4), 0.5))
    assert list(tmp_path.iterdir()) == []


def test_a_stage_of_another_shape_is_refused_before_anything_is_trained(tmp_path):
    system = id_gan(data().spec, latents=3, hidden=(8,))
    other = Stage("generator", "id_gan_generator", {"latents": 4, "hidden": (8,)}, latent=None)
    wrong = System(system.model, system.procedure, stages=(other,))
    with pytest.raises(vaekit.UserError, match=r"takes 'posteriors.0' over .* another shape"):
        check_stages(wrong, data(), torch.device("cpu"))
    check_stages(system, data(), torch.device("cpu"))
    with pytest.raises(vaekit.UserError, match="penalty"):
        train(tmp_path / "run", penalty=-1.0)
    assert list(tmp_path.iterdir()) == []


def test_a_condition_is_for_the_stage_of_a_latent():
    with pytest.raises(ValueError, match="`given` 'z'"):
        Stage("generator", "id_gan_generator", {}, latent=None, given="z")


def test_the_estimator_draws_from_the_generator():
    x = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(1)).numpy()
    made = vaekit.VAE(recipe="id_gan", latents=2, hidden=(6,), epochs=1, batch_size=16, random_state=0)
    made.fit(x)
    drawn = made.sample(5)
    assert drawn.shape == (5, 1, 4, 4)
    again = pickle.loads(pickle.dumps(made))
    assert np.array_equal(again.sample(5), drawn)
    assert type(made._source.likelihood).__name__ == "Deterministic"
