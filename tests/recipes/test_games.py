"""Games: who moves by which loss, and by the gradient that is worked out by hand, with its sign."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch.nn import functional

from vaekit import recipes
from vaekit.data.batch import Splits
from vaekit.errors import UnsupportedError
from vaekit.procedures import Alternating, Manner, Simultaneous
from vaekit.trainer import Fit, Training

EXACT = {"rtol": 1e-10, "atol": 1e-12}

ROUTES = {
    "factor_vae": {"vae": {"encoder", "decoder"}, "critic": {"critic"}},
    "adversarial_autoencoder": {
        "autoencoder": {"encoder", "decoder"}, "critic": {"critic"}, "encoder": {"encoder"},
    },
    "nash_ae": {"regressors": {"critic"}, "autoencoder": {"encoder", "decoder"}},
}  # fmt: skip
"""Player -> the networks that its loss moves. On all others it leaves exactly nothing."""


def networks(system):
    """Parameters of encoder, decoder, and of what judges them."""
    model = system.model
    inside = {id(parameter) for parameter in model.parameters()}
    owned = [p for player in system.procedure.players for p in player.parameters]
    outside = {id(p): p for p in owned if id(p) not in inside}
    return {
        "encoder": list(model.posteriors.parameters()),
        "decoder": list(model.likelihood.parameters()),
        "critic": list(outside.values()),
    }


def descend(system, rates=None):
    """The same system with plain gradient descent: parameters move by their gradient, or not at all."""
    system = copy.deepcopy(system)
    for player in system.procedure.players:
        rate = 1.0 if rates is None else rates.get(player.name, 0.0)
        player.optimizer = torch.optim.SGD(player.parameters, lr=rate)
    return system


def taken(values):
    return [value.detach().clone() for value in values]


@pytest.fixture
def game(spec, batch_of, small):
    def make(name, **arguments):
        torch.manual_seed(1)
        here = spec()
        return getattr(recipes, name)(here, **small[name] | arguments), batch_of(here)

    return make


def test_every_game_is_here(small, spec, fitting):
    """A recipe with a critic of its own has its routes in the table or in a file that names it."""
    for name, routes in ROUTES.items():
        system = getattr(recipes, name)(fitting(name), **small[name])
        assert [player.name for player in system.procedure.players] == list(routes)
        assert system.monitor == "last"


@pytest.mark.parametrize(("name", "player"), [(n, p) for n, routes in ROUTES.items() for p in routes])
def test_routes_are_exact_zeros(name, player, game):
    system, batch = game(name)
    procedure = system.procedure
    judge = next(each for each in procedure.players if each.name == player)
    torch.manual_seed(5)
    procedure.judge(judge, procedure.trace(batch, Manner()), 1.0, False)
    for network, parameters in networks(system).items():
        if network in ROUTES[name][player]:
            assert all(p.grad is not None for p in parameters), network
            assert any(p.grad.abs().sum() > 0 for p in parameters), network
        else:
            assert all(p.grad is None for p in parameters), network
    alone = descend(system, {player: 1.0})
    before = {network: taken(parameters) for network, parameters in networks(alone).items()}
    alone.procedure.step([batch])
    for network, parameters in networks(alone).items():
        still = all(torch.equal(a, b) for a, b in zip(before[network], parameters, strict=True))
        assert still == (network not in ROUTES[name][player]), network


# -- what the losses are, by hand ---------------------------------------------------------------------------


def encode(system, x):
    """Mean and ln s, or the code."""
    network = system.model.posteriors[0].network
    return network(x)


def distortion(system, z, x):
    p = system.model.likelihood.network(z).sigmoid()
    return -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1).mean()


def critic_of(system, slope):
    """The critic as bare products of its weights."""
    weights = networks(system)["critic"]

    def critic(z):
        layers = list(zip(weights[::2], weights[1::2], strict=True))
        for weight, bias in layers[:-1]:
            z = z @ weight.T + bias
            z = torch.where(z > 0, z, slope * z)
        return z @ layers[-1][0].T + layers[-1][1]

    return critic


def predictors_of(system):
    """A loop over latents, each of which is masked by a product."""
    parameters = networks(system)["critic"]
    weights, biases = parameters[: len(parameters) // 2], parameters[len(parameters) // 2 :]

    def predict(z):
        found = []
        for i in range(z.shape[1]):
            h = z * (torch.arange(z.shape[1]) != i)
            for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
                h = h @ weight[i] + bias[i]
                h = functional.selu(h) if number < len(weights) - 1 else h
            found.append(h)
        return torch.cat(found, 1)

    return predict


def move(loss, parameters):
    """One step of gradient descent at rate 1, by hand."""
    slopes = torch.autograd.grad(loss, parameters, retain_graph=True)
    with torch.no_grad():
        for parameter, slope in zip(parameters, slopes, strict=True):
            parameter.sub_(slope)


def same(ours, hand):
    for network, parameters in networks(ours).items():
        for a, b in zip(parameters, networks(hand)[network], strict=True):
            torch.testing.assert_close(a, b, **EXACT)


@pytest.mark.parametrize("gamma", [0.0, 5.0])
@pytest.mark.parametrize("rows", [12, 5, 1])
def test_factor_vae_by_hand(game, gamma, rows):
    """Both gradients at one point, on one draw; the critic's codes are halves, one of them permuted."""
    system, batch = game("factor_vae", gamma=gamma)
    x = batch["x"][:rows]
    ours, hand = descend(system), copy.deepcopy(system)
    torch.manual_seed(5)
    said = ours.procedure.step([{"x": x}])

    torch.manual_seed(5)
    mean, log_std = encode(hand, x).chunk(2, -1)
    z = mean + log_std.exp() * torch.randn(rows, 3)
    rate = 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(1).mean()
    critic = critic_of(hand, 0.2)
    logits = critic(z).log_softmax(1)
    correlation = (logits[:, 0] - logits[:, 1]).mean()
    loss = distortion(hand, z, x) + rate + gamma * correlation  # plus: the VAE makes it small
    half = (rows + 1) // 2
    second = z[half:] if rows > 1 else z
    order = torch.rand(second.shape).argsort(0)
    permuted = torch.stack([second[:, j][order[:, j]] for j in range(3)], 1)
    real = functional.cross_entropy(critic(z[:half].detach()), torch.zeros(half).long())
    fake = functional.cross_entropy(critic(permuted.detach()), torch.ones(len(second)).long())
    own = networks(hand)
    slopes = torch.autograd.grad(loss, own["encoder"] + own["decoder"], retain_graph=True)
    move(0.5 * (real + fake), own["critic"])
    with torch.no_grad():
        for parameter, slope in zip(own["encoder"] + own["decoder"], slopes, strict=True):
            parameter.sub_(slope)
    same(ours, hand)
    assert said["vae/total_correlation"].item() == pytest.approx(correlation.item())
    assert said["vae/loss"].item() == pytest.approx(loss.item())
    assert said["critic/cross_entropy"].item() == pytest.approx((0.5 * (real + fake)).item())


