"""What a latent is told by known parameters: values by hand, who hears of it, and how often it counts."""

from __future__ import annotations

import math

import pytest
import torch

from vaekit import conditionals as c
from vaekit import recipes, wiring
from vaekit.data import ArrayData, Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Chain, Flat
from vaekit.networks import MLP
from vaekit.procedures import Manner
from vaekit.system import recipe
from vaekit.terms import Told, ToldDecoder
from vaekit.testing import check_recipe, check_term
from vaekit.validation import validate

ROWS, PIXELS = 6, 5
SPEC = Spec("toy", (PIXELS,), "real", 20, theta=("a", "b"), labelled=8)


pytestmark = pytest.mark.usefixtures("double")


def network(*inputs):
    return lambda output: MLP([(n,) for n in inputs], output, hidden=(6,), activation="tanh")


def flat(latents=3, posterior=c.Gaussian):
    return Flat(
        posterior(network(PIXELS), (latents,)),
        c.StandardGaussian((latents,)),
        c.SharedGaussian(network(latents), (PIXELS,)),
    )


def chain():
    return Chain(
        [c.Gaussian(network(PIXELS), (3,)), c.Gaussian(network(3), (2,))],
        [c.Gaussian(network(2), (3,)), c.StandardGaussian((2,))],
        c.SharedGaussian(network(3), (PIXELS,)),
    )


def batch(told=(0, 3, 4)):
    theta = torch.full((ROWS, 2), torch.nan)
    theta[list(told)] = torch.randn(len(told), 2)
    return {"x": torch.randn(ROWS, PIXELS), "theta": theta}


@pytest.mark.parametrize("samples", [None, 4])
@pytest.mark.parametrize("make", [flat, chain])
def test_values_by_hand_and_zero_where_nothing_is_known(make, samples):
    data = batch()
    trace = make()(data, samples)
    q = next(iter(trace.latents.values())).q
    squared, density = Told()(trace).detach(), Told("density")(trace).detach()
    for row in range(ROWS):
        if row not in (0, 3, 4):
            assert squared[row] == density[row] == 0
            continue
        away = q.mean[row, :2] - data["theta"][row]
        assert squared[row] == pytest.approx(away.square().sum().item())
        log_std = q.log_std[row, :2]
        by_hand = (0.5 * (away / log_std.exp()) ** 2 + log_std + 0.5 * math.log(2 * math.pi)).sum()
        assert density[row] == pytest.approx(by_hand.item())
    for term in (Told(), Told("density")):
        check_term(term, trace)


def test_other_posteriors_are_told_as_a_whole():
    data = batch()
    trace = flat(2, c.CholeskyGaussian)(data)
    theta = data["theta"].nan_to_num()
    expected = torch.where(data["theta"][:, 0].isnan(), 0, -trace.latents["z"].q.log_prob(theta))
    torch.testing.assert_close(Told("density")(trace), expected)
    with pytest.raises(
        UnsupportedError, match="of 2 of 3 latents needs a diagonal Gaussian; got CholeskyNormal"
    ):
        Told("density")(flat(3, c.CholeskyGaussian)(data))
    with pytest.raises(
        UnsupportedError, match=r"latent 'z' has shape \(1,\); expected a vector of 2 or more"
    ):
        Told()(flat(1)(data))
    with pytest.raises(ValueError, match="`closeness` is 'near'"):
        Told("near")


def test_a_batch_without_parameters_is_told_nothing():
    trace = flat()({"x": torch.randn(ROWS, PIXELS)})
    for term in (Told(), Told("density"), ToldDecoder(flat(2).decode)):
        assert torch.equal(term(trace), torch.zeros(ROWS))


def test_the_decoder_is_told_at_the_parameters():
    data, model = batch(), flat(2)
    trace = model(data)
    found = ToldDecoder(model.decode)(trace).detach()
    theta = data["theta"][3]
    p = model.likelihood(theta)
    assert found[3] == pytest.approx(-p.log_prob(data["x"][3]).item())
    assert torch.equal(found == 0, data["theta"][:, 0].isnan())
    check_term(ToldDecoder(model.decode), trace)


def test_gradients_are_finite_and_reach_the_encoder_or_the_decoder_alone():
    model = flat(2)
    trace = model(batch())
    encoder, decoder = list(model.posteriors.parameters()), list(model.likelihood.parameters())
    for term, reached, spared in (
        (Told(), encoder, decoder), (Told("density"), encoder, decoder),
        (ToldDecoder(model.decode), decoder, encoder),
    ):  # fmt: skip
        value = term(trace).sum()
        slopes = torch.autograd.grad(value, reached, retain_graph=True)
        assert all(slope.isfinite().all() and slope.any() for slope in slopes)
        others = torch.autograd.grad(value, spared, retain_graph=True, allow_unused=True)
        assert all(slope is None for slope in others)


