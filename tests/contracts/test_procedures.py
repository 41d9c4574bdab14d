"""Who moves, on whose judgement, in what order, and what happens after a step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vaekit import conditionals as c
from vaekit.models import Flat
from vaekit.networks import MLP
from vaekit.objective import Objective, elbo
from vaekit.procedures import Alternating, Manner, Player, Simultaneous
from vaekit.schedules import Cyclical, Linear, Schedule, Steps
from vaekit.system import System
from vaekit.terms import Capacity, Distortion, Rate, once
from vaekit.trace import Trace


def network(*inputs):
    return lambda output: MLP([(n,) for n in inputs], output, hidden=(5,), activation="tanh")


def model():
    torch.manual_seed(2)
    return Flat(c.Gaussian(network(6), (2,)), c.LearnedGaussian((2,)), c.Bernoulli(network(2), (6,))).double()


def bits(n=8, seed=3):
    return torch.randint(2, (n, 6), generator=torch.Generator().manual_seed(seed)).double()


def sgd(rate=0.1):
    return lambda parameters: torch.optim.SGD(parameters, lr=rate)


class Quiet(nn.Module):
    """A posterior without noise to speak of, so that a batch can be cut without changing the draws."""

    def __init__(self, wrapped):
        super().__init__()
        self.wrapped = wrapped

    def forward(self, *context):
        q = self.wrapped(*context)
        q.rsample = lambda sample_shape=(): q.loc.expand(torch.Size(sample_shape) + q.shape)
        return q


def quiet():
    made = model()
    made.posteriors[0] = Quiet(made.posteriors[0])
    return made


def state(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def two_players(made, procedure, rate=0.1):
    """The encoder minimises the rate, the decoder the distortion: they disagree about the encoder."""
    encoder = Player("encoder", [made.posteriors], Objective({"rate": (1.0, Rate())}), sgd(rate))
    decoder = Player("decoder", [made.likelihood], Objective({"distortion": (1.0, Distortion())}), sgd(rate))
    return procedure(made, [encoder, decoder])


@pytest.mark.parametrize("procedure", [Simultaneous, Alternating])
def test_a_player_leaves_no_gradient_on_another(procedure):
    made = model()
    played = two_players(made, procedure)
    encoder, decoder = played.players
    trace = played.trace({"x": bits()}, Manner())
    played.judge(decoder, trace, 1.0, True)
    assert all(p.grad is None for p in encoder.parameters)  # though the distortion depends on the encoder
    assert all(p.grad is None for p in made.priors.parameters())
    assert all(p.grad.abs().sum() > 0 for p in decoder.parameters)
    kept = [p.grad.clone() for p in decoder.parameters]
    played.judge(encoder, trace, 1.0, False)
    assert all(torch.equal(p.grad, g) for p, g in zip(decoder.parameters, kept, strict=True))
    assert all(p.grad is not None for p in encoder.parameters)
    assert all(p.grad is None for p in made.priors.parameters())


def test_gradients_are_cleared_after_a_move():
    made = model()
    two_players(made, Simultaneous).step([{"x": bits()}])
    assert all(p.grad is None for p in made.parameters())


class Shared(nn.Module):
    """A toy of two numbers: both players' losses depend on both."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.0).double())
        self.b = nn.Parameter(torch.tensor(2.0).double())
        self.passes = 0

    def forward(self, batch, samples=None, branches=()):
        self.passes += 1
        return (batch["x"], self.a, self.b)


class Toy:
    def __init__(self, f):
        self.f = f

    def __call__(self, trace):
        x, a, b = trace
        return self.f(a, b) * x


def first(a, b):
    return a.square() * b


def second(a, b):
    return a * b.square()


def toy(procedure):
    made = Shared()
    players = [
        Player("a", [made.a], Objective({"first": (1.0, Toy(first))}), sgd()),
        Player("b", [made.b], Objective({"second": (1.0, Toy(second))}), sgd()),
    ]
    return made, procedure(made, players)


def test_simultaneous_by_hand():
    """Both look at (1, 2): a -= 0.1 * 2 a b = 0.4, b -= 0.1 * 2 a b = 0.4; one pass."""
    made, played = toy(Simultaneous)
    values = played.step([{"x": torch.ones(3).double()}])
    assert made.passes == 1
    torch.testing.assert_close(made.a.item(), 0.6)
    torch.testing.assert_close(made.b.item(), 1.6)
    assert {key: float(value) for key, value in values.items()} == {
        "a/first": 2.0,
        "a/loss": 2.0,
        "b/second": 4.0,
        "b/loss": 4.0,
    }