@pytest.mark.parametrize("encoder", ["deterministic", "gaussian"])
@pytest.mark.parametrize("rows", [12, 1])
def test_adversarial_autoencoder_by_hand(game, encoder, rows):
    """Three updates, each after the one before: reconstruct, then critic and encoder on fresh codes."""
    system, batch = game("adversarial_autoencoder", encoder=encoder)
    x = batch["x"][:rows]
    ours, hand = descend(system), copy.deepcopy(system)
    torch.manual_seed(5)
    ours.procedure.step([{"x": x}])

    own, critic = networks(hand), critic_of(hand, 0.0)

    def draw():
        found = encode(hand, x)
        if encoder == "gaussian":
            mean, log_std = found.chunk(2, -1)
            found = mean + log_std.exp() * torch.randn(rows, 3)
        return found, torch.randn(rows, 3)

    torch.manual_seed(5)
    z, _ = draw()
    move(distortion(hand, z, x), own["encoder"] + own["decoder"])
    z, prior = draw()
    ones, zeros = torch.ones(rows, 1), torch.zeros(rows, 1)
    bce = functional.binary_cross_entropy_with_logits
    move(0.5 * (bce(critic(prior), ones) + bce(critic(z.detach()), zeros)), own["critic"])
    move(bce(critic(z), ones), own["encoder"])  # towards "real": towards the prior
    same(ours, hand)


