"""Runs of models of codes: stages learn the priors, new data come through them, all is measured."""

from __future__ import annotations

import json
import math

import pytest
import torch

import vaekit
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.metrics import code_use, evaluate, perplexity
from vaekit.report.write import write_report
from vaekit.staged import Stopped
from vaekit.stages import code_bound, reject

PRIOR = {"prior_width": 8, "prior_blocks": 2, "prior_attention": 1}
ARGUMENTS = {
    "vq_vae": {"codes": 6, "dims": 3, "positions": 4, "architecture": "mlp", "hidden": (8,), **PRIOR},
    "vq_vae2": {"codes": 6, "dims": 3, "hidden": (4, 8), **PRIOR},
}


def pictures(count=60, context=False) -> Splits:
    generator = torch.Generator().manual_seed(0)
    spec = Spec("stripes", (1, 8, 8), "binary", count, classes=2, context=(2,) if context else None)
    parts = []
    for size in (count, 20, 20):
        y = torch.randint(2, (size,), generator=generator)
        x = (torch.rand(size, 1, 8, 1, generator=generator) < 0.2 + 0.6 * y.view(-1, 1, 1, 1)).float()
        c = torch.nn.functional.one_hot(y, 2).float() if context else None
        parts.append(ArrayData(spec, x.expand(-1, 1, 8, 8).contiguous(), y, c=c))
    return Splits(*parts)


