"""Stages and samplers: what is trained on latents, kept with the run, and drawn from."""

from __future__ import annotations

import json

import pytest
import torch

import vaekit
from vaekit import conditionals as c
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.models import Flat
from vaekit.networks import MLP
from vaekit.stages import Encoded, Hypersphere, Mixture, Stages

SMALL = {"latents": 3, "hidden": (8,), "second_hidden": (8,), "second_epochs": 2}


def data(count: int = 90, labels: bool = True) -> Splits:
    generator = torch.Generator().manual_seed(0)
    spec = Spec("toy", (5,), "real", count, classes=3 if labels else None)
    parts = []
    for size in (count, 20, 20):
        x = torch.randn(size, 5, generator=generator)
        parts.append(ArrayData(spec, x, torch.arange(size) % 3 if labels else None))
    return Splits(*parts)


def train(path, **more):
    settings = {"epochs": 2, "batch_size": 30, "checkpoint_seconds": 0.0} | SMALL | more
    return vaekit.train("two_stage_vae", data(), out=path, **settings)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("stages") / "run")


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Flat(
        c.Gaussian(lambda out: MLP([(5,)], out, (4,)), (3,)),
        c.StandardGaussian((3,)),
        c.SharedGaussian(lambda out: MLP([(3,)], out, (4,)), (5,)),
    )


def test_codes_are_draws_of_the_posterior_and_differ_from_visit_to_visit(model):
    codes = Encoded(data().train, model, "z")
    assert (codes.spec.shape, codes.spec.kind, codes.spec.classes) == ((3,), "real", 3)
    x = data().train.take(range(90))["x"]
    q = model.posteriors[0](x)
    draws = torch.stack([codes.take(range(90), seed=s)["x"] for s in range(400)])
    assert torch.allclose(draws.mean(0), q.mean, atol=0.35)
    assert torch.allclose(draws.std(0), q.stddev, rtol=0.25)
    assert not torch.equal(draws[0], draws[1])


def test_a_batch_of_codes_is_a_function_of_its_number(model):
    codes = Encoded(data().train, model, "z")
    torch.manual_seed(7)
    whole = list(codes.batches(40, seed=1, epoch=2))
    torch.manual_seed(8)
    before = torch.get_rng_state()
    later = list(codes.batches(40, seed=1, epoch=2, start=1))
    assert torch.equal(before, torch.get_rng_state())
    for a, b in zip(whole[1:], later, strict=True):
        assert torch.equal(a["x"], b["x"])
        assert torch.equal(a["y"], b["y"])
    other = next(iter(codes.batches(40, seed=1, epoch=3)))
    assert not torch.equal(whole[0]["x"], other["x"])
    assert sum(len(batch["x"]) for batch in whole) == 90
    assert model.training


def test_an_unknown_latent_is_refused(model):
    with pytest.raises(vaekit.UnsupportedError, match="no latent 'w'"):
        Encoded(data().train, model, "w")


def test_the_second_stage_is_an_ordinary_run_of_codes(run):
    assert run.record["status"] == "finished"
    assert run.record["stages"] == [{"name": "second", "latent": "z", "given": None}]
    stage = run.stage("second")
    assert stage.record["recipe"] == "latent_vae"
    assert stage.record["status"] == "finished"
    assert stage.spec.shape == (3,)
    again = vaekit.Run.open(stage.path)
    with pytest.raises(vaekit.UserError, match="in memory"):
        again.data()  # the data of the first stage were in memory
    with pytest.raises(vaekit.UserError, match="no stage 'third'"):
        run.stage("third")


def test_new_data_go_through_both_stages_with_the_noise_of_the_second(run):
    n = 4000
    first, second = run.model(), run.stage("second").model()
    torch.manual_seed(3)
    drawn = run.generator().generate(n).mean
    torch.manual_seed(3)
    expected = first.decode({"z": second.generate(n).sample()}).mean
    assert torch.equal(drawn, expected)
    torch.manual_seed(3)
    prior = run.generator("prior").generate(n).mean
    torch.manual_seed(3)
    assert torch.equal(prior, first.generate(n).mean)
    assert run.samplers()[:2] == ["prior", "stages"]
    # the noise has the variance that the second stage learned
    torch.manual_seed(4)
    p = second.generate(n)
    residual = (p.sample() - p.mean).std()
    assert residual.item() == pytest.approx(second.likelihood.log_std.exp().item(), rel=0.05)


def test_a_killed_run_goes_on_to_the_same_weights(run, tmp_path):
    stop_at = {"count": 0}

    def stop(at, batches, means):
        stop_at["count"] += 1
        return stop_at["count"] == 8  # of 6 steps of the first stage and 4 of the second

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", show=stop)
    broken = vaekit.Run.open(tmp_path / "run", data=data())
    assert broken.record["status"] == "interrupted"
    assert not (tmp_path / "run" / "stages" / "second" / "weights.safetensors").exists()
    done = vaekit.resume(tmp_path / "run", data=data())
    assert done.record["status"] == "finished"
    for name in ("weights.safetensors", "stages/second/weights.safetensors"):
        assert (done.path / name).read_bytes() == (run.path / name).read_bytes()


