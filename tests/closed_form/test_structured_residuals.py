"""The conditional that predicts a structured covariance, and the prior on its precisions."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import distributions as td
from torch import nn

from vaekit.conditionals import Bernoulli, SharedGaussian, StructuredGaussian
from vaekit.distributions import DiagonalNormal, SparsePrecisionNormal
from vaekit.networks import MLP
from vaekit.terms import PrecisionPrior
from vaekit.trace import Observed, Trace

EXACT = {"rtol": 1e-12, "atol": 1e-12}
EVENT = (1, 3, 4)


def network(output):
    return MLP([(2,)], output, hidden=(5,), activation="tanh")


def make(event=EVENT, **options):
    torch.manual_seed(2)
    made = StructuredGaussian(network, event, **{"neighbourhood": 3, **options}).double()
    with torch.no_grad():
        made.head.fill_(-1.2)
    return made


def move(made, scale=0.3):
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in made.covariance.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
    return made


def context(*lead):
    return torch.randn(*lead, 2, dtype=torch.float64)


@pytest.mark.parametrize("event", [EVENT, (6,), (3, 2, 4)])
def test_the_first_prediction_is_isotropic(event):
    made, z = make(event), context(5)
    p, x = made(z), torch.randn(5, *event, dtype=torch.float64)
    assert isinstance(p, SparsePrecisionNormal)
    assert not p.weights.any()
    torch.testing.assert_close(p.mean, made.network(z), **EXACT)
    isotropic = DiagonalNormal(p.mean, made.log_std, len(event))
    torch.testing.assert_close(p.log_prob(x), isotropic.log_prob(x), **EXACT)
    torch.testing.assert_close(p.variance, isotropic.variance, **EXACT)


def test_before_its_start_it_is_what_it_is_at_its_start():
    made, z = make(start=2), context(5)
    x = torch.randn(5, *EVENT, dtype=torch.float64)
    seen = []
    for _ in range(3):
        p = made(z)
        seen.append(type(p))
        torch.testing.assert_close(p.log_prob(x), make()(z).log_prob(x), **EXACT)
        made.after_step()
    assert seen == [DiagonalNormal, DiagonalNormal, SparsePrecisionNormal]


def test_the_count_of_steps_is_saved():
    made, other = make(start=2), make(start=2)
    for _ in range(2):
        made.after_step()
    state = {key: value.clone() for key, value in made.state_dict().items()}
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    assert isinstance(other(context(3)), DiagonalNormal)
    other.load_state_dict(state)
    assert isinstance(other(context(3)), SparsePrecisionNormal)
    other.load_state_dict(make(start=2).state_dict())
    assert isinstance(other(context(3)), DiagonalNormal)
    assert isinstance(copy.deepcopy(made)(context(3)), SparsePrecisionNormal)


def test_heads_are_in_units_of_the_scale():
    """ln l_jj = -ln sigma + h_j and l_ij = w_ij / sigma, where the ceiling is far."""
    made, z = move(make(ceiling=50.0)), context(5)
    h = made.covariance(z)
    p = made(z)
    torch.testing.assert_close(p.log_diagonal, 1.2 + h[:, :1], **EXACT)
    torch.testing.assert_close(p.weights, math.exp(1.2) * h[:, 1:].unsqueeze(2), **EXACT)
    # the level of the residuals is the scale's alone: everything scales with it
    x = torch.randn(5, *EVENT, dtype=torch.float64)
    before = p.whiten(x)
    with torch.no_grad():
        made.head.add_(math.log(2))
    torch.testing.assert_close(made(z).whiten(p.mean + 2 * (x - p.mean)), before, **EXACT)


def test_outputs_belong_to_their_channel_and_neighbour():
    """Output (parameter, channel, row, column): the parameter first, as in every other conditional."""
    made = StructuredGaussian(lambda output: Plain(output), (2, 2, 2), neighbourhood=3, ceiling=50.0)
    p = made(torch.zeros(1, 1))
    assert len(made.neighbourhood) == 5
    with torch.no_grad():
        made.covariance.output_layer.bias.copy_(torch.arange(48.0))
    p = made(torch.zeros(1, 1))
    torch.testing.assert_close(p.log_diagonal[0], torch.arange(8.0).view(2, 2, 2))
    torch.testing.assert_close(p.weights[0], torch.arange(8.0, 48.0).view(5, 2, 2, 2))


class Plain(nn.Module):
    """One layer, put into the shape of an event."""

    def __init__(self, output):
        super().__init__()
        self.output, self.output_layer = output, nn.Linear(1, math.prod(output))

    def forward(self, x):
        return self.output_layer(x).unflatten(-1, self.output)


def test_a_pixel_that_never_varies_does_not_run_away():
    """Its likelihood has no largest value; the ceiling holds ln l_jj, and keeps a gradient."""
    made, z = make(ceiling=3.0, neighbourhood=1), context(20)
    with torch.no_grad():
        for parameter in made.network.parameters():
            parameter.zero_()
    x = torch.zeros(20, *EVENT, dtype=torch.float64)
    optimizer = torch.optim.Adam([*made.covariance.parameters(), made.head], 0.3)
    for _ in range(60):
        optimizer.zero_grad()
        (-made(z).log_prob(x).mean()).backward()
        optimizer.step()
    p = made(z)
    assert 2.9 < p.log_diagonal.min() < p.log_diagonal.max() < 3.0
    assert made.covariance.output_layer.bias.grad[: math.prod(EVENT)].ne(0).all()


def test_channels_are_joined_at_a_pixel():
    made = move(make((3, 2, 2), neighbourhood=1), 0.6)
    covariance = made(context(1)).covariance_matrix[0]
    channel, place = torch.arange(12) // 4, torch.arange(12) % 4
    same = place.unsqueeze(0) == place.unsqueeze(1)
    assert not covariance[~same].abs().gt(1e-12).any()
    assert covariance[same & (channel.unsqueeze(0) != channel.unsqueeze(1))].abs().min() > 1e-3


@pytest.mark.parametrize(
    ("build", "kind", "words"),
    [
        (lambda: make(ceiling=math.inf), ValueError, "`ceiling` is inf"),
        (lambda: make(start=-1), ValueError, "`start` is -1; expected at least 0"),
        (lambda: make(neighbourhood=2), ValueError, "`neighbourhood` is 2; expected an odd number"),
        (lambda: make((4, 4)), ValueError, r"expected a line \(n,\) or a picture"),
        (
            lambda: StructuredGaussian(lambda _: nn.Identity(), (4,)),
            TypeError,
            "no last layer to start at zero",
        ),
        (lambda: PrecisionPrior(0.5, 1.0), ValueError, "`shape` is 0.5; expected a finite number above 0.5"),
        (lambda: PrecisionPrior(2.0, 0.0), ValueError, "`rate` is 0.0; expected a finite number above 0"),
    ],
)
def test_refusals(build, kind, words):
    with pytest.raises(kind, match=words):
        build()


def traced(p, *axes):
    x = p.mean.detach()
    return Trace({"x": x}, {}, {"x": Observed(x, p)}, axes or ("batch",))


def test_the_prior_is_a_gamma_density_of_the_squared_diagonal():
    p = move(make())(context(5))
    gamma = td.Gamma(*torch.tensor([2.5, 0.3], dtype=torch.float64))
    expected = -gamma.log_prob((2 * p.log_diagonal).exp()).flatten(1).sum(1)
    torch.testing.assert_close(PrecisionPrior(2.5, 0.3)(traced(p)), expected, **EXACT)
    draws = move(make())(context(4, 5))
    found = PrecisionPrior(2.5, 0.3)(traced(draws, "sample", "batch"))
    expected = -gamma.log_prob((2 * draws.log_diagonal).exp()).flatten(2).sum(2).mean(0)
    torch.testing.assert_close(found, expected, **EXACT)


def test_the_prior_of_an_isotropic_likelihood():
    made = SharedGaussian(network, EVENT).double()
    gamma = td.Gamma(*torch.tensor([2.5, 0.3], dtype=torch.float64))
    expected = -12 * gamma.log_prob((-2 * made.log_std).exp())
    found = PrecisionPrior(2.5, 0.3)(traced(made(context(5))))
    torch.testing.assert_close(found, expected.detach().expand(5), **EXACT)
    # at the start of the covariance network nothing jumps
    z = context(5)
    before, after = make(start=1)(z), make()(z)
    for p in (before, after):
        torch.testing.assert_close(
            PrecisionPrior(2.5, 0.3)(traced(p)), PrecisionPrior(2.5, 0.3)(traced(after)), **EXACT
        )


def test_the_prior_bounds_the_precision():
    """At r = 0 likelihood times prior is largest at p = (a - 1/2) / b."""
    log_diagonal = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_diagonal], max_iter=100, tolerance_grad=1e-12, tolerance_change=1e-14)

    def loss():
        optimizer.zero_grad()
        p = DiagonalNormal(torch.zeros(1, 1, dtype=torch.float64), -log_diagonal)
        value = (PrecisionPrior(2.0, 0.05)(traced(p)) - p.log_prob(p.mean)).sum()
        value.backward()
        return value

    optimizer.step(loss)
    assert (2 * log_diagonal).exp().item() == pytest.approx(1.5 / 0.05, rel=1e-6)


def test_a_likelihood_without_a_precision_is_refused():
    with pytest.raises(TypeError, match="needs a Gaussian likelihood; got Bernoulli"):
        PrecisionPrior(2.0, 0.1)(traced(Bernoulli(network, EVENT).double()(context(5))))