@pytest.mark.parametrize("likelihood", ["point", "bernoulli"])
@pytest.mark.parametrize("weight", [0.0, 0.3])
@pytest.mark.parametrize("rows", [12, 1])
def test_nash_ae_by_hand(game, likelihood, weight, rows):
    """Two rounds of regression on one set of codes, then the autoencoder against who moved."""
    system, batch = game("nash_ae", lambda_covariance=weight, likelihood=likelihood, rounds=2)
    x = batch["x"][:rows]
    ours, hand = descend(system), copy.deepcopy(system)
    torch.manual_seed(5)
    said = ours.procedure.step([{"x": x}])

    own, predict = networks(hand), predictors_of(hand)
    z = encode(hand, x).sigmoid()
    for _ in range(2):
        error = 0.5 * (predict(z.detach()) - z.detach()).square().mean()
        move(error, own["critic"])
    target, guess = z.detach(), predict(z)
    covariance = ((target * guess).mean(0) - target.mean(0) * guess.mean(0)).sum()
    cost = 0.5 * (hand.model.likelihood.network(z) - x).square().sum((1, 2, 3)).mean()
    if likelihood == "bernoulli":
        cost = distortion(hand, z, x)
    loss = (1 - weight) * cost / 16 + weight * covariance
    move(loss, own["encoder"] + own["decoder"])
    same(ours, hand)
    assert said["regressors/loss"].item() == pytest.approx(error.item())  # of the last round
    assert said["autoencoder/covariance"].item() == pytest.approx(covariance.item(), abs=1e-12)
    assert said["autoencoder/loss"].item() == pytest.approx(loss.item())


# -- what is said of play, and what is refused --------------------------------------------------------------


def test_how_they_play(game):
    assert isinstance(game("factor_vae")[0].procedure, Simultaneous)
    assert isinstance(game("adversarial_autoencoder")[0].procedure, Alternating)
    assert isinstance(game("nash_ae")[0].procedure, Alternating)


def test_the_critic_of_factor_vae_is_the_papers(spec):
    system = recipes.factor_vae(spec(shape=(1, 64, 64), size=737_280))
    sizes = [tuple(p.shape) for p in networks(system)["critic"]]
    assert sizes == [(1000, 10), (1000,), *[(1000, 1000), (1000,)] * 5, (2, 1000), (2,)]
    critic = system.procedure.players[1].optimizer.defaults
    assert (critic["lr"], critic["betas"]) == (1e-4, (0.5, 0.9))
    assert (system.batch_size, system.epochs) == (128, 6)


def test_passes_are_no_more_than_the_game_needs(game):
    """The critic's move leaves the model as it was; only the reconstruction and the regression decode."""
    for name, encodings, decodings in (
        ("factor_vae", 1, 1), ("adversarial_autoencoder", 2, 1), ("nash_ae", 1, 1),
    ):  # fmt: skip
        system, batch = game(name)
        counts = {"encoder": 0, "decoder": 0}

        def count(key, counts=counts):
            def hook(*_):
                counts[key] += 1

            return hook

        system.model.posteriors[0].register_forward_hook(count("encoder"))
        system.model.likelihood.register_forward_hook(count("decoder"))
        system.procedure.step([batch])
        assert counts == {"encoder": encodings, "decoder": decodings}, name


