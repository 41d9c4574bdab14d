"""The DLGM decoder as a network: recursion, leading axes, refusals."""

from __future__ import annotations

import pytest
import torch

from vaekit.networks import DlgmDecoder, set_output_bias


def test_recursion_with_matrices_that_are_not_the_identity():
    net = DlgmDecoder([(3,), (2,)], (5,), hidden=(4,), activation="tanh")
    with torch.no_grad():
        for matrix in net.noise:
            matrix.weight.normal_()
    xi = [torch.randn(6, 3), torch.randn(6, 2)]
    top = xi[1] @ net.noise[1].weight.T
    below = net.between[0](top) + xi[0] @ net.noise[0].weight.T
    torch.testing.assert_close(net(*xi), net.observe(below))
    # each xi reaches the output by its own path
    for level in (0, 1):
        moved = [value + (level == i) for i, value in enumerate(xi)]
        assert (net(*moved) - net(*xi)).abs().min() > 0


def test_one_layer_is_a_matrix_before_a_network():
    net = DlgmDecoder([(3,)], (5,), hidden=(4,))
    xi = torch.randn(6, 3)
    torch.testing.assert_close(net(xi), net.observe(xi))
    assert len(net.between) == 0


def test_leading_axes_broadcast_and_data_stay_apart():
    net = DlgmDecoder([(3,), (2,)], (1, 2, 2), hidden=(4,))
    first, second = torch.randn(5, 6, 3), torch.randn(6, 2)
    out = net(first, second)
    assert out.shape == (5, 6, 1, 2, 2)
    loop = torch.stack([torch.stack([net(first[s, b], second[b]) for b in range(6)]) for s in range(5)])
    torch.testing.assert_close(out, loop)


def test_output_bias_reaches_the_result():
    net = DlgmDecoder([(3,), (2,)], (5,), hidden=(4,))
    with torch.no_grad():
        net.output_layer.weight.zero_()
    set_output_bias(net, torch.arange(5.0))
    torch.testing.assert_close(net(torch.randn(1, 3), torch.randn(1, 2))[0], torch.arange(5.0))


def test_refusals():
    with pytest.raises(ValueError, match=r"one vector \(n,\) for every layer"):
        DlgmDecoder([(1, 4, 4)], (5,))
    with pytest.raises(ValueError, match="got 1 inputs; expected 2"):
        DlgmDecoder([(3,), (2,)], (5,))(torch.zeros(1, 3))