def test_alternating_by_hand():
    """b looks after a moved to 0.6: b -= 0.1 * 2 * 0.6 * 2 = 0.24; a pass each."""
    made, played = toy(Alternating)
    values = played.step([{"x": torch.ones(3).double()}])
    assert made.passes == 2
    torch.testing.assert_close(made.a.item(), 0.6)
    torch.testing.assert_close(made.b.item(), 1.76)
    torch.testing.assert_close(float(values["b/loss"]), 2.4)


class Game(nn.Module):
    """A model of one number a, and a critic of one number w outside of it."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(2.0).double())
        self.passes = self.inferred = 0

    def forward(self, batch, samples=None, branches=()):
        self.passes += 1
        return Trace(batch, {}, {"x": (self.a * batch["x"]).mean()})

    def infer(self, batch, samples=None, branches=()):
        self.inferred += 1
        return Trace(batch, {"z": (self.a * batch["x"]).mean()}, {})


class Weighed(nn.Module):
    """w times what the trace holds, and w squared."""

    def __init__(self, w, sign):
        super().__init__()
        self.w, self.sign = w, sign

    def forward(self, trace):
        seen = trace.observed.get("x", trace.latents.get("z"))
        return self.sign * self.w * seen + 0.5 * self.w.square()


def game(order, sizes=(3,), **critic):
    made, w = Game(), nn.Parameter(torch.tensor(1.0).double())
    players = {
        "critic": Player("critic", [w], Objective({"value": (1.0, Weighed(w, -1.0))}), sgd(0.5), **critic),
        "model": Player("model", [made.a], Objective({"value": (1.0, Weighed(w, 1.0))}), sgd(0.5)),
    }
    played = Alternating(made, [players[name] for name in order])
    played.step([{"x": torch.ones(n).double()} for n in sizes])
    return made, w


def test_a_pass_is_judged_again_where_only_a_critic_has_moved():
    """w <- w - 0.5 (w - a) = 1.5, then a <- a - 0.5 w = 1.25: one pass, judged with the moved critic."""
    made, w = game(("critic", "model"))
    assert (made.passes, made.inferred) == (1, 0)
    torch.testing.assert_close(w.item(), 1.5)
    torch.testing.assert_close(made.a.item(), 1.25)


def test_what_terms_share_of_a_pass_does_not_outlive_a_move():
    made, w = Game(), nn.Parameter(torch.tensor(1.0).double())

    class Shared(Weighed):
        def forward(self, trace):
            return once(trace, "judgement", super().forward)

    players = [
        Player("critic", [w], Objective({"value": (1.0, Shared(w, -1.0))}), sgd(0.5), times=2),
        Player("model", [made.a], Objective({"value": (1.0, Shared(w, -1.0))}), sgd(0.5)),
    ]
    Alternating(made, players).step([{"x": torch.ones(3).double()}])
    assert made.passes == 1
    torch.testing.assert_close(w.item(), 1.75)
    torch.testing.assert_close(made.a.item(), 2 + 0.5 * 1.75)


def test_a_pass_is_stale_once_the_model_has_moved():
    """a <- 2 - 0.5 = 1.5, then w <- w - 0.5 (w - a) = 1.25."""
    made, w = game(("model", "critic"))
    assert made.passes == 2
    torch.testing.assert_close(made.a.item(), 1.5)
    torch.testing.assert_close(w.item(), 1.25)


def test_a_player_moves_as_often_as_it_wants():
    """w: 1, 1.5, 1.75, 1.875, on one pass."""
    made, w = game(("critic", "model"), times=3)
    assert made.passes == 1
    torch.testing.assert_close(w.item(), 1.875)
    torch.testing.assert_close(made.a.item(), 2 - 0.5 * 1.875)


def test_nothing_is_decoded_for_who_does_not_look_at_it():
    made, w = game(("model", "critic"), observes=False)
    assert (made.passes, made.inferred) == (1, 1)
    torch.testing.assert_close(w.item(), 1.25)
    made, _ = game(("critic", "model"), observes=False)  # and a pass without it is no pass for the others
    assert (made.passes, made.inferred) == (1, 1)


def test_pieces_are_not_kept():
    """Holding the graphs of all pieces would undo what cutting the batch is for."""
    made, w = game(("critic", "model"), sizes=(1, 2), times=3)
    assert made.passes == 2 * 4
    torch.testing.assert_close(w.item(), 1.875)
    torch.testing.assert_close(made.a.item(), 2 - 0.5 * 1.875)


def test_one_parameter_has_one_owner_where_all_move_at_once():
    made = model()
    players = [
        Player("vae", [made], elbo(), sgd()),
        Player("encoder", [made.posteriors], elbo(), sgd()),
    ]
    with pytest.raises(ValueError, match=r"'vae' and 'encoder' both own a parameter .* or take Alternating"):
        Simultaneous(made, players)
    Alternating(made, players).step([{"x": bits()}])
    with pytest.raises(ValueError, match="'vae' has `times` 2; expected 1 where all move at once"):
        Simultaneous(made, [Player("vae", [made], elbo(), sgd(), times=2)])
    with pytest.raises(ValueError, match="`times` is 0; expected at least 1"):
        Player("vae", [made], elbo(), sgd(), times=0)


@pytest.mark.parametrize("procedure", [Simultaneous, Alternating])
@pytest.mark.parametrize("sizes", [(4, 4), (5, 3), (6, 1, 1)])
def test_pieces_are_the_whole_batch(procedure, sizes):
    x = bits(8)
    whole, parts = quiet(), quiet()
    values = two_players(whole, procedure).step([{"x": x}])
    pieces = two_players(parts, procedure).step([{"x": piece} for piece in x.split(sizes)])
    for key, value in state(whole).items():
        torch.testing.assert_close(state(parts)[key], value)
    assert set(values) == set(pieces)
    for key, value in values.items():
        torch.testing.assert_close(pieces[key], value)
    assert not torch.equal(
        state(whole)["likelihood.network.output_layer.bias"],
        state(quiet())["likelihood.network.output_layer.bias"],
    )


def test_values_are_means_per_datum_and_cut_off():
    made = quiet()
    values = Simultaneous(made, [Player("vae", [made], elbo(2.0), sgd(0.0))]).step([{"x": bits()}])
    assert set(values) == {"distortion", "rate", "loss"}
    torch.testing.assert_close(values["loss"], values["distortion"] + 2 * values["rate"])
    trace = made({"x": bits()})
    torch.testing.assert_close(values["rate"], Rate()(trace).mean().detach())
    assert not any(value.requires_grad for value in values.values())


@pytest.mark.parametrize("clip", [None, 0.01, 1e9])
def test_clipping_is_of_each_player(clip):
    made, plain = quiet(), quiet()
    trace = plain({"x": bits()})
    slopes = {
        "posteriors": torch.autograd.grad(
            Rate()(trace).mean(), list(plain.posteriors.parameters()), retain_graph=True
        ),
        "likelihood": torch.autograd.grad(Distortion()(trace).mean(), list(plain.likelihood.parameters())),
    }
    two_players(made, Simultaneous, rate=1.0).step([{"x": bits()}], Manner(clip=clip))
    for name, slope in slopes.items():
        norm = torch.cat([g.flatten() for g in slope]).norm()
        factor = 1.0 if clip is None else min(1.0, clip / float(norm))
        for new, old, g in zip(
            getattr(made, name).parameters(), getattr(plain, name).parameters(), slope, strict=True
        ):
            torch.testing.assert_close(new, old - factor * g, rtol=1e-4, atol=1e-7)


def test_pace_multiplies_the_learning_rate():
    made, plain = quiet(), quiet()
    pace = Steps([1.0, 0.25], boundaries=[1])
    player = Player("vae", [made], elbo(), sgd(0.2), pace)
    played = Simultaneous(made, [player])
    played.step([{"x": bits()}])
    assert player.optimizer.param_groups[0]["lr"] == 0.2
    middle = state(made)
    played.step([{"x": bits()}])
    assert player.optimizer.param_groups[0]["lr"] == 0.05
    assert float(pace.step) == 2
    plain.load_state_dict(middle)
    total = elbo()(plain({"x": bits()})).total
    for new, old, g in zip(
        made.parameters(),
        plain.parameters(),
        torch.autograd.grad(total, list(plain.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(new, old - 0.05 * g)


class Judge(Objective):
    """Counts how often it is asked."""

    def __init__(self, terms):
        super().__init__(terms)
        self.asked = 0

    def forward(self, trace):
        self.asked += 1
        return super().forward(trace)


def resting(made, procedure, objective):
    """The encoder moves in the first step alone, the decoder from the second on."""
    paces = [Steps([1.0, 0.0], [1]), Steps([0.0, 1.0], [1])]
    players = [
        Player("encoder", [made.posteriors], objective, lambda p: torch.optim.Adam(p, 0.1), paces[0]),
        Player("decoder", [made.likelihood], objective, lambda p: torch.optim.Adam(p, 0.1), paces[1]),
    ]
    return procedure(made, players)


@pytest.mark.parametrize("procedure", [Simultaneous, Alternating])
def test_a_player_whose_pace_is_zero_rests(procedure):
    made = quiet()
    played = resting(made, procedure, elbo())
    encoder, decoder = played.players
    for resting_one, moving in ((decoder, encoder), (encoder, decoder)):
        before = {id(p): p.detach().clone() for player in played.players for p in player.parameters}
        moments = str(resting_one.optimizer.state_dict()["state"])
        values = played.step([{"x": piece} for piece in bits().chunk(2)])
        assert all(torch.equal(p, before[id(p)]) for p in resting_one.parameters)
        assert all(p.grad is None for p in resting_one.parameters)
        assert str(resting_one.optimizer.state_dict()["state"]) == moments  # its optimiser stands still
        assert all(not torch.equal(p, before[id(p)]) for p in moving.parameters)
        assert {"encoder/loss", "decoder/loss"} <= set(values)  # the record has no holes
    torch.testing.assert_close(values["encoder/loss"], values["encoder/distortion"] + values["encoder/rate"])


def test_a_shared_objective_is_judged_once_and_moves_all_who_are_awake():
    terms = {"distortion": (1.0, Distortion()), "rate": (1.0, Rate())}
    together, alone = quiet(), quiet()
    shared = Judge(terms)
    players = [
        Player(n, [getattr(together, n)], shared, sgd()) for n in ("posteriors", "likelihood", "priors")
    ]
    values = Simultaneous(together, players).step([{"x": bits()}])
    assert shared.asked == 1
    one = Simultaneous(alone, [Player("vae", [alone], elbo(), sgd())]).step([{"x": bits()}])
    for key, value in state(alone).items():
        torch.testing.assert_close(state(together)[key], value)
    assert all(torch.equal(values[f"{player.name}/{key}"], one[key]) for player in players for key in one)
    made = quiet()
    before = state(made)
    resting(made, Simultaneous, Judge(terms)).step([{"x": bits()}])
    same = {key.split(".")[0] for key, value in state(made).items() if torch.equal(value, before[key])}
    assert same == {"likelihood", "priors"}


def test_what_players_share_is_saved_once():
    made, pace = quiet(), Steps([1.0], [])
    objective = elbo(Linear(0.0, 1.0, 10))
    players = [Player(n, [getattr(made, n)], objective, sgd(), pace) for n in ("posteriors", "likelihood")]
    system = System(made, Simultaneous(made, players))
    assert list(system.modules()) == ["model", "posteriors.objective", "posteriors.pace"]


class Counter(nn.Module):
    """Counts its steps, and how often it was called."""

    def __init__(self, wrapped=None):
        super().__init__()
        self.wrapped = wrapped
        self.steps = self.calls = 0

    def forward(self, *context):
        self.calls += 1
        return self.wrapped(*context)

    def after_step(self):
        self.steps += 1


@pytest.mark.parametrize("procedure", [Simultaneous, Alternating])
@pytest.mark.parametrize("pieces", [1, 3])
def test_after_step_is_called_once_on_everything(procedure, pieces):
    made = model()
    made.likelihood = Counter(made.likelihood)
    rate = Counter(Rate())
    beta, gamma, pace = Linear(0.0, 1.0, 10), Cyclical(0.0, 1.0, 4), Steps([1.0], [])
    shared = Objective({"distortion": (beta, Distortion()), "rate": (gamma, rate)})
    players = [
        Player("encoder", [made.posteriors], shared, sgd(), pace),
        Player("decoder", [made.likelihood], shared, sgd(), pace),
        Player("prior", [made.priors], Objective({"rate": (beta, rate)}), sgd()),
    ]
    played = procedure(made, players)
    for count in (1, 2):
        played.step([{"x": piece} for piece in bits(9).chunk(pieces)])
        assert made.likelihood.steps == rate.steps == count
        assert [float(schedule.step) for schedule in (beta, gamma, pace)] == [count] * 3
    assert rate.calls > 2


def test_after_step_is_not_called_by_evaluation():
    made = model()
    made.likelihood = Counter(made.likelihood)
    played = two_players(made, Simultaneous)
    played.trace({"x": bits()}, Manner())
    assert made.likelihood.steps == 0


def test_schedule_as_a_weight_moves_the_loss():
    made = quiet()
    played = Simultaneous(made, [Player("vae", [made], elbo(Linear(0.0, 2.0, 4)), sgd(0.0))])
    for step in range(6):
        values = played.step([{"x": bits()}])
        expected = values["distortion"] + min(2.0, 0.5 * step) * values["rate"]
        torch.testing.assert_close(values["loss"], expected)


def test_schedules_are_saved_with_the_objective():
    objective = elbo(Linear(0.0, 2.0, 4))
    schedule = next(module for module in objective.modules() if isinstance(module, Schedule))
    schedule.after_step()
    other = elbo(Linear(0.0, 2.0, 4))
    other.load_state_dict(objective.state_dict())
    assert float(next(module for module in other.modules() if isinstance(module, Schedule))()) == 0.5


def test_shared_parameters_count_once():
    made = model()
    player = Player("vae", [made, made.likelihood, next(made.parameters())], elbo(), sgd())
    assert len(player.parameters) == len(list(made.parameters()))


def test_samples_and_branches_reach_the_model():
    made = model()
    player = Player("vae", [made], elbo(), sgd())
    played = Simultaneous(made, [player], samples=3, branches=("prior", "draws"))
    trace = played.trace({"x": bits()}, Manner())
    assert trace.latents["z"].value.shape == (3, 8, 2)
    assert set(trace.branches) == {"prior", "draws"}
    assert trace.branches["prior"].latents["z"].value.shape == (3, 8, 2)
    assert trace.branches["draws"].latents["z"].value.shape == (3, 8, 2)
    assert not trace.branches["draws"].observed
    inferred = played.trace({"x": bits()}, Manner(), observes=False)
    assert inferred.axes == ("sample", "batch")
    assert not inferred.observed


def test_coupling_is_known():
    made = model()
    assert not Simultaneous(made, [Player("vae", [made], elbo(), sgd())]).couples_batch
    pooled = Flat(c.Gaussian(network(6), (2,)), c.StandardGaussian((2,)), c.OptimalGaussian(network(2), (6,)))
    assert Simultaneous(pooled, [Player("vae", [pooled], elbo(), sgd())]).couples_batch
    held = Objective({"distortion": (1.0, Distortion()), "capacity": (1.0, Capacity(1.0))})
    assert Simultaneous(made, [Player("vae", [made], held, sgd())]).couples_batch


def test_refusals():
    made = model()
    with pytest.raises(ValueError, match="'nobody' owns no parameter"):
        Player("nobody", [], elbo(), sgd())
    with pytest.raises(ValueError, match="owns no parameter"):
        Player("prior", [c.StandardGaussian((2,))], elbo(), sgd())
    for parameter in made.priors.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(ValueError, match="owns no parameter"):
        Player("prior", [made.priors], elbo(), sgd())
    with pytest.raises(ValueError, match="at least one player"):
        Simultaneous(made, [])
    with pytest.raises(ValueError, match="samples"):
        Simultaneous(made, [Player("vae", [made], elbo(), sgd())], samples=0)
    with pytest.raises(ValueError, match="at least one term"):
        Objective({})


@pytest.mark.parametrize(
    "make",
    [
        lambda: Linear(0.0, 1.0, 0),
        lambda: Cyclical(0.0, 1.0, 0),
        lambda: Cyclical(0.0, 1.0, 4, share=0.0),
        lambda: Steps([1.0], [3]),
        lambda: Steps([1.0, 2.0, 3.0], [5, 3]),
    ],
)
def test_schedule_refusals(make):
    with pytest.raises(ValueError, match="expected"):
        make()
