"""The Gaussian with a sparse precision factor, against dense algebra written from its definition."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import distributions as td

from vaekit.distributions import DiagonalNormal, Neighbourhood, SparsePrecisionNormal, detached

EXACT = {"rtol": 1e-10, "atol": 1e-10}
CASES = [((1, 4, 4), 3), ((1, 5, 7), 5), ((6,), 5), ((3, 4, 3), 3), ((2, 3, 3), 1), ((1, 2, 6), 7)]
B = 3


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def make(event, size, batch=(B,)):
    pattern = Neighbourhood(event, size)
    weights = 0.3 * randn(*batch, len(pattern), *event)
    return SparsePrecisionNormal(randn(*batch, *event), 0.3 * randn(*batch, *event), weights, pattern)


def steps_by_hand(event, size):
    """Steps to later neighbours, one after the other: those of the patch, then later channels."""
    r = size // 2
    if len(event) == 1:
        return [(k,) for k in range(1, r + 1)]
    inside = [
        (0, dy, dx)
        for dy in range(-r, r + 1)
        for dx in range(-r, r + 1)
        if dy * (2 * r + 1) + dx > 0 and abs(dy) < event[1] and abs(dx) < event[2]
    ]
    return inside + [(dc, 0, 0) for dc in range(1, event[0])]


def factor_by_hand(p, size):
    """L[i, j] = the weight stored at j, where i is j's later neighbour."""
    event = tuple(p.event_shape)
    places = list(product(*(range(n) for n in event)))
    number = {place: i for i, place in enumerate(places)}
    dense = torch.zeros(*p.batch_shape, len(places), len(places), dtype=torch.float64)
    for place, j in number.items():
        dense[..., j, j] = p.log_diagonal[(..., *place)].exp()
        for k, step in enumerate(steps_by_hand(event, size)):
            other = tuple(a + b for a, b in zip(place, step, strict=True))
            if other in number:
                dense[..., number[other], j] = p.weights.select(-len(event) - 1, k)[(..., *place)]
    return dense


def dense_of(p, size):
    factor = factor_by_hand(p, size)
    return td.MultivariateNormal(p.mean.flatten(-p.event_dims), precision_matrix=factor @ factor.mT)


@pytest.mark.parametrize(("event", "size"), CASES)
def test_it_is_the_dense_gaussian(event, size):
    p = make(event, size)
    value = randn(2, B, *event)
    dense = dense_of(p, size)
    torch.testing.assert_close(p.factor, factor_by_hand(p, size), rtol=0, atol=0)
    assert not p.factor.triu(1).any()
    torch.testing.assert_close(p.log_prob(value), dense.log_prob(value.flatten(-len(event))), **EXACT)
    torch.testing.assert_close(p.entropy(), dense.entropy(), **EXACT)
    torch.testing.assert_close(p.variance.flatten(1), dense.variance, **EXACT)
    torch.testing.assert_close(p.stddev, p.variance.sqrt(), **EXACT)
    torch.testing.assert_close(p.precision_matrix, dense.precision_matrix, **EXACT)
    torch.testing.assert_close(p.covariance_matrix, dense.covariance_matrix, **EXACT)
    # ln det of the covariance is minus twice the sum of ln l_jj
    torch.testing.assert_close(
        dense.covariance_matrix.logdet(), -2 * p.log_diagonal.flatten(1).sum(1), **EXACT
    )


