"""Precision-weighted posteriors against the formula and against Bayes' rule on a grid."""

from __future__ import annotations

import pytest
import torch

from vaekit import conditionals as c
from vaekit.distributions import DiagonalNormal, product
from vaekit.errors import UnsupportedError
from vaekit.networks import MLP

pytestmark = pytest.mark.usefixtures("double")


def normal(*shape):
    return DiagonalNormal(torch.randn(*shape), 0.5 * torch.randn(*shape))


def message():
    return c.Gaussian(lambda output: MLP([(3,)], output, hidden=(6,)), (2,))


def test_precisions_add_and_weigh_the_means():
    a, b = normal(5, 2), normal(4, 5, 2)
    found = product(a, b)
    first, second = a.variance.reciprocal(), b.variance.reciprocal()
    torch.testing.assert_close(found.variance, 1 / (first + second))
    torch.testing.assert_close(found.mean, (a.loc * first + b.loc * second) / (first + second))
    assert found.batch_shape == (4, 5)
    torch.testing.assert_close(product(b, a).mean, found.mean)
    torch.testing.assert_close(product(b, a).log_std, found.log_std)


def test_it_is_bayes_rule():
    a, b = normal(1), normal(1)
    grid = torch.linspace(-30, 30, 60_001).unsqueeze(-1)
    joint = (a.log_prob(grid) + b.log_prob(grid)).exp()
    expected = joint / torch.trapezoid(joint, dx=0.001)
    torch.testing.assert_close(product(a, b).log_prob(grid).exp(), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("far", [-60.0, 60.0])
def test_extreme_precisions_stay_finite(far):
    vague = DiagonalNormal(torch.zeros(2), torch.full((2,), far, requires_grad=True))
    other = normal(2)
    found = product(vague, other)
    expected = other if far > 0 else vague
    torch.testing.assert_close(found.mean, expected.mean)
    torch.testing.assert_close(found.log_std, expected.log_std)
    found.rsample().sum().backward()
    assert vague.log_std.grad.isfinite().all()


def test_gradients_reach_message_and_prior():
    posterior = c.PrecisionWeighted(message())
    prior = DiagonalNormal(torch.randn(5, 2, requires_grad=True), torch.randn(5, 2, requires_grad=True))
    posterior(torch.randn(5, 3), prior).rsample().square().sum().backward()
    for tensor in (prior.loc, prior.log_std, *posterior.parameters()):
        assert (tensor.grad != 0).any()


def test_other_families_are_refused():
    posterior = c.PrecisionWeighted(message())
    with pytest.raises(UnsupportedError, match="diagonal Gaussians"):
        posterior(torch.randn(5, 3), c.StandardGaussian((2,))())
    other = c.PrecisionWeighted(c.CholeskyGaussian(lambda output: MLP([(3,)], output), (2,)))
    with pytest.raises(UnsupportedError, match="CholeskyNormal"):
        other(torch.randn(5, 3), normal(5, 2))