def test_a_critic_is_saved_once(game):
    for name in ROUTES:
        system, _ = game(name)
        keys = [
            key
            for root, module in system.modules().items()
            if root != "model"
            for key, _ in module.named_parameters()
        ]
        assert len(keys) == len(networks(system)["critic"]), name


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "message"),
    [
        ("factor_vae", {"gamma": -1.0}, ValueError, "`gamma` is -1.0; expected a finite number at least 0"),
        ("factor_vae", {"gamma": math.nan}, ValueError, "`gamma` is nan"),
        ("factor_vae", {"latents": 1}, ValueError, "`latents` is 1; expected at least 2"),
        ("factor_vae", {"critic": 1000}, TypeError, "`critic` is 1000; expected one number for every layer"),
        ("factor_vae", {"critic": (5, 0)}, ValueError, r"`critic\[1\]` is 0"),
        ("factor_vae", {"critic_learning_rate": 0.0}, ValueError, "`critic_learning_rate` is 0.0"),
        ("adversarial_autoencoder", {"encoder": "full"}, ValueError, "expected one of deterministic"),
        ("adversarial_autoencoder", {"prior": "learned"}, ValueError, "expected one of standard, mixture"),
        ("adversarial_autoencoder", {"prior": "mixture", "latents": 1}, ValueError, "`latents` is 1"),
        ("adversarial_autoencoder", {"latents": 0}, ValueError, "`latents` is 0"),
        ("adversarial_autoencoder", {"critic": (0,)}, ValueError, r"`critic\[0\]` is 0"),
        ("nash_ae", {"lambda_covariance": -0.1}, ValueError, "`lambda_covariance` is -0.1"),
        ("nash_ae", {"lambda_covariance": 1.5}, ValueError, "`lambda_covariance` is 1.5"),
        ("nash_ae", {"latents": 1}, ValueError, "`latents` is 1; expected at least 2"),
        ("nash_ae", {"rounds": 0}, ValueError, "`rounds` is 0; expected at least 1"),
        ("nash_ae", {"regressors": (0,)}, ValueError, r"`regressors\[0\]` is 0"),
    ],
)
def test_values_are_refused(name, arguments, kind, message, spec):
    with pytest.raises(kind, match=message):
        getattr(recipes, name)(spec(), **arguments)


@pytest.mark.parametrize(("name", "least"), [("factor_vae", 4), ("nash_ae", 2)])
def test_batches_without_others_to_compare_with_are_refused(name, least, game):
    system, _ = game(name)
    assert system.least_batch == least

    class Twenty:
        def __len__(self):
            return 20

    splits = Splits(Twenty(), Twenty(), Twenty())
    with pytest.raises(UnsupportedError, match=f"a batch of {least - 1} is too small"):
        Fit(system, splits, Training(epochs=1, batch_size=least - 1), lambda *_: None)
    with pytest.raises(UnsupportedError, match="couples the data"):
        Fit(system, splits, Training(epochs=1, batch_size=10, accumulate=2), lambda *_: None)
    Fit(system, splits, Training(epochs=1, batch_size=least), lambda *_: None)


def test_an_adversarial_autoencoder_can_be_accumulated(game):
    system, _ = game("adversarial_autoencoder")
    assert not system.procedure.couples_batch


@pytest.mark.parametrize("name", ROUTES)
def test_passes_and_losses_run_as_one_graph(name, game):
    system, batch = game(name)
    procedure = system.procedure

    def losses(x):
        trace = procedure.trace({"x": x}, Manner())
        return [player.objective(trace).total for player in procedure.players]

    torch.manual_seed(5)
    expected = losses(batch["x"])
    torch._dynamo.reset()
    compiled = torch.compile(losses, fullgraph=True, backend="eager")
    torch.manual_seed(5)
    for ours, theirs in zip(compiled(batch["x"]), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
