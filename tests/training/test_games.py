"""Games in the loop: a guard leaves no trace of a step that is not made, and runs resume with all players."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import vaekit
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.objective import Objective
from vaekit.procedures import Player
from vaekit.terms import Rate

OPTIMIZERS = {
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.5, centered=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "fused adam": lambda p: torch.optim.Adam(p, lr=0.1, fused=True),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
}


def player(make, guard=None):
    torch.manual_seed(0)
    layer = nn.Linear(3, 2).double()
    return Player("one", [layer], Objective({"rate": (1.0, Rate())}), make, guard=guard)


def push(one, seed):
    """The gradient of this seed."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in one.parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)


def state(one):
    return copy.deepcopy([p.detach() for p in one.parameters] + [one.optimizer.state_dict()["state"]])


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    return a == b


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rests", [(0,), (1,), (2, 3), (0, 1, 4), ()])
def test_a_step_that_is_not_made_leaves_no_trace(optimizer, rests):
    """With rests at some steps it is where it would be had these gradients never been."""
    make = OPTIMIZERS[optimizer]
    guarded = player(make, lambda values: values["go"] > 0)
    free = player(make)
    for step in range(6):
        push(guarded, step)
        before = state(guarded)
        guarded.move(None, {"go": torch.tensor(0.0 if step in rests else 1.0)})
        if step in rests and step > 0:
            assert equal(state(guarded), before)
        assert all(p.grad is None for p in guarded.parameters)
        if step not in rests:
            push(free, step)
            free.move(None, {})
    assert equal(state(guarded), state(free))


def test_a_gradient_that_is_not_finite_is_taken_back_too():
    one = player(OPTIMIZERS["rmsprop"], lambda values: values["go"])
    push(one, 0)
    one.move(None, {"go": torch.tensor(True)})
    before = state(one)
    push(one, 1)
    one.parameters[0].grad[0, 0] = torch.nan
    one.move(None, {"go": torch.tensor(False)})
    assert equal(state(one), before)


@pytest.fixture
def labelled() -> Splits:
    generator = torch.Generator().manual_seed(4)
    y = torch.arange(90) % 3
    x = (torch.rand(90, 1, 4, 4, generator=generator) * 0.3 + 0.2 * y[:, None, None, None]).clamp(0, 1)
    c = nn.functional.one_hot(y, 3).float()
    spec = Spec("toy", (1, 4, 4), "unit", 50, classes=3, context=(3,))
    parts = [slice(0, 50), slice(50, 70), slice(70, 90)]
    return Splits(*(ArrayData(spec, x[part], y[part], c[part]) for part in parts))


def plain(splits: Splits) -> Splits:
    spec = Spec("toy", (1, 4, 4), "unit", 50)
    return Splits(*(ArrayData(spec, part.x) for part in (splits.train, splits.valid, splits.test)))


GAMES = {
    "vae_gan": {"latents": 2, "hidden": (8,)},
    "vae_gan, margins": {"latents": 2, "hidden": (8,), "margin": 0.02},
    "cvae_gan": {"latents": 2, "hidden": (8,)},
}


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("stop", [1, 5, 7])
def test_a_game_resumes_bit_for_bit_with_all_its_players(game, stop, labelled, tmp_path):
    """Four batches an epoch, the last of two: critics, class centres, optimisers and noise come back."""
    name = game.split(",")[0]
    splits = labelled if name == "cvae_gan" else plain(labelled)
    options = {"epochs": 2, "batch_size": 16, **GAMES[game]}
    whole = vaekit.train(name, splits, out=tmp_path / "whole", **options)
    count = []

    def show(at, batches, means):
        count.append(1)
        return len(count) == stop

    with pytest.raises(KeyboardInterrupt):
        vaekit.train(name, splits, out=tmp_path / "cut", show=show, **options)
    torch.randn(7)
    resumed = vaekit.resume(tmp_path / "cut", data=splits)
    (first, _), (second, _) = whole.state(), resumed.state()
    assert equal(first, second)
    kept = [key for key in first if key.startswith("discriminator.objective")]
    assert any(key.endswith("layers.0.1.weight") for key in kept)
    assert len({key.split("critic.")[1] for key in kept}) == len(kept)  # every critic is saved once
    if name == "cvae_gan":
        assert first["generator.objective/centres_term.weight"].min() > 0
    assert [row.keys() for row in whole.metrics()] == [row.keys() for row in resumed.metrics()]
    assert {p.name for p in whole.system().procedure.players} <= {
        key.split("/")[1] for key in whole.metrics()[-1] if key.startswith("train/")
    }


@pytest.mark.slow
def test_normalisation_resumes_bit_for_bit(tmp_path):
    """Networks of 32 pixels, whose running averages are part of the model."""
    x = torch.rand(6, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    spec = Spec("toy", (1, 32, 32), "unit", 3)
    splits = Splits(*(ArrayData(spec, part) for part in (x[:3], x[3:5], x[5:])))
    options = {"epochs": 2, "batch_size": 2, "latents": 2}
    whole = vaekit.train("vae_gan", splits, out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        vaekit.train("vae_gan", splits, out=tmp_path / "cut", show=lambda at, *_: at.step == 2, **options)
    resumed = vaekit.resume(tmp_path / "cut", data=splits)
    assert equal(whole.state()[0], resumed.state()[0])
    averages = [v for k, v in whole.model().state_dict().items() if k.endswith("normal.mean")]
    assert len(averages) == 2
    assert all(bool(value.any()) for value in averages)
    generated = whole.model().generate(1).mean  # one picture, by the averages
    assert bool(generated.isfinite().all())


def test_a_game_that_couples_its_batch_is_refused_in_pieces(labelled, tmp_path):
    with pytest.raises(UnsupportedError, match="`accumulate` is 2, but the term 'means'"):
        vaekit.train("cvae_gan", labelled, out=tmp_path / "run", epochs=1, accumulate=2, **GAMES["cvae_gan"])
    vaekit.train("vae_gan", plain(labelled), out=tmp_path / "run", epochs=1, accumulate=2, **GAMES["vae_gan"])


def test_patience_is_refused_in_a_game(labelled, tmp_path):
    with pytest.raises(UnsupportedError, match="`patience` needs a held-out loss"):
        vaekit.train("cvae_gan", labelled, out=tmp_path / "run", patience=2, **GAMES["cvae_gan"])


def test_digits_of_a_class_from_the_command_line(tmp_path, capsys):
    from vaekit.cli import main

    options = ["--epochs", "1", "--limit", "60", "--latents", "2", "--hidden", "8", "--out"]
    grey = ["--binarise", "none", "--no-report"]
    assert main(["train", "cvae_gan", "digits", *options, str(tmp_path / "a"), *grey]) == 2
    assert 'load it with the data option context="labels"' in capsys.readouterr().err
    labels = ["--context", "labels"]
    assert main(["train", "cvae_gan", "digits", *options, str(tmp_path / "run"), *grey, *labels]) == 0
    assert main(["sample", str(tmp_path / "run"), "-n", "4"]) == 0
    assert main(["reconstruct", str(tmp_path / "run"), "test"]) == 0
    model = vaekit.Run.open(tmp_path / "run").model()
    threes = model.generate(5, nn.functional.one_hot(torch.full((5,), 3), 10).float())
    assert threes.mean.shape == (5, 1, 8, 8)