def test_known_data_count_by_their_share_whatever_the_batch():
    """alpha N / N_l times the mean over a batch with the ratio of the set: alpha times that of known data."""
    terms = wiring.known_parameters(SPEC, flat(), 3.0, decoder=0.0)
    assert terms["told"][0] == 3.0 * 20 / 8
    whole = Spec("toy", (PIXELS,), "real", 20, theta=("a", "b"))
    assert wiring.known_parameters(whole, flat(), 3.0)["told"][0] == 3.0
    both = wiring.known_parameters(SPEC, flat(2), 3.0, "density", 0.5)
    assert (both["told_decoder"][0], both["told"][1].closeness) == (0.5 * 20 / 8, "density")


# --- any system ---


def labelled(name, alpha=2.0, closeness="squared", decoder=0.0, **arguments):
    @recipe
    def told(spec):
        system = getattr(recipes, name)(spec, hidden=(6,), **arguments)
        return wiring.supervised(system, spec, alpha, closeness, decoder)

    return told


@pytest.mark.parametrize(
    "name", ["vae", "beta_tcvae", "factor_vae", "iwae", "adversarial_autoencoder", "nash_ae", "hvae"]
)
def test_any_recipe_with_a_posterior_can_be_told(name):
    size = (3, 2) if name == "hvae" else 3
    more = {"likelihood": "gaussian"} if name in ("adversarial_autoencoder", "nash_ae") else {}
    more |= {"gradient": "dreg", "samples": 3} if name == "iwae" else {}
    build = labelled(name, latents=size, **more)
    assert check_recipe(build, SPEC, knobs=()) == set()
    torch.manual_seed(1)
    told = build(SPEC)
    torch.manual_seed(1)
    plain = getattr(recipes, name)(SPEC, hidden=(6,), latents=size, **more)
    data = batch()
    torch.manual_seed(2)
    mine = told.procedure.trace(data, Manner())
    torch.manual_seed(2)
    theirs = plain.procedure.trace(data, Manner())
    added = []
    for one, other in zip(told.procedure.players, plain.procedure.players, strict=True):
        torch.manual_seed(3)
        total, values = one.objective(mine)
        torch.manual_seed(3)
        before = other.objective(theirs).total
        if "told" in values:
            added.append(one.name)
            _, term = one.objective.terms["told"]
            torch.testing.assert_close(total, before + 2.0 * 20 / 8 * term(mine).mean())
        else:
            torch.testing.assert_close(total, before)
    assert len(added) >= 1
    assert added != ["critic"]


def test_held_out_data_are_judged_as_if_nothing_were_known():
    system = labelled("vae", latents=3)(SPEC)
    system.model.double()
    data = batch(range(ROWS))
    held_out = ArrayData(SPEC, data["x"], theta=data["theta"])
    hidden = ArrayData(SPEC, data["x"], theta=torch.full((ROWS, 2), torch.nan))
    system.model.float()
    assert validate(system, held_out, 3) == validate(system, hidden, 3)
    assert validate(system, held_out, 3)["told"] == 0


def test_few_known_data_turn_the_axes_of_a_linear_world():
    """x = A theta + noise: without labels the axes are any rotation, with six of them those of theta."""
    mixing = torch.randn(PIXELS, 2)
    theta = torch.randn(200, 2)
    x = theta @ mixing.T + 0.05 * torch.randn(200, PIXELS)
    known = theta.clone()
    known[6:] = torch.nan
    spec = Spec("line", (PIXELS,), "real", 200, theta=("a", "b"), labelled=6)
    off = {}
    for alpha in (0.0, 20.0):
        torch.manual_seed(1)
        plain = recipes.vae(spec, latents=2, hidden=(), learning_rate=1e-2)
        system = wiring.supervised(plain, spec, alpha) if alpha else plain
        for _ in range(250):
            system.procedure.step([{"x": x, "theta": known}])
        codes = system.model.encode({"x": x})["z"]
        table = torch.corrcoef(torch.cat([codes, theta], 1).T)[:2, 2:]
        off[alpha] = float(table.flip(1).diagonal().abs().max())
    assert off[20.0] < 0.2 < off[0.0]


REFUSED = [
    (Spec("none", (PIXELS,), "real", 20), {}, "'none' knows no parameters theta"),
    (Spec("few", (PIXELS,), "real", 20, theta=("a",), labelled=0), {}, "theta of none of the training data"),
    (SPEC, {"latents": 1}, "`latents` is 1, but 'toy' has 2 parameters"),
    (SPEC, {"latents": 3, "decoder": 1.0}, "`latents` is 3, but 'toy' has 2 parameters"),
]


@pytest.mark.parametrize(("spec", "arguments", "words"), REFUSED)
def test_refusals(spec, arguments, words):
    with pytest.raises(UnsupportedError, match=words):
        labelled("vae", **{"latents": 2} | arguments)(spec)


def test_systems_without_a_posterior_are_refused():
    with pytest.raises(UnsupportedError, match="no player of this Explicit owns a posterior"):
        wiring.supervised(recipes.flow_density(SPEC, hidden=(4,)), SPEC, 1.0)
    with pytest.raises(ValueError, match="`alpha` is -1"):
        wiring.supervised(recipes.vae(SPEC, latents=2), SPEC, -1.0)
    with pytest.raises(UnsupportedError, match="follows from the whole batch"):
        wiring.supervised(recipes.sigma_vae(SPEC, latents=2), SPEC, 1.0, decoder=1.0)
