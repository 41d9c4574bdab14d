"""The VampPrior against its definition, closed forms and the bound on the information it can hold."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from vaekit import conditionals as c
from vaekit import wiring
from vaekit.data.spec import Spec
from vaekit.distributions import DiagonalNormal, Mixture
from vaekit.errors import UnsupportedError
from vaekit.metrics import log_evidence
from vaekit.models import Flat
from vaekit.networks import MLP
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.terms import Distortion, Rate, divergence
from vaekit.testing import check_density
from vaekit.trace import Latent
from vaekit.wiring import adam

EXACT = {"rtol": 1e-12, "atol": 1e-12}


pytestmark = pytest.mark.usefixtures("double")


def gaussian(n=2, wide=3):
    return c.Gaussian(lambda output: MLP([(wide,)], output, hidden=(6,), activation="tanh"), (n,))


def model_with(pseudo, n=2, wide=3):
    posterior = gaussian(n, wide)
    likelihood = c.Bernoulli(lambda output: MLP([(n,)], output, hidden=(6,)), (wide,))
    return Flat(posterior, c.VampPrior(posterior, pseudo), likelihood)


def naive(value, components):
    """log 1/K sum_k prod_d N(z_d; m_kd, s_kd), written out."""
    loc, std = components.loc, components.stddev
    each = [
        (-0.5 * ((value - m) / s) ** 2 - s.log() - 0.5 * math.log(2 * math.pi)).sum(-1)
        for m, s in zip(loc, std, strict=True)
    ]
    return torch.stack(each).logsumexp(0) - math.log(len(loc))


# -- the density ------------------------------------------------------------------------------------------


def test_product_form_equals_the_naive_mixture():
    posterior = gaussian()
    prior = c.VampPrior(posterior, torch.rand(5, 3))
    value = 2 * torch.randn(4, 7, 2)
    torch.testing.assert_close(prior().log_prob(value), naive(value, prior.components()), **EXACT)


def test_narrow_components_are_exact_in_float32():
    """s = exp(-8) at a distance of 4: z^2 / s^2 is 1e8, and its differences are what counts."""
    loc = torch.tensor([[4.0], [-3.0]]).float()
    mixture = Mixture(
        torch.full((2,), -math.log(2)).float(), DiagonalNormal(loc, torch.full((2, 1), -8.0).float())
    )
    value = loc + 2 * math.exp(-8)
    wide = DiagonalNormal(loc.double(), torch.full((2, 1), -8.0))
    torch.testing.assert_close(
        mixture.log_prob(value).double(), wide.log_prob(value.double()) - math.log(2), rtol=1e-6, atol=1e-5
    )


def test_gradients_of_the_product_form_are_those_of_the_naive_mixture():
    posterior = gaussian()
    prior = c.VampPrior(posterior, torch.rand(4, 3))
    value = torch.randn(6, 2, requires_grad=True)
    moved = [value, prior.pseudo_inputs, *posterior.parameters()]
    ours = torch.autograd.grad(prior().log_prob(value).sum(), moved)
    theirs = torch.autograd.grad(naive(value, prior.components()).sum(), moved)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
        assert (a != 0).any()


def test_a_look_without_gradients_does_not_take_them_away():
    prior = c.VampPrior(gaussian(), torch.rand(4, 3))
    value, p = torch.randn(6, 2), prior()
    with torch.no_grad():
        p.log_prob(value)
    (gradient,) = torch.autograd.grad(p.log_prob(value).sum(), prior.pseudo_inputs)
    assert (gradient != 0).any()


def test_it_integrates_to_one():
    check_density(c.VampPrior(gaussian(1), torch.rand(6, 3))(), tolerance=1e-9)


def test_the_order_of_the_pseudo_inputs_does_not_matter():
    posterior, inputs, value = gaussian(), torch.rand(6, 3), torch.randn(5, 2)
    first, second = (c.VampPrior(posterior, rows)().log_prob(value) for rows in (inputs, inputs.flip(0)))
    torch.testing.assert_close(first, second, **EXACT)


def test_draws_come_from_every_component_alike_and_not_from_the_first_ones():
    """Four components far apart: which one a draw came from can be read off."""
    posterior = c.Gaussian(lambda output: nn.Linear(1, *output), (1,))
    with torch.no_grad():
        posterior.network.weight.copy_(torch.tensor([[100.0], [0.0]]))
        posterior.network.bias.zero_()
    prior = c.VampPrior(posterior, torch.tensor([[0.0], [0.25], [0.5], [1.0]]))
    draws = prior().sample(torch.Size((8000,)))
    assert draws.shape == (8000, 1)
    counts = torch.stack([(draws - at).abs().lt(8).sum() for at in (0.0, 25.0, 50.0, 100.0)])
    assert counts.sum() == 8000
    expected, allowed = 2000, 5 * math.sqrt(8000 * 0.25 * 0.75)
    assert ((counts - expected).abs() < allowed).all(), counts
    few = prior().sample(torch.Size((3,))) / 25
    assert not torch.equal(few.round().flatten(), torch.tensor([0.0, 1.0, 2.0]))
    torch.testing.assert_close(draws.mean(0), prior().mean, atol=2.0, rtol=0)


def test_a_mixture_draws_its_components_by_their_weights():
    weights = torch.tensor([0.1, 0.6, 0.3])
    components = DiagonalNormal(torch.tensor([[-50.0], [0.0], [50.0]]), torch.zeros(3, 1))
    draws = Mixture(weights.log(), components).sample((5000,))
    counts = torch.stack([(draws - at).abs().lt(10).sum() for at in (-50, 0, 50)])
    assert ((counts - 5000 * weights).abs() < 5 * (5000 * weights * (1 - weights)).sqrt()).all()
    around = draws[draws.abs() < 10]
    assert abs(around.std() - 1) < 0.06


@pytest.mark.parametrize(
    ("kind", "mean", "std"), [("real", 0.0, 1.0), ("binary", 0.05, 0.01), ("count", 0.05, 0.01)]
)
def test_where_pseudo_inputs_start(kind, mean, std):
    spec = Spec("toy", (50,), kind, 9)
    prior = wiring.make_aggregate("vamp", spec, gaussian(wide=50), 2)
    start = prior.pseudo_inputs
    assert start.shape == (500, 50)
    assert abs(start.mean() - mean) < 0.03 * std + 1e-4
    assert abs(start.std() / std - 1) < 0.02
    moved = wiring.make_aggregate("vamp", spec, gaussian(wide=50), 2, 30, 0.5, 0.0).pseudo_inputs
    assert torch.equal(moved, torch.full((30, 50), 0.5))


# -- the bound --------------------------------------------------------------------------------------------


def test_one_component_at_the_standard_normal_gives_the_standard_bound():
    model = model_with(torch.rand(1, 3))
    with torch.no_grad():  # q(z|u) = N(0, I) at the pseudo-input, and elsewhere not
        layer = model.posteriors[0].network.output_layer
        hidden = model.posteriors[0].network.hidden[0]
        hidden.bias.copy_(-hidden.weight @ model.priors[0].pseudo_inputs[0])
        layer.bias.zero_()
    x = torch.rand(4, 3).round()
    trace = model({"x": x}, 20_000)
    q = trace.latents["z"].q
    assert (q.loc.abs() > 1e-3).all()
    standard = divergence(Latent(trace.latents["z"].value, q, c.StandardGaussian((2,))()))
    sampled = -(
        trace.latents["z"].p.log_prob(trace.latents["z"].value) - q.log_prob(trace.latents["z"].value)
    )
    error = sampled.std(0) / math.sqrt(len(sampled))
    assert ((sampled.mean(0) - standard).abs() < 5 * error).all()
    # draw by draw, the density is that of N(0, I)
    value = trace.latents["z"].value
    torch.testing.assert_close(
        trace.latents["z"].p.log_prob(value), c.StandardGaussian((2,))().log_prob(value), **EXACT
    )


def test_at_the_data_themselves_the_rate_is_the_mutual_information():
    """K = N, u_k = x_k: p(z) is the aggregate posterior, E KL(q || p) = I_q <= ln N."""
    x = torch.rand(6, 3)
    model = model_with(x.clone())
    with torch.no_grad():
        layer = model.posteriors[0].network.output_layer  # far enough apart that I_q is near ln N
        layer.weight[:2] *= 4
        layer.bias[2:] = -2.5
    trace = model({"x": x}, 4000)
    rate = Rate()(trace).mean()
    q, z = trace.latents["z"].q, trace.latents["z"].value
    pairs = q.log_prob(z.unsqueeze(-2))  # (sample, i, j): log q(z_i|x_j)
    information = (pairs.diagonal(dim1=-2, dim2=-1) - pairs.logsumexp(-1) + math.log(6)).mean()
    torch.testing.assert_close(rate, information, **EXACT)
    assert 0.5 * math.log(6) < rate < math.log(6)


def test_gradients_reach_the_pseudo_inputs_and_the_posterior_through_the_prior():
    model = model_with(torch.rand(4, 3))
    trace = model({"x": torch.rand(5, 3).round()})
    value = trace.latents["z"].value.detach()
    through = trace.latents["z"].p.log_prob(value).sum()
    gradients = torch.autograd.grad(through, [model.priors[0].pseudo_inputs, *model.posteriors.parameters()])
    assert all((gradient != 0).any() for gradient in gradients)


def test_the_hand_written_loss():
    model = model_with(torch.rand(4, 3))
    x = torch.rand(5, 3).round()
    trace = model({"x": x})
    z, q = trace.latents["z"].value, trace.latents["z"].q
    rate = q.log_prob(z) - naive(z, model.posteriors[0](model.priors[0].pseudo_inputs))
    torch.testing.assert_close(elbo(0.3)(trace).total, (Distortion()(trace) + 0.3 * rate).mean(), **EXACT)


# -- the shared posterior ----------------------------------------------------------------------------------


def test_the_posterior_stands_once_in_the_state_and_belongs_to_one_player():
    model = model_with(torch.rand(4, 3))
    assert set(model.priors.state_dict()) == {"0.pseudo_inputs"}
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    assert len(names) == len(set(names)) == len({id(p) for p in model.parameters()})
    generator = Player("generator", [model.likelihood, model.priors], elbo(), adam(1e-3))
    encoder = Player("encoder", [model.posteriors], elbo(), adam(1e-3))
    owned = [id(p) for player in (generator, encoder) for p in player.parameters]
    assert len(owned) == len(set(owned)) == len(list(model.parameters()))


def test_a_copy_shares_within_itself_and_not_with_the_original():
    model = model_with(torch.rand(4, 3))
    value = torch.randn(5, 2)
    before = model.priors[0]().log_prob(value)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.posteriors[0].network.output_layer.bias.add_(1.0)
    assert not torch.equal(other.priors[0]().log_prob(value), before)
    assert torch.equal(model.priors[0]().log_prob(value), before)


def test_loading_gives_back_prior_and_posterior():
    model, other = model_with(torch.rand(4, 3)), model_with(torch.rand(4, 3))
    other.load_state_dict(model.state_dict())
    value = torch.randn(5, 2)
    assert torch.equal(other.priors[0]().log_prob(value), model.priors[0]().log_prob(value))


def test_pseudo_inputs_stay_in_the_range_of_the_data_and_are_not_cut_off_at_its_ends():
    model = model_with(torch.rand(4, 3))
    prior = model.priors[0]
    with torch.no_grad():
        prior.pseudo_inputs[0] = torch.tensor([-3.0, 5.0, 0.5])
    outside = prior.components().loc[0]
    prior.after_step()
    assert prior.pseudo_inputs[0].tolist() == [0.0, 1.0, 0.5]
    assert torch.equal(outside, prior.components().loc[0])
    (gradient,) = torch.autograd.grad(prior().log_prob(torch.randn(5, 2)).sum(), prior.pseudo_inputs)
    assert (gradient[0] != 0).all()
    procedure = Simultaneous(model, [Player("vae", [model], elbo(), adam(5.0))])
    for _ in range(3):
        procedure.step([{"x": torch.rand(5, 3).round()}])
        assert prior.pseudo_inputs.min() >= 0
        assert prior.pseudo_inputs.max() <= 1


# -- what is kept ------------------------------------------------------------------------------------------


class Counting(nn.Module):
    """A posterior that counts how often pseudo-inputs (4 rows) pass it."""

    def __init__(self):
        super().__init__()
        self.inner, self.passes = gaussian(), 0

    def forward(self, x):
        self.passes += len(x) == 4
        return self.inner(x)


@pytest.fixture
def counted():
    posterior = Counting()
    likelihood = c.Bernoulli(lambda output: MLP([(2,)], output, hidden=(6,)), (3,))
    return Flat(posterior, c.VampPrior(posterior, torch.rand(4, 3)), likelihood)


def test_components_are_made_once_a_step_and_once_an_evaluation(counted):
    posterior, batch = counted.posteriors[0], {"x": torch.rand(5, 3).round()}
    procedure = Simultaneous(counted, [Player("vae", [counted], elbo(), adam(1e-2))])
    procedure.step([batch])
    assert posterior.passes == 1
    first = log_evidence(counted, batch, samples=12, chunk=3)
    assert posterior.passes == 2
    assert torch.equal(log_evidence(counted, batch, samples=12, chunk=3), first)
    assert posterior.passes == 2


def test_what_was_kept_goes_when_a_parameter_moves(counted):
    value, batch = torch.randn(5, 2), {"x": torch.rand(5, 3).round()}
    prior = counted.priors[0]

    def fresh():
        with torch.no_grad():
            kept = prior().log_prob(value)
            assert torch.equal(kept, naive(value, prior.components())) or torch.allclose(
                kept, naive(value, prior.components()), **EXACT
            )
        return kept

    counted.eval()
    seen = [fresh()]
    procedure = Simultaneous(counted, [Player("vae", [counted], elbo(), adam(1e-2))])
    procedure.step([batch])  # in eval mode too; a fused optimiser leaves no mark on the parameters
    seen.append(fresh())
    counted.load_state_dict(
        {key: value + 0.1 * (key[-4:] == "bias") for key, value in counted.state_dict().items()}
    )
    seen.append(fresh())
    with torch.no_grad():
        prior.pseudo_inputs.mul_(0.5)
    seen.append(fresh())
    counted.float().double()
    seen.append(fresh())
    assert len({tuple(values.tolist()) for values in seen}) == len(seen)


def test_what_was_kept_in_inference_mode_does_not_leave_it(counted):
    counted.eval()
    with torch.inference_mode():
        counted.priors[0]()
    with torch.no_grad():
        p = counted.priors[0]()
    z = torch.randn(3, 2, requires_grad=True)
    p.log_prob(z).sum().backward()
    assert (z.grad != 0).all()


# -- refusals ----------------------------------------------------------------------------------------------


def normalised(output):
    return nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Linear(6, *output))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: c.VampPrior(c.Gaussian(normalised, (2,)), torch.rand(4, 3)), UnsupportedError, "batch norm"),
        (
            lambda: c.VampPrior(c.CholeskyGaussian(lambda o: nn.Linear(3, *o), (2,)), torch.rand(4, 3)),
            UnsupportedError,
            "diagonal Gaussians",
        ),
        (lambda: c.VampPrior(gaussian(), torch.rand(3)), ValueError, "expected .K, \\*event"),
        (lambda: c.VampPrior(gaussian(), torch.rand(0, 3)), ValueError, "K >= 1"),
        (lambda: c.VampPrior(gaussian(), 2 + torch.rand(4, 3)), ValueError, "within `bounds`"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_sketch_without_values_is_built():
    with torch.device("meta"):
        prior = c.VampPrior(gaussian(), torch.rand(4, 3))
    assert prior.pseudo_inputs.is_meta


def test_without_bounds_anything_goes():
    prior = c.VampPrior(gaussian(), 100 * torch.randn(4, 3), bounds=None)
    before = prior.pseudo_inputs.clone()
    prior.after_step()
    assert torch.equal(prior.pseudo_inputs, before)
