"""Weights that hear what a step measured: whole batches, their own objective, once, and nothing between."""

from __future__ import annotations

import pytest
import torch

from vaekit import conditionals as c
from vaekit.models import Flat
from vaekit.networks import MLP
from vaekit.objective import Objective
from vaekit.procedures import Alternating, Manner, Player, Simultaneous
from vaekit.schedules import Feedback
from vaekit.terms import Distortion, Rate


def model():
    torch.manual_seed(2)

    def network(inputs):
        return lambda output: MLP([(inputs,)], output, hidden=(5,), activation="tanh")

    return Flat(
        c.Gaussian(network(6), (2,)), c.StandardGaussian((2,)), c.Bernoulli(network(2), (6,))
    ).double()


def bits(n=8, seed=3):
    return torch.randint(2, (n, 6), generator=torch.Generator().manual_seed(seed)).double()


def sgd(rate=0.1):
    return lambda parameters: torch.optim.SGD(parameters, lr=rate)


class Dual(Feedback):
    """A multiplier that grows with the excess of a term over a bound; it writes down what it is told."""

    def __init__(self, name, bound):
        super().__init__(name)
        self.bound = bound
        self.register_buffer("multiplier", torch.ones((), dtype=torch.float64))
        self.told = []

    def forward(self):
        return self.multiplier

    def hear(self, values):
        assert not torch.is_grad_enabled()
        assert not any(value.requires_grad for value in values.values())
        self.told.append({name: float(value) for name, value in values.items()})
        self.multiplier.mul_((0.1 * (values[self.hears[0]] - self.bound)).exp())


def objective(weight):
    return Objective({"distortion": (1.0, Distortion()), "rate": (weight, Rate("closed"))})


def alone(weight, rate=0.1):
    made = model()
    return Simultaneous(made, [Player("vae", [made], objective(weight), sgd(rate))])


def test_the_weight_of_a_step_follows_from_the_step_before():
    weight, expected = Dual("rate", 0.2), 1.0
    played = alone(weight)
    for seed in range(4):
        values = played.step([{"x": bits(seed=seed)}])
        total = float(values["distortion"] + expected * values["rate"])
        assert abs(float(values["loss"]) - total) < 1e-12
        assert weight.told[-1] == {name: float(value) for name, value in values.items()}
        expected *= float((0.1 * (values["rate"] - 0.2)).exp())
    assert len(weight.told) == 4
    assert abs(float(weight()) - expected) < 1e-12
    assert abs(expected - 1) > 1e-3  # it has moved


def test_it_hears_the_mean_of_all_pieces():
    whole, cut = Dual("rate", 0.2), Dual("rate", 0.2)
    alone(whole).step([{"x": bits(7)}])
    alone(cut).step([{"x": piece} for piece in bits(7).split([4, 2, 1])])
    assert len(cut.told) == 1
    assert abs(cut.told[0]["rate"] - whole.told[0]["rate"]) < 1e-12
    torch.testing.assert_close(cut(), whole())


@pytest.mark.parametrize("procedure", [Simultaneous, Alternating])
def test_every_player_has_its_own(procedure):
    made = model()
    first, second = Dual("rate", 0.0), Dual("loss", 0.0)
    encoder = Objective({"rate": (first, Rate("closed"))})
    decoder = Objective({"distortion": (second, Distortion())})
    players = [
        Player("encoder", [made.posteriors], encoder, sgd()),
        Player("decoder", [made.likelihood], decoder, sgd()),
    ]
    values = procedure(made, players).step([{"x": bits()}])
    assert first.told == [{"rate": float(values["encoder/rate"]), "loss": float(values["encoder/loss"])}]
    assert set(second.told[0]) == {"distortion", "loss"}
    assert second.told[0]["loss"] == float(values["decoder/loss"])


def test_what_stands_in_two_objectives_hears_once():
    made = model()
    weight = Dual("rate", 0.2)
    shared, other = objective(weight), Objective({"rate": (weight, Rate("closed"))})
    players = [
        Player("encoder", [made.posteriors], shared, sgd()),
        Player("decoder", [made.likelihood], shared, sgd()),
        Player("again", [torch.nn.Parameter(torch.zeros(()))], other, sgd()),
    ]
    trace = Simultaneous(made, players[:2]).trace({"x": bits()}, Manner())
    assert trace.latents
    Alternating(made, players[:2]).step([{"x": bits()}])
    assert len(weight.told) == 1
    procedure = Simultaneous(made, players)
    procedure.hear(
        {f"{name}/{key}": torch.ones(()) for name in "ab" for key in ("rate", "loss")}
        | {
            "encoder/rate": torch.tensor(0.5),
            "again/rate": torch.tensor(9.0),
        }
    )
    assert weight.told[-1] == {"rate": 0.5}
    assert len(weight.told) == 2


def test_looking_is_not_telling():
    weight = Dual("rate", 0.2)
    played = alone(weight)
    with torch.no_grad():
        played.judged(played.players[0], played.trace({"x": bits()}, Manner()))
    assert weight.told == []


def test_what_it_remembers_is_saved():
    weight, other = Dual("rate", 0.2), Dual("rate", 0.2)
    played = alone(weight)
    played.step([{"x": bits()}])
    objective(other).load_state_dict(played.players[0].objective.state_dict())
    assert torch.equal(other(), weight())
    assert float(other()) != 1


def test_a_compiled_step_tells_the_same():
    told = []
    for backend in (None, "eager"):
        weight = Dual("rate", 0.2)
        played = alone(weight)
        if backend:
            played.compile(8, backend)
        for seed in range(3):
            torch.manual_seed(seed)
            played.step([{"x": bits(seed=seed)}])
        told.append(weight.told)
    assert told[0] == told[1]
    torch._dynamo.reset()


def test_a_weight_that_listens_to_nobody_is_refused():
    with pytest.raises(ValueError, match=r"a Dual listens to 'rat', but the terms .* are distortion, rate"):
        objective(Dual("rat", 0.2))
