"""Ellipses whose residuals run along them."""

from __future__ import annotations

import math

import torch

from vaekit.worlds import ellipses16
from vaekit.worlds.ellipses16 import ALONG, NOISE, STRENGTH, covariance


def test_covariance_by_hand():
    """Level 1/2 everywhere, the long axis along the rows, then along the columns."""
    mean = torch.full((2, 1, 16, 16), 0.5, dtype=torch.float64)
    flat, upright = covariance(mean, torch.tensor([0.0, math.pi / 2]))
    assert flat[0, 0] == STRENGTH / 4 + NOISE
    beside, below = math.exp(-0.5 / ALONG**2), math.exp(-0.5 / 0.7**2)
    torch.testing.assert_close(flat[0, 1].item(), STRENGTH / 4 * beside)
    torch.testing.assert_close(flat[0, 16].item(), STRENGTH / 4 * below)
    torch.testing.assert_close(upright[0, 16].item(), STRENGTH / 4 * beside)
    torch.testing.assert_close(upright[0, 1].item(), STRENGTH / 4 * below)
    assert torch.linalg.eigvalsh(flat).min() > 0.9 * NOISE


def test_residuals_run_along_the_ellipse():
    """Whitened by the true factor they are independent; picture and angle agree in their direction."""
    data = ellipses16(60, seed=1)
    assert data.x.shape == data.mean.shape == (60, 1, 16, 16)
    truth = covariance(data.mean.double(), data.angle)
    residual = (data.x - data.mean).double().flatten(1).unsqueeze(-1)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(truth), residual, upper=False)
    assert abs(white.square().mean().item() - 1) < 0.05
    # the direction of the mean picture's second moments is the angle that its covariance is turned by
    place = torch.arange(16.0)
    weight = data.mean[:, 0] / data.mean.sum((1, 2, 3)).view(-1, 1, 1)
    x, y = (weight * place).sum((1, 2)), (weight * place.view(-1, 1)).sum((1, 2))
    across, down = place - x.view(-1, 1, 1), place.view(-1, 1) - y.view(-1, 1, 1)
    moments = [(weight * product).sum((1, 2)) for product in (across**2 - down**2, 2 * across * down)]
    found = 0.5 * torch.atan2(moments[1], moments[0])
    assert torch.cos(2 * (found - data.angle)).min() > 0.98


def test_the_seed_decides():
    first, again, other = ellipses16(3, 1), ellipses16(3, 1), ellipses16(3, 2)
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.x, other.x)
