"""A density integrates to one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.testing.words import require


@torch.no_grad()
def check_density(
    distribution: Distribution,
    *,
    low: float | None = None,
    high: float | None = None,
    values: Tensor | None = None,
    points: int = 200_001,
    tolerance: float = 1e-6,
) -> None:
    """Check that exp(log_prob) sums or integrates to one for a distribution over one number.

    Args:
        distribution: with one element in an event, and any batch shape.
        low: lower end of the support; far below the mean (60 standard deviations) by default.
        high: upper end of the support; far above the mean by default.
        values: every value of a discrete distribution, (V,), instead of an interval.
        points: of the trapezoid rule.
        tolerance: largest distance from one.

    Raises:
        AssertionError: if it does not.
    """
    event = distribution.event_shape
    require(event.numel() == 1, f"check_density needs events of one element; got event shape {tuple(event)}")
    lead = [1] * (len(distribution.batch_shape) + len(event))
    if values is not None:
        total = distribution.log_prob(values.view(-1, *lead)).exp().sum(0)
    else:
        if low is None or high is None:
            mean, std = distribution.mean, distribution.variance.sqrt()
            low = float((mean - 60 * std).min()) if low is None else low
            high = float((mean + 60 * std).max()) if high is None else high
        grid = torch.linspace(low, high, points, dtype=torch.float64)
        total = torch.trapezoid(
            distribution.log_prob(grid.view(-1, *lead)).exp(), dx=(high - low) / (points - 1), dim=0
        )
    worst = float((total - 1).abs().max())
    require(worst <= tolerance, f"{distribution} sums to one only within {worst:.3g}; expected {tolerance:g}")