@pytest.mark.parametrize(("event", "size"), CASES)
def test_whitening_is_the_product_with_the_transposed_factor(event, size):
    p = make(event, size)
    value = randn(2, B, *event)
    residual = (value - p.mean).flatten(-len(event))
    expected = (factor_by_hand(p, size).mT @ residual.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(p.whiten(value).flatten(-len(event)), expected, **EXACT)


@pytest.mark.parametrize(("event", "size"), CASES)
def test_draws_solve_and_whiten_back_to_their_noise(event, size):
    p = make(event, size)
    torch.manual_seed(1)
    drawn = p.rsample((2,))
    torch.manual_seed(1)
    noise = randn(2, B, *event)
    torch.testing.assert_close(p.whiten(drawn), noise, **EXACT)
    dense = torch.linalg.solve_triangular(
        factor_by_hand(p, size).mT, noise.flatten(-len(event)).unsqueeze(-1), upper=True
    )
    torch.testing.assert_close((drawn - p.mean).flatten(-len(event)), dense.squeeze(-1), **EXACT)


def test_a_draw_keeps_its_noise():
    p = make((1, 4, 4), 3)
    drawn = p.rsample()
    other = SparsePrecisionNormal(p.loc, p.log_diagonal, p.weights, p.neighbourhood)
    torch.testing.assert_close(p.log_prob(drawn), other.log_prob(drawn), **EXACT)
    assert p.recall(drawn) is not None
    assert other.recall(drawn) is None


def test_draws_have_the_covariance():
    p = make((1, 4, 4), 3, batch=())
    n = 100_000
    centred = (p.sample((n,)) - p.mean).flatten(1)
    covariance = dense_of(p, 3).covariance_matrix
    diagonal = covariance.diagonal()
    spread = ((diagonal.unsqueeze(0) * diagonal.unsqueeze(1) + covariance.square()) / n).sqrt()
    assert ((centred.mT @ centred / n - covariance).abs() < 5 * spread).all()


@pytest.mark.parametrize(("event", "size"), [((1, 3, 4), 3), ((5,), 3), ((2, 2, 3), 3)])
def test_gradients_of_draws_are_those_of_the_dense_solution(event, size):
    p = make(event, size)
    leaves = [p.loc, p.log_diagonal, p.weights]
    for leaf in leaves:
        leaf.requires_grad_()
    torch.manual_seed(1)
    drawn = p.rsample((2,))
    slope = randn(*drawn.shape)
    ours = torch.autograd.grad((drawn * slope).sum(), leaves)
    torch.manual_seed(1)
    noise = randn(2, B, *event).flatten(-len(event)).unsqueeze(-1)
    dense = torch.linalg.solve_triangular(factor_by_hand(p, size).mT, noise, upper=True).squeeze(-1)
    value = p.loc + dense.unflatten(-1, event)
    theirs = torch.autograd.grad((value * slope).sum(), leaves)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, **EXACT)
        assert a.any()


def test_leading_axes_of_the_parameters_may_be_fewer():
    """A free covariance, the same for all data, and draws of it."""
    event, pattern = (1, 3, 3), Neighbourhood((1, 3, 3), 3)
    log_diagonal, weights = 0.3 * randn(*event), 0.3 * randn(len(pattern), *event)
    mean, value = randn(2, B, *event), randn(4, 2, B, *event)
    p = SparsePrecisionNormal(mean, log_diagonal, weights, pattern)
    whole = SparsePrecisionNormal(
        mean, log_diagonal.expand_as(mean), weights.expand(2, B, *weights.shape), pattern
    )
    torch.testing.assert_close(p.log_prob(value), whole.log_prob(value), **EXACT)
    torch.testing.assert_close(p.variance, whole.variance, **EXACT)
    torch.testing.assert_close(p.factor, whole.factor, **EXACT)
    torch.testing.assert_close(p.entropy(), whole.entropy(), **EXACT)
    torch.manual_seed(1)
    first = p.sample((4,))
    torch.manual_seed(1)
    torch.testing.assert_close(first, whole.sample((4,)), **EXACT)
    assert p.log_prob(value).shape == (4, 2, B)


@pytest.mark.parametrize(("event", "size"), CASES)
def test_weights_that_point_outside_count_nowhere(event, size):
    p = make(event, size)
    p.weights.requires_grad_()
    inside = (
        torch.stack(p.neighbourhood.later(torch.ones(event, dtype=torch.float64)))
        if len(p.neighbourhood)
        else p.weights[0]
    )
    (slope,) = torch.autograd.grad(p.log_prob(randn(B, *event)).sum(), p.weights)
    assert (slope[:, inside == 0] == 0).all()
    assert (slope[:, inside == 1] != 0).all()
    loud = p.weights.detach() + 1e6 * (1 - inside)
    other = SparsePrecisionNormal(p.loc, p.log_diagonal, loud, p.neighbourhood)
    value = randn(B, *event)
    assert torch.equal(other.log_prob(value), p.log_prob(value))
    assert torch.equal(other.factor, p.factor)
    torch.manual_seed(1)
    first = other.sample()
    torch.manual_seed(1)
    assert torch.equal(first, p.sample())


