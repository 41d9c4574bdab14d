"""Likelihoods: normalisation, moments, edges, shapes, against torch, scipy and quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as td

from vaekit.distributions import (
    Bernoulli,
    Categorical,
    CholeskyNormal,
    ContinuousBernoulli,
    DiagonalNormal,
    DiscretisedLogistic,
    Laplace,
    LowRankNormal,
    Mixture,
    Poisson,
    PooledNormal,
    RankOnePrecisionNormal,
    StandardNormal,
)
from vaekit.testing import check_density

LOGITS = torch.tensor(
    [-30.0, -4.0, -0.3, -0.11, -0.09, -1e-3, 0.0, 1e-6, 0.09, 0.11, 0.7, 5.0, 30.0]
).double()


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64)


ONE = randn(3, 1)
CONTINUOUS = {
    "diagonal": DiagonalNormal(ONE, torch.tensor([[-1.0], [0.0], [1.0]]).double()),
    "cholesky": CholeskyNormal(ONE, torch.tensor([[[0.5]], [[1.0]], [[2.0]]]).double()),
    "low rank": LowRankNormal(ONE, 0.3 * ONE, torch.ones(3, 1, 2).double()),
    "rank one": RankOnePrecisionNormal(ONE, 0.3 * ONE, 2 * ONE),
    "standard": StandardNormal((1,), ONE),
    "mixture": Mixture(torch.tensor([0.3, 0.7]).double().log(), DiagonalNormal(ONE[:2], ONE[:2])),
    "laplace": Laplace(ONE, torch.tensor([[-1.0], [0.0], [1.0]]).double()),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_density_integrates_to_one(name):
    check_density(CONTINUOUS[name], tolerance=1e-5 if name == "laplace" else 1e-9)  # a kink at its mean


def test_continuous_bernoulli_integrates_to_one():
    check_density(ContinuousBernoulli(LOGITS.unsqueeze(-1)), low=0.0, high=1.0)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_discretised_logistic_sums_to_one(levels):
    centres = torch.tensor([-0.5, 0.0, 0.31, 0.5, 1.0, 1.4]).double()
    scales = torch.tensor([-7.0, -4.0, -2.0, 0.0, 2.0]).double()
    mean, log_scale = torch.meshgrid(centres, scales, indexing="ij")
    p = DiscretisedLogistic(mean.reshape(-1, 1), log_scale.reshape(-1, 1), levels)
    values = torch.arange(levels).double() / (levels - 1)
    check_density(p, values=values, tolerance=1e-9)
    # every bin against the logistic distribution function, edges included
    cdf = stats.logistic(loc=mean.reshape(-1, 1).numpy(), scale=log_scale.exp().reshape(-1, 1).numpy()).cdf
    half = 0.5 / (levels - 1)
    upper = torch.from_numpy(cdf((values + half).numpy()))
    lower = torch.from_numpy(cdf((values - half).numpy()))
    upper[:, -1], lower[:, 0] = 1, 0
    found = p.log_prob(values.view(-1, 1, 1)).mT.exp()
    torch.testing.assert_close(found, upper - lower, rtol=1e-6, atol=1e-13)


def test_discretised_logistic_as_stored_bytes():
    """Levels that went through float32 division land in their own bins."""
    p = DiscretisedLogistic(torch.tensor([[0.4]]), torch.tensor([[-1.0]]))
    values = torch.arange(256, dtype=torch.uint8).float().div(255)
    total = p.log_prob(values.view(-1, 1, 1)).exp().sum()
    assert abs(float(total) - 1) < 1e-5


def test_discretised_logistic_draws_as_often_as_it_says():
    p = DiscretisedLogistic(torch.tensor([[0.3]]).double(), torch.tensor([[-1.5]]).double(), levels=5)
    n = 50_000
    draws = p.sample((n,)).flatten()
    values = torch.arange(5).double() / 4
    chances = p.log_prob(values.view(-1, 1, 1)).exp().flatten()
    counts = torch.stack([(draws == v).double().mean() for v in values])
    assert ((counts - chances).abs() < 4.5 * (chances * (1 - chances) / n).sqrt()).all()


@pytest.mark.parametrize("size", [0.0, 100.0, 1000.0])
def test_discretised_logistic_is_finite_in_float32(size):
    mean = torch.tensor([[-size], [size]]).requires_grad_()
    p = DiscretisedLogistic(mean, torch.tensor([[-7.0], [2.0]]))
    density = p.log_prob(torch.tensor([[0.5], [0.5]])).sum()
    assert density.isfinite()
    assert torch.autograd.grad(density, mean)[0].isfinite().all()


def test_bernoulli_logit_form_is_the_probability_form():
    logits, x = randn(5, 7), torch.randint(2, (5, 7)).double()
    p = Bernoulli(logits)
    probability = logits.sigmoid()
    expected = (x * probability.log() + (1 - x) * (1 - probability).log()).sum(-1)
    torch.testing.assert_close(p.log_prob(x), expected)
    torch.testing.assert_close(p.entropy(), td.Bernoulli(logits=logits).entropy().sum(-1))
    torch.testing.assert_close(p.variance, td.Bernoulli(logits=logits).variance)
    torch.testing.assert_close(p.mode, (probability > 0.5).double())
    check_density(Bernoulli(LOGITS.unsqueeze(-1)), values=torch.tensor([0.0, 1.0]).double(), tolerance=1e-12)


def test_bernoulli_on_grey_levels_is_the_mean_over_pixels_drawn_with_them():
    """Over all 16 pictures of four pixels, weighed by their probability."""
    logits, grey = torch.tensor([-2.0, 0.3, 1.0, 4.0]).double(), torch.tensor([0.0, 0.2, 0.7, 1.0]).double()
    pictures = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 4)
    chances = torch.where(pictures == 1, grey, 1 - grey).prod(1)
    assert float(chances.sum()) == pytest.approx(1.0)
    expected = (chances * Bernoulli(logits).log_prob(pictures)).sum()
    torch.testing.assert_close(Bernoulli(logits, grey=True).log_prob(grey), expected)
    many = Bernoulli(logits.expand(3, 4), grey=True).log_prob(grey.expand(3, 4))
    torch.testing.assert_close(many, expected.expand(3))


def test_bernoulli_fast_paths_give_one_value():
    """Same shape, broadcast, one datum, with and without gradients, few and many elements."""
    for elements in (7, 300):
        logits, x = 3 * randn(6, 5, elements), torch.randint(2, (5, elements)).double()
        expected = td.Bernoulli(logits=logits).log_prob(x).sum(-1)
        torch.testing.assert_close(Bernoulli(logits).log_prob(x), expected)
        torch.testing.assert_close(Bernoulli(logits).log_prob(x.expand_as(logits)), expected)
        with torch.no_grad():
            torch.testing.assert_close(Bernoulli(logits).log_prob(x), expected)
            torch.testing.assert_close(Bernoulli(logits[:, :1]).log_prob(x[:1]), expected[:, :1])
        torch.testing.assert_close(Bernoulli(logits[:, :1]).log_prob(x[:1]), expected[:, :1])
    for size in (100.0, 1e4):
        logits = torch.tensor([[-size], [size]]).expand(2, 200)
        with torch.no_grad():
            assert Bernoulli(logits).log_prob(torch.ones(1, 200))[1] == 0
            assert Bernoulli(logits).log_prob(torch.ones(1, 200))[0] == -200 * size


def test_bernoulli_draws():
    p = Bernoulli(torch.tensor([[-1.0, 0.0, 2.0]]).double())
    n = 40_000
    draws = p.sample((n,))
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    assert ((draws.mean(0) - p.mean).abs() < 4 * (p.variance / n).sqrt()).all()


def test_continuous_bernoulli_is_that_of_torch():
    x = torch.linspace(0, 1, 11).double().unsqueeze(-1)
    ours = ContinuousBernoulli(LOGITS.unsqueeze(-1))
    theirs = td.ContinuousBernoulli(logits=LOGITS)
    middle = LOGITS.abs() < 10  # torch clamps probabilities near the ends
    found, expected = ours.log_prob(x.unsqueeze(1)), theirs.log_prob(x)
    torch.testing.assert_close(found[:, middle], expected[:, middle], rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(ours.mean[middle, 0], theirs.mean[middle], rtol=1e-6, atol=1e-6)


def test_continuous_bernoulli_moments_by_quadrature():
    points, weights = np.polynomial.legendre.leggauss(200)
    nodes, weights = torch.from_numpy(0.5 * points + 0.5), torch.from_numpy(0.5 * weights)
    p = ContinuousBernoulli(LOGITS.unsqueeze(-1))
    density = p.log_prob(nodes.view(-1, 1, 1)).exp()
    torch.testing.assert_close(weights @ density, torch.ones(len(LOGITS)).double(), atol=1e-9, rtol=0)
    mean = (weights * nodes) @ density
    torch.testing.assert_close(mean, p.mean.squeeze(-1), atol=1e-9, rtol=0)
    variance = (weights * nodes.square()) @ density - mean.square()
    torch.testing.assert_close(variance, p.variance.squeeze(-1), atol=1e-8, rtol=0)


def test_continuous_bernoulli_is_symmetric():
    x = torch.rand(9, 1).double()
    for logit in (0.05, 0.3, 4.0):
        p, mirrored = (ContinuousBernoulli(torch.full((1, 1), s * logit).double()) for s in (1, -1))
        torch.testing.assert_close(p.log_prob(x), mirrored.log_prob(1 - x))
        torch.testing.assert_close(p.mean, 1 - mirrored.mean)


@pytest.mark.parametrize("what", ["log_normaliser", "mean", "variance"])
def test_continuous_bernoulli_series_joins_the_closed_form(what):
    """At the border of the series value and gradient agree from both sides."""
    near = "_near" if what == "log_normaliser" else "_moments_near"
    border = getattr(ContinuousBernoulli, near)
    for sign in (-1, 1):
        sides = (
            torch.tensor([[sign * border * (1 - 1e-9)], [sign * border * (1 + 1e-9)]])
            .double()
            .requires_grad_()
        )
        found = getattr(ContinuousBernoulli(sides), what)
        values = found() if callable(found) else found
        (gradient,) = torch.autograd.grad(values.sum(), sides)
        assert (values[0] - values[1]).abs() < 2e-9
        assert (gradient[0] - gradient[1]).abs() < 1e-7


def test_moments_keep_their_digits_in_float32():
    logits = torch.linspace(-40, 40, 4001).double().unsqueeze(-1)
    for family, what in (
        (ContinuousBernoulli, "mean"),
        (ContinuousBernoulli, "variance"),
        (Bernoulli, "mean"),
        (Bernoulli, "stddev"),
    ):
        exact = getattr(family(logits), what)
        found = getattr(family(logits.float()), what).double()
        torch.testing.assert_close(found, exact, rtol=5e-6, atol=0)
    coins = Bernoulli(logits[logits.abs() < 10])
    torch.testing.assert_close(coins.stddev, coins.variance.sqrt())


def test_continuous_bernoulli_is_finite_at_extreme_logits_in_float32():
    logits = torch.tensor([[-1000.0], [-100.0], [0.0], [100.0], [1000.0]]).requires_grad_()
    p = ContinuousBernoulli(logits)
    for values in (p.log_prob(torch.full((5, 1), 0.3)), p.mean, p.variance, p.log_normaliser(), p.rsample()):
        assert values.isfinite().all()
        (gradient,) = torch.autograd.grad(values.sum(), logits, retain_graph=True)
        assert gradient.isfinite().all()
    assert ((p.mean > 0) & (p.mean < 1)).all()
    torch.testing.assert_close(p.mean[[1, 3], 0], torch.tensor([0.01, 0.99]))


def test_continuous_bernoulli_draws_and_their_gradient():
    logits = torch.tensor([[-6.0, -0.5, 0.005, 0.5, 6.0]]).double().requires_grad_()
    p = ContinuousBernoulli(logits)
    n = 100_000
    draws = p.rsample((n,))
    assert ((draws.mean(0) - p.mean).abs() < 4.5 * (p.variance / n).sqrt()).all()
    assert ((draws.var(0) - p.variance).abs() < 0.02 * p.variance).all()
    exact = torch.autograd.grad(p.mean.sum(), logits)[0]  # d E x / d l = Var x
    torch.testing.assert_close(exact, p.variance.detach())
    found = torch.autograd.grad(draws.mean(0).sum(), logits)[0]
    torch.testing.assert_close(found, exact, rtol=0.02, atol=0)


def test_laplace():
    mean, log_scale = randn(4, 3), 0.3 * randn(4, 3)
    p, reference = Laplace(mean, log_scale), td.Laplace(mean, log_scale.exp())
    value = randn(5, 4, 3)
    torch.testing.assert_close(p.log_prob(value), reference.log_prob(value).sum(-1))
    torch.testing.assert_close(p.entropy(), reference.entropy().sum(-1))
    torch.testing.assert_close(p.variance, reference.variance)
    n = 100_000
    draws = p.rsample((n,))
    assert ((draws.mean(0) - mean).abs() < 5 * (p.variance / n).sqrt()).all()
    assert (
        (draws.var(0) / p.variance - 1).abs() < 5 * (5 / n) ** 0.5
    ).all()  # kurtosis 6: Var s^2 = 5 s^4 / n
    shared = Laplace(mean, torch.tensor(0.2).double())
    torch.testing.assert_close(shared.entropy(), Laplace(mean, torch.full((4, 3), 0.2).double()).entropy())


def test_categorical():
    logits = randn(4, 3, 5)
    p, reference = Categorical(logits), td.Categorical(logits=logits)
    x = torch.randint(5, (6, 4, 3)).double()
    torch.testing.assert_close(p.log_prob(x), reference.log_prob(x).sum(-1))
    torch.testing.assert_close(p.entropy(), reference.entropy().sum(-1))
    torch.testing.assert_close(p.mode, logits.argmax(-1).double())
    torch.testing.assert_close(p.mean, (logits.softmax(-1) * torch.arange(5)).sum(-1))
    one = Categorical(randn(2, 1, 5))
    check_density(one, values=torch.arange(5).double(), tolerance=1e-12)
    n = 40_000
    draws = one.sample((n,))
    for k in range(5):
        chance = one.probs[:, 0, k]
        found = (draws[..., 0] == k).double().mean(0)
        assert ((found - chance).abs() < 4.5 * (chance * (1 - chance) / n).sqrt()).all()


def test_poisson():
    log_rate = randn(4, 3)
    p = Poisson(log_rate)
    x = torch.randint(9, (5, 4, 3)).double()
    torch.testing.assert_close(p.log_prob(x), td.Poisson(log_rate.exp()).log_prob(x).sum(-1))
    check_density(Poisson(log_rate[:, :1]), values=torch.arange(200).double(), tolerance=1e-10)
    n = 40_000
    assert ((p.sample((n,)).mean(0) - p.mean).abs() < 5 * (p.variance / n).sqrt()).all()


LIKELIHOODS = {
    "bernoulli": Bernoulli,
    "continuous": ContinuousBernoulli,
    "poisson": Poisson,
    "gaussian": lambda mean, event_dims: DiagonalNormal(mean, torch.tensor(-0.3).double(), event_dims),
    "laplace": lambda mean, event_dims: Laplace(mean, torch.tensor(0.4).double(), event_dims),
    "logistic": lambda mean, event_dims: DiscretisedLogistic(
        mean, torch.tensor(-1.0).double(), 2, event_dims
    ),
    "categorical": lambda mean, event_dims: Categorical(torch.stack([mean, -mean], -1), event_dims),
}


@pytest.mark.parametrize("event", [(7,), (1, 2, 3)])
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_one_batch_of_data_against_a_sample_axis(name, event):
    parameters, x = randn(4, 3, *event), torch.randint(2, (3, *event)).double()
    p = LIKELIHOODS[name](parameters, len(event))
    assert p.batch_shape == (4, 3)
    assert p.event_shape == event
    rows = [LIKELIHOODS[name](row, len(event)).log_prob(x) for row in parameters]
    torch.testing.assert_close(p.log_prob(x), torch.stack(rows))
    elements = [
        LIKELIHOODS[name](parameters[1, 2].reshape(-1, 1), 1).log_prob(x[2].reshape(-1, 1)).sum().reshape(())
    ]
    torch.testing.assert_close(p.log_prob(x)[1, 2], elements[0])
    assert p.sample((2,)).shape == (2, 4, 3, *event)


def test_optimal_variance_closed_form_and_gradients():
    """Substituting sigma* and cutting it off give one gradient; the value is P/2 [ln(2 pi SSE/P) + 1]."""
    mean, x = randn(6, 4).requires_grad_(), randn(6, 4)
    pooled = PooledNormal(mean)
    loss = -pooled.log_prob(x).sum()
    sse, count = (x - mean).square().sum(), x.numel()
    substituted = count / 2 * ((2 * math.pi * sse / count).log() + 1)
    torch.testing.assert_close(loss, substituted)
    torch.testing.assert_close(
        torch.autograd.grad(loss, mean)[0], torch.autograd.grad(substituted, mean)[0], rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(pooled.fitted, (sse / count).detach())
    best = DiagonalNormal(mean, 0.5 * pooled.fitted.log()).log_prob(x).sum()
    torch.testing.assert_close(-loss, best)
    for factor in (0.9, 1.1):
        assert DiagonalNormal(mean, 0.5 * (factor * pooled.fitted).log()).log_prob(x).sum() < best


def test_optimal_variance_pools_draws_too():
    mean, x = randn(3, 6, 4), randn(6, 4)
    pooled = PooledNormal(mean)
    assert pooled.log_prob(x).shape == (3, 6)
    torch.testing.assert_close(pooled.fitted, (x - mean).square().mean())
