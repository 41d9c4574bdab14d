"""Correlation measures: zeros, constants and gradients, in closed form."""

from __future__ import annotations

import pytest
import torch

from vaekit.distributions import DiagonalNormal, PointMass, StandardNormal
from vaekit.terms import MMD
from vaekit.terms.correlation import InverseWeighted, LiteralMahalanobis, Mahalanobis, make_measure
from vaekit.terms.discrepancy import squared_mmd
from vaekit.trace import Latent, Trace

pytestmark = pytest.mark.usefixtures("double")


def trace_of(mean, log_std=None, value=None):
    q = PointMass(mean) if log_std is None else DiagonalNormal(mean, log_std)
    value = q.rsample() if value is None else value
    latent = Latent(value, q, StandardNormal(mean.shape[-1:], mean))
    return Trace({"x": torch.zeros(len(mean), 1)}, {"z": latent}, {})


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_the_discrepancy_of_a_sample_and_itself_is_zero(scale):
    z = torch.randn(9, 4)
    assert float(squared_mmd(z, z, "rbf", (scale,), biased=True)) == pytest.approx(0, abs=1e-14)
    assert float(squared_mmd(z, z, "rbf", (scale,))) < -1e-3  # without pairs of a point with itself
    assert float(squared_mmd(z, z + 1, "rbf", (scale,), biased=True)) > 1e-2


def test_the_biased_discrepancy_by_hand():
    """k = exp(-mean_d (u - v)^2 / d), all pairs, as GCVAE has it."""
    a, b = torch.randn(5, 3), torch.randn(5, 3) + 0.5

    def kernel(u, v):
        return (-(u[:, None] - v[None]).square().mean(-1) / 3).exp().mean()

    expected = kernel(a, a) + kernel(b, b) - 2 * kernel(a, b)
    torch.testing.assert_close(squared_mmd(a, b, "rbf", (1.5,), biased=True), expected)
    torch.manual_seed(3)
    drawn = torch.randn(5, 3)
    torch.manual_seed(3)
    found = make_measure("mmd", 3)(trace_of(a))
    torch.testing.assert_close(found, kernel(a, a) + kernel(drawn, drawn) - 2 * kernel(a, drawn))


def test_one_point_has_a_biased_discrepancy():
    a, b = torch.randn(1, 3), torch.randn(1, 3)
    expected = 2 - 2 * (-(a - b).square().sum() / (6 * 0.7)).exp()
    torch.testing.assert_close(squared_mmd(a, b, "rbf", (0.7,), biased=True), expected)
    assert float(squared_mmd(a, b, "rbf", (0.7,))) == 0


@pytest.mark.parametrize("spread", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("correlated", [False, True])
def test_the_literal_mahalanobis_distance_is_a_constant(spread, correlated):
    z = torch.randn(64, 5) * spread + 7
    if correlated:
        z = z @ torch.randn(5, 5)
    z.requires_grad_()
    value = LiteralMahalanobis()(trace_of(z, value=z))
    assert float(value) == pytest.approx(4.921875, rel=1e-9)
    assert not value.requires_grad
    few = torch.randn(3, 5)
    assert float(LiteralMahalanobis()(trace_of(few))) == pytest.approx(2 * 2 / 3)
    assert float(LiteralMahalanobis()(trace_of(few[:1]))) == 0


def test_the_repaired_one_is_zero_at_the_prior_and_nowhere_near():
    measure, zero = Mahalanobis(), torch.zeros(6, 3)
    assert float(measure(trace_of(zero, torch.zeros(6, 3)))) == pytest.approx(0, abs=1e-14)
    # codes that hold information have it too, if q(z) has the prior's moments: x = +-0.8, s = 0.6
    mean = torch.tensor([[0.8], [-0.8]] * 3).expand(6, 3) * torch.tensor([1.0, 1.0, 1.0])
    mean = torch.stack([mean[:, 0], mean[[0, 0, 1, 1, 0, 1], 0], torch.zeros(6)], 1)
    std = torch.tensor([0.6, 0.6, 1.0]).log().expand(6, 3)
    off = float((mean[:, 0] * mean[:, 1]).mean())
    expected = -0.5 * torch.log(torch.tensor(1 - off**2))
    torch.testing.assert_close(measure(trace_of(mean, std)), expected)
    assert float(measure(trace_of(zero + 0.1, torch.zeros(6, 3)))) == pytest.approx(3 * 0.01)
    assert float(measure(trace_of(zero, torch.full((6, 3), 0.1)))) > 0.01


def test_the_repaired_one_by_hand():
    mean, log_std = torch.randn(7, 2), 0.3 * torch.randn(7, 2)
    centred = mean - mean.mean(0)
    sigma = centred.mT @ centred / 7 + (2 * log_std).exp().mean(0).diag()
    m = mean.mean(0)
    expected = m @ torch.linalg.inv((sigma + torch.eye(2)) / 2) @ m
    expected += 0.5 * (sigma.trace() - torch.log(torch.linalg.det(sigma)) - 2)
    torch.testing.assert_close(Mahalanobis()(trace_of(mean, log_std)), expected)


def test_the_repaired_one_has_a_gradient_that_leads_to_the_prior():
    mean, log_std = (2 * torch.randn(32, 3) + 1).requires_grad_(), (torch.zeros(32, 3) - 1).requires_grad_()
    optimizer = torch.optim.Adam([mean, log_std], 0.05)
    first = None
    for _ in range(400):
        value = Mahalanobis()(trace_of(mean, log_std))
        first = value.item() if first is None else first
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert first > 1
    assert value.item() < 1e-4
    assert mean.mean(0).abs().max().item() < 0.02
    literal = LiteralMahalanobis()(trace_of(mean, value=mean))
    assert not literal.requires_grad


def test_a_batch_of_one():
    mean, log_std = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, -1.0]])
    expected = 1.0 + 0.5 * (torch.exp(torch.tensor(-2.0)) + 2 - 1)
    torch.testing.assert_close(Mahalanobis()(trace_of(mean, log_std)), expected)


def test_the_weighted_discrepancy():
    z = (torch.randn(12, 3) * torch.tensor([0.5, 1.0, 2.0])).requires_grad_()
    inner = MMD("rbf", (1.5,), biased=True)
    values = []
    for measure in (inner, InverseWeighted(inner)):
        torch.manual_seed(4)
        value = measure(trace_of(z, value=z))
        (slope,) = torch.autograd.grad(value, z)
        values.append((value.detach(), slope))
    factor = torch.linalg.inv(torch.cov(z.detach().mT)).diagonal().mean()
    torch.testing.assert_close(values[1][0], factor * values[0][0])
    torch.testing.assert_close(values[1][1], factor * values[0][1])  # the factor has no gradient
    few = z.detach()[:3]
    torch.manual_seed(4)
    plain = inner(trace_of(few))
    torch.manual_seed(4)
    torch.testing.assert_close(InverseWeighted(inner)(trace_of(few)), plain)