def test_orientation():
    """The weight stored at j couples it to what comes later: given the later residuals, r_j has the mean
    -w r_(j+1) / l_jj. A flipped offset, or weights stored by rows, would couple another pair."""
    pattern = Neighbourhood((3,), 3)
    log_diagonal = torch.tensor([0.0, 0.5, -0.5], dtype=torch.float64)
    weights = torch.tensor([[0.7, -0.4, 9.0]], dtype=torch.float64)  # the last has no later neighbour
    p = SparsePrecisionNormal(torch.zeros(3, dtype=torch.float64), log_diagonal, weights, pattern)
    l = log_diagonal.exp()
    expected = torch.tensor([[l[0], 0, 0], [0.7, l[1], 0], [0, -0.4, l[2]]], dtype=torch.float64)
    torch.testing.assert_close(p.factor, expected, **EXACT)
    value = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    expected = torch.stack([l[0] + 0.7 * 2, l[1] * 2 - 0.4 * 3, l[2] * 3])
    torch.testing.assert_close(p.whiten(value), expected, **EXACT)
    s = p.covariance_matrix
    regression = torch.linalg.solve(s[1:, 1:], s[1:, 0])
    torch.testing.assert_close(regression, torch.tensor([-0.7 / 1.0, 0.0], dtype=torch.float64), **EXACT)
    # the mirrored line is another distribution
    mirrored = SparsePrecisionNormal(p.loc, log_diagonal, weights.roll(1, -1), pattern)
    assert (mirrored.log_prob(value) - p.log_prob(value)).abs() > 0.1


def test_orientation_in_a_picture():
    """One weight at one pixel couples it to the pixel below on the left."""
    pattern = Neighbourhood((1, 3, 3), 3)
    assert pattern.offsets == ((0, 0, 1), (0, 1, -1), (0, 1, 0), (0, 1, 1))
    weights = torch.zeros(4, 1, 3, 3, dtype=torch.float64)
    weights[1, 0, 0, 1] = 0.8  # element 1, step (1, -1): element 3
    zeros = torch.zeros(1, 3, 3, dtype=torch.float64)
    p = SparsePrecisionNormal(zeros, zeros, weights, pattern)
    expected = torch.eye(9, dtype=torch.float64)
    expected[3, 1] = 0.8
    torch.testing.assert_close(p.factor, expected, **EXACT)
    assert p.covariance_matrix[1, 3] < -0.5


def test_size_one_is_the_diagonal_gaussian():
    p = make((1, 4, 5), 1)
    value = randn(2, B, 1, 4, 5)
    diagonal = DiagonalNormal(p.mean, -p.log_diagonal, 3)
    torch.testing.assert_close(p.log_prob(value), diagonal.log_prob(value), **EXACT)
    torch.testing.assert_close(p.variance, diagonal.variance, **EXACT)
    torch.testing.assert_close(p.entropy(), diagonal.entropy(), **EXACT)
    torch.manual_seed(1)
    drawn = p.sample()
    torch.manual_seed(1)
    torch.testing.assert_close(drawn, diagonal.sample(), **EXACT)


@pytest.mark.parametrize(("event", "size"), [((1, 3, 4), 7), ((1, 3, 4), 21), ((6,), 11)])
def test_a_patch_as_large_as_the_picture_holds_every_gaussian(event, size):
    count = math.prod(event)
    pattern = Neighbourhood(event, size)
    root = randn(count, 2 * count)
    factor = torch.linalg.cholesky(root @ root.mT)
    later = pattern.tables(torch.device("cpu"))[0]
    padded = torch.cat([factor, torch.zeros(1, count, dtype=torch.float64)])
    weights = padded[later, torch.arange(count)].unflatten(-1, event)
    log_diagonal = factor.diagonal().log().unflatten(0, event)
    p = SparsePrecisionNormal(torch.zeros(event, dtype=torch.float64), log_diagonal, weights, pattern)
    torch.testing.assert_close(p.factor, factor, **EXACT)
    value = randn(*event)
    dense = td.MultivariateNormal(torch.zeros(count).double(), precision_matrix=factor @ factor.mT)
    torch.testing.assert_close(p.log_prob(value), dense.log_prob(value.flatten()), **EXACT)


