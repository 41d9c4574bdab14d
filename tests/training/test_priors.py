"""Runs of systems whose prior shares modules with the posterior, and of one without latents."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vaekit
from vaekit.cli.produce import encode_command
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError, UserError
from vaekit.metrics import elbo, evaluate, latent_use, mutual_information, nll
from vaekit.report import write_report
from vaekit.runs import Run


def data(kind: str, count: int = 40) -> Splits:
    generator = torch.Generator().manual_seed(0)
    spec = Spec("toy", (6,), kind, count)
    parts = []
    for size in (count, 12, 12):
        x = torch.randn(size, 6, generator=generator)
        parts.append(ArrayData(spec, (x > 0).float() if kind == "binary" else x))
    return Splits(*parts)


CASES = {
    "vamp_vae": ("binary", {"components": 4, "warmup": 8, "latents": 2, "hidden": (8,)}),
    "hvae": ("binary", {"components": 4, "warmup": 8, "latents": (3, 2), "hidden": (8,)}),
    "ladder_vae": ("binary", {"warmup": 8, "latents": (3, 2), "hidden": (8,), "batch_norm": True}),
    "flow_density": ("real", {"transforms": 2, "hidden": (8,)}),
    "vae": ("real", {"prior": "flow", "latents": 2, "hidden": (8,)}),
}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(params=CASES)
def case(request):
    kind, arguments = CASES[request.param]
    return request.param, data(kind), arguments


def test_saved_loaded_and_resumed_bit_for_bit(case, tmp_path):
    name, splits, arguments = case
    settings = {"epochs": 2, "batch_size": 13, **arguments}  # the last batch is of one
    whole = vaekit.train(name, splits, out=tmp_path / "whole", **settings)
    count = []

    def show(at, batches, means):
        count.append(1)
        return len(count) == 3

    with pytest.raises(KeyboardInterrupt):
        vaekit.train(name, splits, out=tmp_path / "cut", show=show, **settings)
    resumed = vaekit.resume(tmp_path / "cut", data=splits)
    assert same(resumed.model().state_dict(), whole.model().state_dict())
    assert same(resumed.state()[0], whole.state()[0])
    opened = Run.open(whole.path, data=splits).model()
    batch = splits.test.take(range(5))
    for model in (opened, whole.model()):
        torch.manual_seed(3)
        count.append(model.generate(4).sample())
        count.append(nll(model, splits.test, samples=7, seed=1).nll)
    assert torch.equal(count[-4], count[-2])
    assert count[-3] == count[-1]
    assert same(opened.encode(batch), whole.model().encode(batch))


def test_every_surface_takes_them(case, tmp_path):
    name, splits, arguments = case
    run = vaekit.train(name, splits, out=tmp_path / "run", epochs=1, batch_size=20, **arguments)
    record = evaluate(run.model(), splits.test, samples=5)
    assert record["nll"] is not None
    assert record["nll"] <= -record["elbo"] + 5
    page = write_report(run).read_text()
    assert "class=" in page


# -- without latents ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def density(tmp_path_factory):
    splits = data("real")
    path = tmp_path_factory.mktemp("flow") / "run"
    return vaekit.train("flow_density", splits, out=path, epochs=2, transforms=2, hidden=(8,)), splits


def test_the_likelihood_is_exact_and_there_is_no_rate(density):
    run, splits = density
    model, x = run.model(), splits.test.take(range(12))["x"]
    with torch.no_grad():
        exact = -model.likelihood().log_prob(x).double().mean().item()
    bound = elbo(model, splits.test)
    assert (bound.rate, bound.rates) == (0.0, {})
    assert bound.distortion == pytest.approx(exact)
    found = nll(model, splits.test, samples=5000)
    assert found.nll == pytest.approx(exact)
    assert (found.samples, found.mc_error, found.median_ess) == (1, 0.0, 1.0)
    row = run.metrics()[-1]
    assert row["valid/rate"] == 0
    assert row["valid/elbo"] == pytest.approx(-row["valid/loss"])


def test_what_needs_latents_is_refused_in_words(density, tmp_path):
    run, splits = density
    for measure in (latent_use, mutual_information):
        with pytest.raises(UnsupportedError, match="no latents"):
            measure(run.model(), splits.test)
    with pytest.raises(UnsupportedError, match="nothing to decode"):
        run.model().decode({})
    notes = evaluate(run.model(), splits.test, samples=3)["notes"]
    assert set(notes) == {"active_units", "mutual_information"}
    with pytest.raises(UserError, match="no latents"):
        encode_command(run.path, "test")


def test_the_estimator_scores_and_samples_without_latents():
    rows = data("real").train.take(range(40))["x"].numpy().astype(np.float64)
    made = vaekit.VAE("flow_density", arguments={"transforms": 2, "hidden": (8,)}, epochs=2).fit(rows)
    assert made.score_samples(rows).shape == (40,)
    assert made.sample(3).shape == (3, 6)
    with pytest.raises(UnsupportedError, match="no latents"):
        made.transform(rows)


def test_a_flow_is_fitted_to_latents_and_drawn_from(tmp_path, monkeypatch):
    monkeypatch.setattr("vaekit.staged.LEAST_STEPS", 1)
    splits = data("real")
    run = vaekit.train("vae", splits, out=tmp_path / "run", epochs=1, latents=2, hidden=(8,))
    vaekit.fit_sampler(run, "flow", epochs=1, arguments={"transforms": 2, "hidden": (8,)})
    assert "flow" in Run.open(run.path, data=splits).samplers()
    assert run.generator("flow").generate(5).mean.shape == (5, 6)


def test_mutual_information_of_a_hierarchy_from_the_top_is_refused(tmp_path):
    kind, arguments = CASES["hvae"]
    splits = data(kind)
    run = vaekit.train("hvae", splits, out=tmp_path / "run", epochs=1, **arguments)
    with pytest.raises(UnsupportedError, match="N x N"):
        mutual_information(run.model(), splits.test)
