"""|a - b|^2 over event axes, by either of its two ways, and its gradients."""

import pytest
import torch

from vaekit.distributions import squared_distance

SHAPES = [
    ((5, 3), (5, 3), 1),
    ((2, 5, 3, 4), (2, 5, 3, 4), 2),
    ((5, 3), (2, 5, 3), 1),  # one datum against several draws
    ((2, 5, 3, 4), (3, 4), 2),
    ((5,), (5,), 0),
]


@pytest.mark.parametrize(("first", "second", "event_dims"), SHAPES)
def test_value_and_gradients(first: tuple[int, ...], second: tuple[int, ...], event_dims: int) -> None:
    a = torch.randn(first, dtype=torch.float64, requires_grad=True)
    b = torch.randn(second, dtype=torch.float64, requires_grad=True)
    found = squared_distance(a, b, event_dims)
    difference = a - b
    shape = difference.shape[: difference.dim() - event_dims]
    expected = difference.pow(2).reshape(*shape, -1).sum(-1)
    torch.testing.assert_close(found, expected)
    weights = torch.randn(shape, dtype=torch.float64)
    slopes = torch.autograd.grad((weights * found).sum(), (a, b))
    slope = 2 * difference * weights.reshape(*shape, *(1 for _ in range(event_dims)))
    torch.testing.assert_close(slopes, (slope.sum_to_size(first), -slope.sum_to_size(second)))
