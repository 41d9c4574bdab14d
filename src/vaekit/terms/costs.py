"""Costs of a reconstruction that are no likelihood."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaekit.checks import number, whole
from vaekit.distributions import squared_distance, sum_event
from vaekit.errors import UnsupportedError
from vaekit.terms.parts import per_datum
from vaekit.trace import Trace


class SquaredError:
    """|x - E[x|z]|^2 summed over elements, one value per datum, in the square of the data's unit.

    It needs no density, so that a decoder may return points (`conditionals.Deterministic`).
    """

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        return _summed(trace, squared_distance)


class BlurredError(nn.Module):
    """|b(x / s) - b(E[x|z] / s)|^2 summed over elements, b a box blur: one value per datum.

    Things that do not overlap are equally far from each other, wherever they are, to a loss that looks at
    one pixel at a time. Blurred, they overlap the more the nearer they are. The blur is linear, so that it is
    taken once, of the difference.

    Args:
        radius: r of the box, see `box_blur`; with 0 there is no blur, and this is the squared error.
        unit: s, in which the values of each channel are measured: one number for all of them, or one each.
            Where it is their standard deviation, this is the error of standardised data.

    Raises:
        ValueError: for a negative radius, or a unit that is not positive.

    References:
        Overlooked Implications of the Reconstruction Loss for VAE Disentanglement, N. Michlo, R. Klein,
        S. James, IJCAI 2023, arXiv 2202.13341, equation 11.
    """

    def __init__(self, radius: int, unit: Sequence[float] = (1.0,)) -> None:
        super().__init__()
        self.radius = whole("radius", radius, least=0)
        units = [number(f"unit[{i}]", value, above=0) for i, value in enumerate(unit)]
        shares = None if set(units) == {1.0} else torch.tensor(units).reciprocal()[:, None, None]
        self.register_buffer("shares", shares, persistent=False)
        self.shares: Tensor | None

    def forward(self, trace: Trace) -> Tensor:
        """(batch,); the event is a picture, (channels, height, width)."""
        return _summed(trace, self._distance)

    def _distance(self, x: Tensor, mean: Tensor, event_dims: int) -> Tensor:
        error = x - mean
        if error.dim() < 4:
            raise UnsupportedError(
                f"data of shape {tuple(error.shape[1:])} are no picture, (channels, height, width), so there "
                "is nothing to blur: use SquaredError"
            )
        seen = box_blur(error if self.shares is None else error * self.shares, self.radius)
        return sum_event(seen.square(), event_dims)

    def extra_repr(self) -> str:
        """What the buffer does not show."""
        return f"radius={self.radius}"


def box_blur(pictures: Tensor, radius: int) -> Tensor:
    """The mean over the square of (2 r + 1)^2 pixels around each pixel; outside the picture there are zeros.

    Two passes along one axis each, by differences of cumulative sums: the work does not grow with the radius.

    Args:
        pictures: (*lead, height, width).
        radius: r.

    Returns:
        Pictures of the same size, (*lead, height, width).
    """
    if not radius:
        return pictures
    box = 2 * radius + 1
    height, width = pictures.shape[-2:]
    sums = functional.pad(pictures, (radius + 1, radius)).cumsum(-1)
    rows = sums[..., box:] - sums[..., :width]
    sums = functional.pad(rows, (0, 0, radius + 1, radius)).cumsum(-2)
    return (sums[..., box:, :] - sums[..., :height, :]) / box**2


def _summed(trace: Trace, distance: Callable[[Tensor, Tensor, int], Tensor]) -> Tensor:
    """Distances of observed variables from their means, (batch,); told the number of event axes."""
    total: Tensor | None = None
    for observed in trace.observed.values():
        value = distance(observed.value, observed.p.mean, len(observed.p.event_shape))
        total = value if total is None else total + value
    if total is None:
        raise UnsupportedError("the trace has no observed variable, so there is nothing to reconstruct")
    return per_datum(total, trace)
