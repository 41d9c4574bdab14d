"""The densely connected pair: sizes, what every layer sees, and batch normalisation that says so."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vaekit.networks import (
    BatchNorm,
    DenseBlockDecoder,
    DenseBlockEncoder,
    make_decoder,
    make_encoder,
    resolve,
)


@pytest.mark.parametrize("side", [17, 33, 65])
def test_sizes_of_the_pair(side):
    encoder, decoder = DenseBlockEncoder([(3, side, side)], (4,)), DenseBlockDecoder([(2,)], (3, side, side))
    x = torch.randn(2, 3, side, side)
    assert encoder(x).shape == (2, 4)
    assert encoder.convolutions(x).shape == (2, 9, side // 4, side // 4)
    assert encoder.dense.out_features == 9 * (side // 4) ** 2 // 2
    assert decoder(torch.randn(2, 2)).shape == (2, 3, side, side)


def test_leading_axes_and_further_inputs():
    encoder = DenseBlockEncoder([(3, 17, 17), (2,)], (5,)).eval()
    decoder = DenseBlockDecoder([(4,), (2,)], (6, 17, 17)).eval()
    x, c, z = torch.randn(3, 3, 17, 17), torch.randn(3, 2), torch.randn(2, 3, 4)
    assert encoder(x.expand(2, 3, 3, 17, 17), c).shape == (2, 3, 5)
    torch.testing.assert_close(encoder(x, c)[1], encoder(x[1], c[1]))
    assert not torch.allclose(encoder(x, c), encoder(x, c + 1))
    found = decoder(z, c)
    assert found.shape == (2, 3, 6, 17, 17)
    torch.testing.assert_close(found[1, 2], decoder(z[1, 2], c[2]), atol=1e-5, rtol=1e-5)


def test_a_layer_sees_all_that_came_before():
    block = DenseBlockEncoder([(3, 17, 17)], (4,)).convolutions[1].eval()
    x = torch.randn(2, 2, 8, 8)
    seen = x
    for layer in block.layers:
        norm = layer[0][0]
        scaled = (seen - norm.mean[:, None, None]) / (norm.variance + 1e-5).sqrt()[:, None, None]
        made = functional.conv2d(scaled.clamp_min(0), layer[1].weight, padding=1)
        seen = torch.cat([seen, made], 1)
    torch.testing.assert_close(block(x), seen)
    assert seen.shape[1] == block.width == 2 + 4 * 4


def test_every_parameter_has_a_gradient_and_the_batch_is_coupled_in_training_alone():
    net = torch.nn.Sequential(
        DenseBlockEncoder([(3, 17, 17)], (4,)), DenseBlockDecoder([(4,)], (3, 17, 17))
    ).double()
    assert all(part.couples_batch for part in net.modules() if isinstance(part, BatchNorm))
    x = torch.randn(4, 3, 17, 17).double()
    other = torch.cat([x[:1], 10 * torch.randn(3, 3, 17, 17).double()])
    net(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())
    assert not torch.allclose(net(x)[0], net(other)[0])
    net.eval()
    torch.testing.assert_close(net(x)[0], net(other)[0])
    assert torch.isfinite(net.train()(x[:1])).all()  # a last batch of one


def test_choice_by_name():
    assert isinstance(make_encoder("dense_blocks", [(3, 33, 33)], (4,)), DenseBlockEncoder)
    assert isinstance(make_decoder("dense_blocks", [(2,)], (3, 17, 17)), DenseBlockDecoder)
    assert resolve("auto", (3, 17, 17)) == "mlp"
    with pytest.raises(ValueError, match=r"'dense_blocks' takes images \(channels, 17, 17\)"):
        resolve("dense_blocks", (1, 28, 28))
    with pytest.raises(ValueError, match="DenseBlockDecoder takes"):
        DenseBlockDecoder([(2,)], (3, 16, 16))
