"""The ladder's networks, and batch normalisation that moves its averages after the step."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from vaekit.networks import BatchNorm, Downward, Upward

pytestmark = pytest.mark.usefixtures("double")


def test_features_climb_one_from_the_other():
    net = Upward((1, 3, 3), (7, 5, 4))
    x = torch.randn(2, 6, 1, 3, 3)
    found = net(x)
    assert [tuple(h.shape) for h in found] == [(2, 6, 7), (2, 6, 5), (2, 6, 4)]
    h = x.flatten(-3)
    for block, level in zip(net.blocks, found, strict=True):
        for layer in block.layers:
            if isinstance(layer, nn.Linear):
                h = h @ layer.weight.T + layer.bias
                h = torch.where(h > 0, h, 0.1 * h)
        torch.testing.assert_close(level, h)


def test_a_step_down_sees_the_nearest_level_alone():
    net = Downward(3, (2, 2), 5)
    z = torch.randn(4, 6, 3)
    assert net(z).shape == (4, 6, 2, 2)
    assert torch.equal(net(z, torch.randn(4, 6, 9)), net(z))
    with pytest.raises(ValueError, match="event"):
        net(torch.randn(4, 2))


def test_batch_norm_is_that_of_torch():
    ours, theirs = BatchNorm(3), nn.BatchNorm1d(3, momentum=0.1)
    with torch.no_grad():
        for net in (ours, theirs):
            net.weight.copy_(torch.tensor([1.0, 2.0, 0.5]))
            net.bias.copy_(torch.tensor([0.1, 0.0, -1.0]))
    for _ in range(3):
        x = 2 * torch.randn(50, 3) + 1
        torch.testing.assert_close(ours(x), theirs(x))
        ours.after_step()
    torch.testing.assert_close(ours.mean, theirs.running_mean)
    torch.testing.assert_close(ours.variance, theirs.running_var)
    ours.eval()
    x = torch.randn(4, 5, 3)
    expected = (x - ours.mean) / (ours.variance + 1e-5).sqrt() * ours.weight + ours.bias
    torch.testing.assert_close(ours(x), expected)


def test_batch_norm_over_all_leading_axes():
    x = torch.randn(4, 5, 3)
    torch.testing.assert_close(BatchNorm(3)(x), BatchNorm(3)(x.flatten(0, 1)).view(4, 5, 3))


def test_batch_norm_moves_once_a_step_by_the_mean_of_its_passes():
    net = BatchNorm(2)
    first, second = torch.randn(9, 2), 5 + torch.randn(9, 2)
    net(first)
    net(second)
    assert net.mean.tolist() == [0, 0]
    copy.deepcopy(net).after_step()
    expected = 0.1 * (first.mean(0) + second.mean(0)) / 2
    net.after_step()
    torch.testing.assert_close(net.mean, expected)
    net.after_step()
    torch.testing.assert_close(net.mean, expected)


def test_batch_norm_of_one_datum_takes_the_running_averages():
    net = BatchNorm(2)
    x = torch.randn(1, 2)
    torch.testing.assert_close(net(x), x / (1 + 1e-5) ** 0.5)
    net.after_step()
    assert net.mean.tolist() == [0, 0]
