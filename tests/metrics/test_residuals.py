"""Correlation of neighbouring residuals, where it is known."""

from __future__ import annotations

import pytest
import torch

from vaekit.metrics import neighbour_correlation


def test_by_hand():
    r = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    # right: 1*2 + 3*4 = 14, down: 1*3 + 2*4 = 11; four pairs; mean square 30 / 4
    assert neighbour_correlation(r) == pytest.approx((25 / 4) / 7.5)
    inside = torch.tensor([[[[True, True], [True, False]]]])
    assert neighbour_correlation(r, inside) == pytest.approx((5 / 2) / (14 / 3))


def test_independent_and_equal_pixels():
    noise = torch.randn(200, 1, 16, 16, dtype=torch.float64)
    assert abs(neighbour_correlation(noise)) < 5 / noise.numel() ** 0.5
    assert neighbour_correlation(noise[:, :, :1, :1].expand(-1, -1, 5, 6)) == pytest.approx(1.0)
    checks = (torch.arange(6).view(1, 1, 6, 1) + torch.arange(6)) % 2 * 2.0 - 1
    assert neighbour_correlation(checks) == pytest.approx(-1.0)


def test_a_moving_average_has_half_of_it_in_common():
    noise = torch.randn(2000, 1, 17, 16, dtype=torch.float64)
    rows = noise[:, :, 1:] + noise[:, :, :-1]  # neighbours above each other share one of two: 1/2; beside: 0
    assert neighbour_correlation(rows) == pytest.approx(0.25, abs=0.01)


def test_refusals():
    with pytest.raises(TypeError, match=r"got \(3, 4\)"):
        neighbour_correlation(torch.ones(3, 4))
    with pytest.raises(TypeError, match="nothing to correlate"):
        neighbour_correlation(torch.ones(1, 1, 3, 3), torch.zeros(1, 1, 3, 3))