def test_an_autoregression_is_exact():
    """AR(1) with rho = 0.9 and sd = 0.3, 32 long: r_j given r_(j+1) is N(rho r_(j+1), (1 - rho^2) sd^2)."""
    n, rho, sd = 32, 0.9, 0.3
    lags = (torch.arange(n).unsqueeze(0) - torch.arange(n).unsqueeze(1)).abs()
    covariance = sd**2 * torch.tensor(rho, dtype=torch.float64) ** lags
    own = torch.full((n,), 1 / (sd * math.sqrt(1 - rho**2)), dtype=torch.float64)
    weights = -rho * own.unsqueeze(0)
    own[-1] = 1 / sd
    p = SparsePrecisionNormal(torch.zeros(n).double(), own.log(), weights, Neighbourhood((n,), 3))
    torch.testing.assert_close(p.covariance_matrix, covariance, **EXACT)
    assert p.entropy().item() == pytest.approx(-18.862, abs=1e-3)
    diagonal = DiagonalNormal(torch.zeros(n), torch.tensor(sd).log()).entropy().item()
    assert diagonal == pytest.approx(6.879, abs=1e-3)
    assert diagonal - p.entropy().item() == pytest.approx(-(n - 1) / 2 * math.log(1 - rho**2), abs=1e-4)


@pytest.mark.parametrize(("event", "size"), CASES)
def test_a_front_can_be_solved_at_once(event, size):
    later, earlier, fronts = Neighbourhood(event, size).tables(torch.device("cpu"))
    count = math.prod(event)
    assert torch.cat(fronts).sort().values.tolist() == list(range(count))
    front_of = torch.empty(count + 1, dtype=torch.long)
    for number, front in enumerate(fronts):
        front_of[front] = number
    front_of[count] = len(fronts)
    assert (front_of[later] > front_of[:count]).all()
    if len(event) == 3:
        reach = min(size // 2, event[2] - 1)
        assert len(fronts) == event[2] + (reach + 1) * (event[1] - 1) + event[0] - 1
    for row in range(len(later)):
        there = later[row] < count
        assert (earlier[row, later[row, there]] == torch.arange(count)[there]).all()


def test_a_detached_one_has_no_gradient_to_its_factor():
    p = make((1, 3, 3), 3)
    p.weights.requires_grad_()
    assert not detached(p).log_prob(randn(B, 1, 3, 3)).requires_grad


def test_single_precision_keeps_its_digits_on_large_pictures():
    pattern = Neighbourhood((1, 48, 48), 5)
    weights = torch.full((len(pattern), 1, 48, 48), -1 / len(pattern))  # a pixel is the mean of later ones
    p = SparsePrecisionNormal(torch.zeros(1, 48, 48), torch.zeros(1, 48, 48), weights, pattern)
    torch.manual_seed(1)
    drawn = p.sample()
    torch.manual_seed(1)
    noise = torch.randn(1, 48, 48)
    assert drawn.std() > 1.1
    assert (p.whiten(drawn) - noise).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("event", "size", "kind", "words"),
    [
        ((1, 4, 4), 4, ValueError, "`neighbourhood` is 4; expected an odd number of at least 1"),
        ((1, 4, 4), -1, ValueError, "`neighbourhood` is -1"),
        ((1, 4, 4), 3.0, TypeError, "`neighbourhood` is 3.0; expected an odd whole number"),
        ((1, 4, 4), True, TypeError, "`neighbourhood` is True"),
        ((4, 4), 3, ValueError, r"`event` is \(4, 4\); expected a line"),
    ],
)
def test_refusals(event, size, kind, words):
    with pytest.raises(kind, match=words):
        Neighbourhood(event, size)
