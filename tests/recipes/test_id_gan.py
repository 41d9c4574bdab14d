"""ID-GAN: the game by hand, its routes, an encoder that does not move, and the stage that inherits it."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from vaekit import recipes
from vaekit.conditionals import Frozen, Gaussian
from vaekit.distributions import DiagonalNormal, PointMass
from vaekit.errors import UnsupportedError
from vaekit.networks.batch_norm import BatchNorm
from vaekit.procedures import Manner
from vaekit.terms import Acceptance, Deception, Recognition, Rejection, SquaredSlope
from vaekit.trace import Latent, Observed, Trace

EXACT = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture
def game(spec, batch_of):
    def make(**arguments):
        torch.manual_seed(1)
        here = spec("unit")
        small = {"latents": 3, "hidden": (8,), "information": 0.3, "penalty": 0.7}
        return recipes.id_gan_generator(here, **small | arguments), batch_of(here)

    return make


def parts(system):
    critic = system.procedure.players[0].objective.terms["real"][1].critic
    model = system.model
    return {"encoder": model.posteriors[0], "generator": model.likelihood, "critic": critic}


def seen(x, made=None, z=None, q=None):
    """A trace of data, pictures and codes."""
    batch, latents = {"x": x}, {} if z is None else {"z": Latent(z, q, q)}
    observed = {} if made is None else {"x": Observed(x, PointMass(made, x.dim() - 1))}
    return Trace(batch, latents, observed)


# -- terms against closed forms -----------------------------------------------------------------------------


def test_the_slope_of_a_linear_critic_is_its_weights():
    """l(x) = w x + b: |dl/dx|^2 = |w|^2 for every x; weighed by r it is r |w|^2."""
    critic = nn.Sequential(nn.Flatten(), nn.Linear(16, 1)).double()
    x = torch.randn(5, 1, 4, 4)
    w = critic[1].weight
    values = SquaredSlope(critic)(seen(x))
    torch.testing.assert_close(values, w.square().sum().expand(5), **EXACT)
    (slope,) = torch.autograd.grad(10 * values.mean(), w)
    torch.testing.assert_close(slope, 20 * w.detach(), **EXACT)
    assert SquaredSlope(critic)(seen(x)).requires_grad
    with torch.no_grad():  # as held-out data are judged
        torch.testing.assert_close(SquaredSlope(critic)(seen(x)), values.detach(), **EXACT)


def test_the_slope_of_two_logits_is_that_of_their_difference():
    """l = 1/2 |x|^2 - sum x: dl/dx = x - 1."""

    class Pair(nn.Module):
        def forward(self, x):
            return torch.stack([0.5 * x.square().sum(-1), x.sum(-1)], -1)

    x = torch.randn(4, 3)
    torch.testing.assert_close(SquaredSlope(Pair())(seen(x)), (x - 1).square().sum(1), **EXACT)


def test_costs_of_the_critic_and_its_opponent():
    critic = nn.Linear(1, 1).double()
    with torch.no_grad():
        critic.weight.fill_(2.0)
        critic.bias.fill_(-0.5)
    trace = seen(torch.tensor([[1.0], [-1.0]]), torch.tensor([[0.25], [3.0]]))
    real, fake = torch.tensor([1.5, -2.5]).sigmoid(), torch.tensor([0.0, 5.5]).sigmoid()
    torch.testing.assert_close(Acceptance(critic)(trace), -real.log(), **EXACT)
    torch.testing.assert_close(Rejection(critic)(trace), -(1 - fake).log(), **EXACT)
    assert Rejection(critic)(trace)[0].item() == pytest.approx(math.log(2))


def test_recognition_is_the_negative_log_density_of_the_code():
    """1/2 sum_j [ln 2pi + ln s^2 + (c - mu)^2 / s^2] with mu, s of the picture, and its gradient there."""
    encoder = Gaussian(lambda _: nn.Linear(2, 6).double(), (3,))
    made, c = torch.randn(4, 2, requires_grad=True), torch.randn(4, 3)
    q = DiagonalNormal(c, torch.zeros_like(c))
    values = Recognition(encoder)(seen(torch.zeros(4, 2), made, c, q))
    mean, log_std = encoder.network(made).chunk(2, -1)
    squares = (c - mean) ** 2 / (2 * log_std).exp()
    expected = 0.5 * (math.log(2 * math.pi) + 2 * log_std + squares).sum(1)
    torch.testing.assert_close(values, expected, **EXACT)
    torch.testing.assert_close(values, -encoder(made).log_prob(c), **EXACT)
    slopes = [torch.autograd.grad(v.sum(), made, retain_graph=True)[0] for v in (values, expected)]
    torch.testing.assert_close(*slopes, **EXACT)
    assert slopes[0].abs().sum() > 0


def test_a_critic_that_normalises_over_the_batch_is_refused():
    with pytest.raises(UnsupportedError, match="BatchNorm, which couples the batch"):
        Acceptance(nn.Sequential(nn.Linear(3, 4), BatchNorm(4), nn.Linear(4, 1)))


# -- the game -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("player", "moved"), [(0, "critic"), (1, "generator")])
@pytest.mark.parametrize("nuisance", [0, 2])
def test_routes_are_exact_zeros(game, player, moved, nuisance):
    system, batch = game(nuisance=nuisance)
    procedure = system.procedure
    torch.manual_seed(5)
    procedure.judge(procedure.players[player], procedure.trace(batch, Manner()), 1.0, False)
    for name, part in parts(system).items():
        gradients = [p.grad for p in part.parameters()]
        if name == moved:
            assert all(g is not None and g.abs().sum() > 0 for g in gradients)
        else:
            assert all(g is None for g in gradients), name
    assert not any(p.requires_grad for p in parts(system)["encoder"].parameters())


@pytest.mark.parametrize("rows", [12, 1])
@pytest.mark.parametrize("nuisance", [0, 2])
def test_a_step_by_hand(game, rows, nuisance):
    """D at (c, s), then G by what D has become, at the same (c, s)."""
    system, batch = game(nuisance=nuisance)
    x = batch["x"][:rows]
    hand = copy.deepcopy(system)
    for player in system.procedure.players:
        player.optimizer = torch.optim.SGD(player.parameters, lr=1.0)
    torch.manual_seed(5)
    said = system.procedure.step([{"x": x}])

    own = parts(hand)
    critic, network = own["critic"], own["generator"].network
    torch.manual_seed(5)
    encode = own["encoder"].conditional.network
    mean, log_std = encode(x).chunk(2, -1)
    c = (mean + log_std.exp() * torch.randn(rows, 3)).detach()
    given = (c, torch.randn(rows, nuisance)) if nuisance else (c,)
    made = network(*given).sigmoid()
    data = x.clone().requires_grad_()
    real, fake = critic(data).squeeze(1), critic(made.detach()).squeeze(1)
    (slope,) = torch.autograd.grad(real.sum(), data, create_graph=True)
    penalty = slope.square().sum((1, 2, 3)).mean()
    costs = functional.softplus(-real).mean(), functional.softplus(fake).mean()
    loss = costs[0] + costs[1] + 0.7 * penalty
    move(loss, list(critic.parameters()))
    deceit = functional.softplus(-critic(made)).mean()
    again, log_std = encode(made).chunk(2, -1)
    known = 0.5 * (math.log(2 * math.pi) + 2 * log_std + (c - again) ** 2 / (2 * log_std).exp())
    move(deceit + 0.3 * known.sum(1).mean(), list(network.parameters()))
    for name, part in parts(system).items():
        for ours, theirs in zip(part.parameters(), own[name].parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, **EXACT)
    values = {
        "critic/real": costs[0], "critic/fake": costs[1], "critic/slope": penalty, "critic/loss": loss,
        "generator/deception": deceit, "generator/information": known.sum(1).mean(),
    }  # fmt: skip
    for key, value in values.items():
        assert said[key].item() == pytest.approx(value.item()), key


def move(loss, parameters):
    slopes = torch.autograd.grad(loss, parameters, retain_graph=True)
    with torch.no_grad():
        for parameter, slope in zip(parameters, slopes, strict=True):
            parameter.sub_(slope)


def test_steps_leave_the_encoder_bit_for_bit(game):
    system, batch = game()
    before = {k: v.clone() for k, v in system.model.posteriors.state_dict().items()}
    generator = [p.detach().clone() for p in system.model.likelihood.parameters()]
    for _ in range(5):
        system.procedure.step([batch])
    after = system.model.posteriors.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert not any(
        torch.equal(a, b) for a, b in zip(generator, system.model.likelihood.parameters(), strict=True)
    )


def test_a_frozen_conditional_stays_in_eval_mode():
    """With normalisation the averages of its training count, and do not move."""
    inner = nn.Sequential(nn.Linear(3, 4), BatchNorm(4), nn.Linear(4, 4)).double()
    x = torch.randn(6, 3)
    for _ in range(3):
        inner(x)
        inner[1].after_step()
    frozen = Frozen(Gaussian(lambda _: inner, (2,)))
    before = {k: v.clone() for k, v in frozen.state_dict().items()}
    whole = frozen.train()(x).mean
    assert not any(part.training for part in frozen.modules())
    torch.testing.assert_close(frozen(x[:1]).mean, whole[:1])  # no datum sees another
    inner[1].after_step()
    assert all(torch.equal(before[k], v) for k, v in frozen.state_dict().items())
    assert not any(p.requires_grad for p in frozen.parameters())


def test_the_generator_encodes_as_the_frozen_encoder_and_decodes_by_itself(game):
    system, batch = game(nuisance=2)
    model = system.model.eval()
    codes = model.encode(batch)
    assert torch.equal(codes["z1"], model.posteriors[0].conditional(batch["x"]).mean)
    assert torch.equal(codes["z2"], torch.zeros(12, 2))
    assert model.encode(batch, sample=True)["z2"].std() > 0.5
    made = model.decode(codes).mean
    assert made.shape == batch["x"].shape
    assert ((made > 0) & (made < 1)).all()
    with pytest.raises(UnsupportedError):
        model.decode(codes).log_prob(batch["x"])


def test_what_id_gan_does_not_take(spec):
    with pytest.raises(UnsupportedError, match="context"):
        recipes.id_gan(spec("unit", context=True))
    with pytest.raises(UnsupportedError, match="count"):
        recipes.id_gan(spec("count"))
    for name in ("information", "penalty"):
        with pytest.raises(ValueError, match=name):
            recipes.id_gan_generator(spec("unit"), **{name: -1.0})
    with pytest.raises(ValueError, match="nuisance"):
        recipes.id_gan_generator(spec("unit"), nuisance=-1)


def test_a_critic_looks_at_the_data_once_a_move(game):
    """Cross-entropy and slope share the pass; the generator's move does not look at the data."""
    system, batch = game()
    critic, rows = parts(system)["critic"], []
    critic.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    system.procedure.step([batch])
    assert rows == [12, 12, 12]  # data, imitations, imitations again
    assert isinstance(system.procedure.players[1].objective.terms["deception"][1], Deception)
