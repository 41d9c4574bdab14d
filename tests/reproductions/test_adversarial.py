"""What the experiments with games measure, on games that are too small to mean anything."""

from __future__ import annotations

import json

import pytest
import torch

from vaekit import recipes
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.objective import Objective
from vaekit.reproductions import runner
from vaekit.reproductions.adversarial import Referee, likeness, opponents, owned, play, side_by_side, terms_of
from vaekit.reproductions.features import Classifier
from vaekit.reproductions.outcome import Check, Outcome, Reproduction
from vaekit.terms.features import FeatureError


@pytest.fixture
def splits():
    generator = torch.Generator().manual_seed(0)
    spec = Spec("toy", (1, 8, 8), "unit", 40, classes=2)
    x = torch.rand(100, 1, 8, 8, generator=generator)
    y = torch.arange(100) % 2
    return Splits(*(ArrayData(spec, x[part], y[part]) for part in (slice(40), slice(40, 60), slice(60, 100))))


@pytest.fixture
def system(splits):
    return recipes.vae_gan(splits.spec, latents=2, hidden=(8,))


def test_a_model_that_gives_the_data_back_is_as_alike_as_they_are(splits):
    network = Classifier((1, 8, 8), 2)

    class Copy(torch.nn.Module):
        def encode(self, batch):
            return {"z": batch["x"]}

        def decode(self, values, context=None):
            return torch.distributions.Normal(values["z"], 1.0)

        def generate(self, n, context=None):
            return torch.distributions.Normal(torch.zeros(n, 1, 8, 8), 1.0)

    found = likeness(Copy(), network, splits, seed=0)
    assert found.error == 0
    assert found.sharp == 0
    assert found.sharp_rebuilt == pytest.approx(1, abs=0.1)
    assert found.distance > found.distance_rebuilt >= 0
    assert found.floor > 0
    assert 0.5 <= found.confident <= 1


def test_a_referee_counts_what_the_critic_gets_right(system, splits):
    watch = Referee(system, splits, every=1)
    with torch.no_grad():
        for parameter in watch.critic.parameters():
            parameter.zero_()
    at = type("At", (), {"step": 1})
    watch(at)
    assert watch.found == [0.0]  # on the fence: neither real nor fake
    watch.critic.layers[-1][1].bias.data.fill_(1.0)
    watch(at)
    assert watch.found[-1] == 0.5  # everything is real
    assert watch.accuracy == 0.5
    model, accuracy = play(system, splits, name="toy", seed=0, steps=200, say=lambda line: None)
    assert not model.training
    assert 0 <= accuracy <= 1


def test_players_can_be_left_out_or_given_another_objective(system):
    [likened] = [t for _, t in terms_of(system, "encoder") if isinstance(t, FeatureError)]
    critic = owned(system.procedure.players[2])
    frozen = opponents(system, {"decoder": Objective({"features": (1.0, likened)}), "discriminator": None})
    assert [player.name for player in frozen.procedure.players] == ["encoder", "decoder"]
    before = [p.clone() for p in critic.parameters()]
    said = frozen.procedure.step([{"x": torch.rand(4, 1, 8, 8)}])
    assert set(said) == {
        "encoder/rate",
        "encoder/features",
        "encoder/loss",
        "decoder/features",
        "decoder/loss",
    }
    assert all(torch.equal(a, b) for a, b in zip(before, critic.parameters(), strict=True))


def test_a_picture_is_written_beside_the_record_and_not_into_it(system, splits, monkeypatch, tmp_path):
    from PIL import Image

    picture = side_by_side([system.model.eval()] * 2, splits, seed=0, columns=4)
    outcome = Outcome([], [Check("it is there", True)], [0], "toy", "none", picture=picture)
    made = Reproduction("A claim.", "a source", (), lambda full, say: outcome)
    monkeypatch.setattr(runner, "get", lambda name: made)
    monkeypatch.chdir(tmp_path)
    said = []
    record = runner.run("toy", say=said.append)
    assert "picture" not in record
    json.dumps(record)
    assert said == ["picture: toy.png"]
    with Image.open(tmp_path / "toy.png") as image:
        assert image.size == (4 * 50 + 2, 5 * 50 + 2)  # one row of data, two of each kind for two models