@pytest.fixture(scope="module", params=ARGUMENTS)
def run(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("codes") / "run"
    return vaekit.train(
        request.param, pictures(), out=path, epochs=2, batch_size=20, **ARGUMENTS[request.param]
    )


def test_stages_are_priors_over_the_codes(run):
    stages = {part["name"]: (part["latent"], part["given"]) for part in run.record["stages"]}
    if run.record["recipe"] == "vq_vae":
        assert stages == {"prior": ("z", None)}
        assert run.stage("prior").spec.shape == (4,)
    else:
        assert stages == {"top": ("z2", None), "bottom": ("z1", "z2")}
        assert run.stage("bottom").spec.context == run.stage("top").spec.shape == (1, 1)
    for name in stages:
        stage = run.stage(name)
        assert (stage.record["recipe"], stage.record["status"]) == ("code_prior", "finished")
        assert (stage.spec.kind, stage.spec.levels) == ("categorical", 6)


def test_new_data_come_through_the_learned_priors(run):
    made = run.generator()
    torch.manual_seed(0)
    assert made.generate(5).mean.shape == (5, 1, 8, 8)
    codes = made.sampler.sample(5)
    assert all(value.dtype == torch.int64 and value.max() < 6 for value in codes.values())
    torch.manual_seed(0)
    plain = run.generator("prior").generate(5)  # uniform codes
    assert plain.mean.shape == (5, 1, 8, 8)


def test_evaluation_says_what_there_is(run):
    record = evaluate(run.model(), run.data().test, samples=5)
    assert json.loads(json.dumps(record)) == record
    assert "no density" in record["notes"]["nll"]
    assert "code_use" in record["notes"]["active_units"]
    positions = sum(use["positions"] for use in record["codes"].values())
    assert record["rate"] == pytest.approx(positions * math.log(6))
    assert all(1 <= use["perplexity"] <= use["used"] <= 6 for use in record["codes"].values())


def test_the_bound_under_the_learned_priors(run):
    model, test = run.model(), run.data().test
    priors = [
        (run.stage(part["name"]).model(), part["latent"], part["given"]) for part in run.record["stages"]
    ]
    bound = code_bound(model, priors, test)
    record = evaluate(model, test, samples=0)
    assert bound.distortion == pytest.approx(record["distortion"])
    assert bound.rate == pytest.approx(sum(bound.rates.values()))
    assert bound.rate != pytest.approx(record["rate"])
    if len(priors) == 1:
        codes = model.encode(test.take(range(20)))["z"].float()
        by_hand = -priors[0][0].likelihood().log_prob(codes).mean().item()
        assert bound.rate == pytest.approx(by_hand, rel=1e-5)
    with pytest.raises(UnsupportedError, match="got none for"):
        code_bound(model, [], test)


def test_report_and_commands_take_codes(run, tmp_path, capsys):
    from vaekit.cli import main

    page = write_report(run, out=tmp_path / "report.html").read_text()
    assert "Samples from the stages" in page
    assert "Reconstructions" in page
    assert main(["report", str(run.path)]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_resume_goes_on_bit_for_bit(name, tmp_path):
    settings = {"epochs": 3, "batch_size": 20, "checkpoint_seconds": 0.0, **ARGUMENTS[name]}
    whole = vaekit.train(name, pictures(), out=tmp_path / "whole", **settings)
    stop = iter([False] * 4 + [True])
    with pytest.raises(Stopped):
        vaekit.train(name, pictures(), out=tmp_path / "parts", show=lambda *_: next(stop, False), **settings)
    parts = vaekit.resume(tmp_path / "parts", data=pictures())
    for ours, theirs in [(whole, parts)] + [
        (whole.stage(part["name"]), parts.stage(part["name"])) for part in whole.record["stages"]
    ]:
        left = ours.model().state_dict()
        right = theirs.model().state_dict()
        assert all(torch.equal(value, right[key]) for key, value in left.items())


def test_conditions_reach_the_networks_and_the_prior_of_the_top(tmp_path):
    run = vaekit.train(
        "vq_vae2",
        pictures(context=True),
        out=tmp_path / "run",
        epochs=1,
        batch_size=20,
        **ARGUMENTS["vq_vae2"],
    )
    assert run.stage("top").spec.context == (2,)
    made = run.generator()
    assert made.generate(4, torch.eye(2).repeat(2, 1)).mean.shape == (4, 1, 8, 8)


# --- use of codes ---


def test_perplexity_of_codes():
    assert perplexity(torch.zeros(10, dtype=torch.int64), 5).item() == pytest.approx(1)
    assert perplexity(torch.arange(12) % 4, 9).item() == pytest.approx(4)
    shares = torch.tensor([0.75, 0.25]).double()
    mixed = torch.tensor([[0, 0], [0, 1]])
    assert perplexity(mixed, 2).item() == pytest.approx(math.exp(-(shares * shares.log()).sum()))
    with pytest.raises(ValueError, match="no codes"):
        perplexity(torch.zeros(0, dtype=torch.int64), 3)


def test_a_data_set_shows_more_codes_than_its_batches(run):
    model, data = run.model(), run.data().train
    whole = code_use(model, data)
    name = model.names[0]
    codes = model.encode(data.take(range(60)))[name]
    assert whole[name].perplexity == pytest.approx(perplexity(codes, 6).item())
    assert whole[name].used == codes.unique().numel()
    single = [perplexity(row, 6).item() for row in codes]
    assert whole[name].perplexity >= sum(single) / len(single)


def test_a_model_without_codes_has_no_use_of_them():
    from vaekit import recipes

    data = pictures()
    model = recipes.vae(data.spec, latents=2, hidden=(4,)).model
    assert code_use(model, data.test) == {}
    assert "codes" not in evaluate(model, data.test, samples=0)


# --- rejection ---


def sure_of(x):
    """Probabilities of two classes: the first value is that of class 1."""
    return torch.stack([1 - x[:, 0], x[:, 0]], 1)


def test_rejection_keeps_the_surest_in_their_order():
    asked = []

    def draw(n):
        asked.append(n)
        return torch.arange(n).float().flip(0).view(n, 1) / n

    kept = reject(draw, sure_of, 5, threshold=0.5, label=1)
    assert asked == [10]
    assert kept.flatten().tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5])
    other = reject(draw, sure_of, 5, threshold=0.5, label=0)
    assert other.flatten().tolist() == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.0])
    either = reject(draw, sure_of, 2, threshold=0.8)  # 0.9 of class 1, and 1.0 of class 0
    assert either.flatten().tolist() == pytest.approx([0.9, 0.0])
    reject(draw, sure_of, 1, threshold=0.9)
    assert asked[-1] == 10


def test_threshold_zero_keeps_everything():
    x = torch.rand(20, 1)
    assert torch.equal(reject(lambda n: x[:n], sure_of, 20, threshold=0.0), x)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"threshold": 1.0}, "rejects everything"),
        ({"threshold": -0.1}, "`threshold`"),
        ({"label": 2}, "expected 0 to 1"),
        ({"n": 0}, "`n` is 0"),
    ],
)
def test_rejection_refuses(arguments, words):
    given = {"n": 3} | arguments
    with pytest.raises(ValueError, match=words):
        reject(lambda n: torch.rand(n, 1), sure_of, **given)


def test_rejection_refuses_scores_that_are_no_probabilities():
    with pytest.raises(ValueError, match="take a softmax"):
        reject(lambda n: torch.rand(n, 1), lambda x: 3 * sure_of(x), 4)
    with pytest.raises(ValueError, match="classes"):
        reject(lambda n: torch.rand(n, 1), lambda x: x.flatten(), 4)