def test_more_epochs_of_the_first_stage_train_the_second_anew(tmp_path):
    short = train(tmp_path / "run", epochs=1)
    before = (short.path / "stages/second/weights.safetensors").read_bytes()
    longer = vaekit.resume(short.path, data=data(), epochs=2)
    after = (longer.path / "stages/second/weights.safetensors").read_bytes()
    assert before != after


def test_a_bad_second_stage_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(vaekit.UserError, match="second_epochs"):
        train(tmp_path / "run", second_epochs=0)
    with pytest.raises(vaekit.UserError, match="halve"):
        train(tmp_path / "other", second_halve=0)
    assert list(tmp_path.iterdir()) == []


def test_a_mixture_finds_the_codes_and_a_sphere_their_norm():
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[4.0, 0.0], [-4.0, 2.0]])
    codes = centres[torch.arange(2000) % 2] + torch.randn(2000, 2, generator=generator) * 0.3
    mixture = Mixture.fit(codes, "z", components=2)
    torch.manual_seed(0)
    drawn = mixture.sample(20_000)["z"]
    assert torch.allclose(drawn.mean(0), codes.mean(0), atol=0.1)
    assert torch.allclose(drawn.T.cov(), codes.T.cov(), atol=0.3)
    assert (drawn[:, 0].abs() > 2.5).all()
    unit = torch.randn(500, 4, generator=generator)
    unit = unit / unit.norm(dim=1, keepdim=True)
    sphere = Hypersphere.fit(unit, "z")
    points = sphere.sample(5000)["z"]
    assert torch.allclose(points.norm(dim=1), torch.ones(5000), atol=1e-5)
    assert points.mean(0).abs().max() < 0.05
    assert Hypersphere.fit(3 * unit, "z").radius == pytest.approx(3.0)


def test_fitted_samplers_are_kept_with_the_run(run, tmp_path):
    for name in ("mixture", "hypersphere"):
        vaekit.fit_sampler(run, name, seed=1)
    opened = vaekit.Run.open(run.path)
    assert {"mixture", "hypersphere"} <= set(opened.samplers())
    torch.manual_seed(0)
    first = run.generator("mixture").generate(50).mean
    torch.manual_seed(0)
    second = opened.generator("mixture").generate(50).mean
    assert torch.equal(first, second)
    assert first.shape == (50, 5)
    with pytest.raises(vaekit.UserError, match="no sampler 'flov'"):
        run.generator("flov")
    with pytest.raises(vaekit.UserError, match="there is no sampler 'gmm'"):
        vaekit.fit_sampler(run, "gmm")
    with pytest.raises(vaekit.UserError, match="components"):
        vaekit.fit_sampler(run, "hypersphere", components=3)


def test_a_second_stage_can_be_fitted_afterwards(tmp_path):
    run = vaekit.train("vae", data(), out=tmp_path / "run", epochs=1, latents=2, hidden=(8,))
    with pytest.raises(vaekit.UserError, match="no stages"):
        run.generator("stages")
    vaekit.fit_sampler(run, "second", epochs=1, arguments={"hidden": (8,)})
    model = run.generator("second")
    assert model.generate(6).mean.shape == (6, 5)
    assert not model.training
    stage = vaekit.Run.open(run.path / "samplers" / "second")
    assert stage.record["training"]["epochs"] == 1


def test_a_damaged_sampler_is_refused(run):
    vaekit.fit_sampler(run, "mixture", seed=1)
    path = run.path / "samplers" / "mixture.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(vaekit.UserError):
        run.generator("mixture")
    path.unlink()


def test_models_with_several_latents_have_no_fitted_sampler(tmp_path):
    run = vaekit.train("dlgm", data(), out=tmp_path / "run", epochs=1, latents=(2, 2), hidden=(8,))
    with pytest.raises(vaekit.UnsupportedError, match="z1, z2"):
        vaekit.fit_sampler(run, "mixture")


def test_codes_have_no_fitted_sampler(tmp_path):
    sizes = {"codes": 4, "dims": 2, "positions": 2, "prior_width": 4, "prior_blocks": 1, "prior_attention": 0}
    run = vaekit.train("vq_vae", data(), out=tmp_path / "run", steps=2, hidden=(8,), **sizes)
    for name in ("mixture", "hypersphere"):
        with pytest.raises(vaekit.UnsupportedError, match=r"codes 0 \.\. 3"):
            vaekit.fit_sampler(run, name)
    assert run.samplers() == ["prior", "stages"]


def test_a_stage_draws_given_what_was_drawn_before(model):
    class Fixed(torch.nn.Module):
        names = ("z",)

        def __init__(self, shift):
            super().__init__()
            self.shift = shift

        def generate(self, n, context=None):
            base = torch.zeros(n, 2) if context is None else context
            return torch.distributions.Normal(base + self.shift, 1e-6)

    drawn = Stages([(Fixed(1.0), "a", None, False), (Fixed(5.0), "b", "a", True)]).sample(3)
    assert torch.allclose(drawn["a"], torch.ones(3, 2), atol=1e-3)
    assert drawn["b"].dtype == torch.int64


def test_the_record_is_plain(run):
    record = json.loads((run.path / "stages/second/run.json").read_text())
    assert record["data"]["latent"] == "z"
    assert record["data"]["source"] is None
