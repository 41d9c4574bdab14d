"""What is particular to each architecture: layers, weights, options, and the choice by name."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from torch import nn
from torch.nn import functional

from vaekit.networks import (
    MLP,
    Conv28Decoder,
    Conv28Encoder,
    GatedMLP,
    ResidualDecoder,
    ResidualEncoder,
    StudyDecoder,
    StudyEncoder,
    make_decoder,
    make_encoder,
    resolve,
)


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


# --- mlp ---


def test_mlp_is_the_sequential_network() -> None:
    net = MLP([(5,)], (4,), hidden=(7, 6), activation="tanh")
    by_hand = nn.Sequential(net.hidden[0], nn.Tanh(), net.hidden[1], nn.Tanh(), net.output_layer)
    x = torch.randn(3, 5)
    torch.testing.assert_close(net(x), by_hand(x), rtol=0, atol=0)
    assert count(net) == (5 + 1) * 7 + (7 + 1) * 6 + (6 + 1) * 4


def test_mlp_without_hidden_layers_is_affine() -> None:
    net = MLP([(2, 2), (3,)], (4,), hidden=(), activation="relu").double()
    assert count(net) == (4 + 3 + 1) * 4
    x, c = torch.randn(5, 2, 2).double(), torch.randn(5, 3).double()
    zero = net(0 * x, 0 * c)
    torch.testing.assert_close(net(2 * x, 2 * c) - zero, 2 * (net(x, c) - zero))
    expected = torch.cat([x.flatten(1), c], 1) @ net.output_layer.weight.T + net.output_layer.bias
    torch.testing.assert_close(net(x, c), expected)


ACTIVATIONS = {
    "relu": lambda x: x.clamp(min=0),
    "tanh": lambda x: 2 * torch.sigmoid(2 * x) - 1,
    "elu": lambda x: torch.where(x > 0, x, x.exp() - 1),
    "gelu": lambda x: x * torch.special.ndtr(x),
    "silu": lambda x: x / (1 + (-x).exp()),
    "leaky_relu": lambda x: torch.where(x > 0, x, 0.01 * x),
    "softplus": lambda x: (1 + x.exp()).log(),
    "identity": lambda x: x,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_activations(activation: str) -> None:
    net = MLP([(5,)], (4,), hidden=(50,), activation=activation).double()
    x = torch.randn(3, 5).double()
    hidden = ACTIVATIONS[activation](x @ net.hidden[0].weight.T + net.hidden[0].bias)
    torch.testing.assert_close(net(x), hidden @ net.output_layer.weight.T + net.output_layer.bias)
    assert f"activation={activation!r}" in repr(net)


def test_initial_weights_of_the_mlp() -> None:
    torch_net, glorot = (MLP([(200,)], (100,), hidden=(300,), init=init) for init in ("torch", "glorot"))
    bound = sqrt(6 / (200 + 300))
    weight = glorot.hidden[0].weight
    assert weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / sqrt(3), rel=0.02)
    assert not any(layer.bias.any() for layer in (*glorot.hidden, glorot.output_layer))
    assert glorot.output_layer.weight.std().item() == pytest.approx(sqrt(2 / 400), rel=0.02)
    assert torch_net.hidden[0].weight.std().item() == pytest.approx(1 / sqrt(3 * 200), rel=0.02)
    assert torch_net.hidden[0].bias.any()


def test_mlp_refusals() -> None:
    with pytest.raises(ValueError, match="`activation` is 'swish'; expected one of relu, tanh"):
        MLP([(2,)], (2,), activation="swish")
    with pytest.raises(ValueError, match="`init` is 'zero'; expected one of torch, glorot"):
        MLP([(2,)], (2,), init="zero")
    with pytest.raises(ValueError, match=r"`hidden` is \(5, 0\)"):
        MLP([(2,)], (2,), hidden=(5, 0))


# --- gated ---


def test_gated_layer_is_h_times_sigmoid_of_g() -> None:
    net = GatedMLP([(4,)], (2,), hidden=(3,)).double()
    x = torch.randn(5, 4).double()
    weight, bias = net.hidden[0].weight, net.hidden[0].bias
    h, g = x @ weight[:3].T + bias[:3], x @ weight[3:].T + bias[3:]
    y = h / (1 + (-g).exp())
    torch.testing.assert_close(net(x), y @ net.output_layer.weight.T + net.output_layer.bias)


def test_gated_weights_are_he_normal_and_hidden_counts() -> None:
    net = GatedMLP([(784,)], (80,))
    assert [layer.weight.shape for layer in net.hidden] == [(600, 784), (600, 300)]
    for layer in (*net.hidden, net.output_layer):
        std = sqrt(2 / layer.in_features)
        assert layer.weight.std().item() == pytest.approx(std, rel=0.03)
        assert layer.weight.abs().max() > 2.5 * std  # a uniform law would end at 1.73 of it
    assert count(GatedMLP([(4,)], (2,), hidden=(3,))) == 2 * (4 + 1) * 3 + (3 + 1) * 2
    with pytest.raises(ValueError, match=r"`hidden` is \(-1,\)"):
        GatedMLP([(4,)], (2,), hidden=(-1,))


# --- convolutional ---


def test_parameter_counts_of_the_study_pair() -> None:
    assert count(StudyEncoder([(1, 64, 64)], (20,))) == 309_204
    assert count(StudyDecoder([(10,)], (1, 64, 64))) == 381_313


def test_resolutions_of_the_study_encoder() -> None:
    x, shapes = torch.zeros(1, 1, 64, 64), []
    for layer in StudyEncoder([(1, 64, 64)], (20,)).convolutions:
        x = layer(x)
        if isinstance(layer, nn.Conv2d):
            shapes.append(tuple(x.shape[1:]))
    assert shapes == [(32, 32, 32), (32, 16, 16), (64, 8, 8), (64, 4, 4)]


def test_study_pair_by_hand() -> None:
    encoder, decoder = StudyEncoder([(1, 64, 64)], (20,)), StudyDecoder([(10,)], (1, 64, 64))
    x, z = torch.rand(2, 1, 64, 64), torch.randn(2, 10)
    h = x
    for layer, padding in zip(encoder.convolutions[::2], (1, 1, 0, 0), strict=True):
        h = functional.conv2d(h, layer.weight, layer.bias, stride=2, padding=padding).relu()
    expected = encoder.output_layer(encoder.dense(h.reshape(2, 1024)).relu())
    torch.testing.assert_close(encoder(x), expected)
    h = decoder.dense(decoder.first(z).relu()).relu().reshape(2, 64, 4, 4)
    for layer in decoder.convolutions[::2]:
        h = functional.conv_transpose2d(h, layer.weight, layer.bias, stride=2, padding=1).relu()
    last = decoder.output_layer
    expected = functional.conv_transpose2d(h, last.weight, last.bias, stride=2, padding=1)
    torch.testing.assert_close(decoder(z), expected)
    assert expected.min() < 0 < expected.max()  # logits: nothing squashes them


@pytest.mark.parametrize(
    "net",
    [
        StudyEncoder([(3, 64, 64)], (20,)),
        StudyDecoder([(10,)], (3, 64, 64)),
        Conv28Encoder([(1, 28, 28)], (20,)),
        Conv28Decoder([(10,)], (1, 28, 28)),
    ],
    ids=lambda net: type(net).__name__,
)
def test_convolutional_weights_are_glorot_uniform(net: nn.Module) -> None:
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            area = layer.weight[0, 0].numel()
            bound = sqrt(6 / (area * (layer.weight.shape[0] + layer.weight.shape[1])))
            assert bound * 0.95 < layer.weight.abs().max() <= bound
            assert not layer.bias.any()


def test_parameter_counts_of_the_28_pair() -> None:
    convolutions = (16 * 1 + 1) * 32 + (16 * 32 + 1) * 64
    assert count(Conv28Encoder([(1, 28, 28)], (20,))) == convolutions + 3137 * 256 + 257 * 20
    convolutions = (16 * 64 + 1) * 32 + (16 * 32 + 1) * 1
    assert count(Conv28Decoder([(10,)], (1, 28, 28))) == 11 * 256 + 257 * 3136 + convolutions


def test_convolutional_pairs_refuse_other_shapes() -> None:
    for kind, sizes in ((StudyEncoder, "64, 64"), (Conv28Encoder, "28, 28"), (ResidualEncoder, "32, 32")):
        for event in ((1, 48, 48), (1, 64, 32), (64, 64), (784,)):
            with pytest.raises(
                ValueError, match=rf"`inputs\[0\]` is .* {kind.__name__} takes \(channels, {sizes}\)"
            ):
                kind([event], (20,))
    for decoder in (StudyDecoder, Conv28Decoder, ResidualDecoder):
        with pytest.raises(ValueError, match=rf"`output` is \(1, 48, 48\), but {decoder.__name__} takes"):
            decoder([(10,)], (1, 48, 48))


# --- residual ---


@pytest.mark.parametrize(("size", "stages"), [(32, 3), (64, 4), (128, 5)])
def test_residual_pair_goes_down_to_four_pixels(size: int, stages: int) -> None:
    encoder = ResidualEncoder([(1, size, size)], (20,), width=8)
    with torch.no_grad():
        h = encoder.convolutions(torch.zeros(1, 1, size, size))
    assert h.shape == (1, 32, 4, 4)
    assert len(encoder.convolutions) == 1 + stages + 2
    assert len(ResidualDecoder([(10,)], (1, size, size), width=8).convolutions) == stages + 2


def test_a_residual_block_keeps_its_input_when_its_branch_is_silent() -> None:
    down = ResidualEncoder([(1, 32, 32)], (2,), width=8).convolutions[1]
    up = ResidualDecoder([(2,)], (1, 32, 32), width=8).convolutions[0]
    x = torch.randn(2, 8, 16, 16)
    y = torch.randn(2, 32, 4, 4)
    for block in (down, up):
        nn.init.zeros_(block.conv2.weight)
        nn.init.zeros_(block.conv2.bias)
    pooled = x.reshape(2, 8, 8, 2, 8, 2).mean((3, 5))
    torch.testing.assert_close(down(x), down.shortcut(pooled))
    torch.testing.assert_close(up(y), up.shortcut(y.repeat_interleave(2, 2).repeat_interleave(2, 3)))


def test_residual_width() -> None:
    assert count(ResidualEncoder([(1, 32, 32)], (20,), width=16)) > count(
        ResidualEncoder([(1, 32, 32)], (20,), width=8)
    )
    assert ResidualDecoder([(10,)], (1, 32, 32)).output_layer.in_channels == 32
    for kind, inputs, output in (
        (ResidualEncoder, [(1, 32, 32)], (20,)),
        (ResidualDecoder, [(10,)], (1, 32, 32)),
    ):
        for width in (0, 12, -8):
            with pytest.raises(ValueError, match=rf"`width` is {width}; expected a positive multiple of 8"):
                kind(inputs, output, width=width)


# --- the choice by name ---


@pytest.mark.parametrize(
    ("architecture", "event", "encoder", "decoder"),
    [
        ("auto", (1, 64, 64), StudyEncoder, StudyDecoder),
        ("auto", (3, 64, 64), StudyEncoder, StudyDecoder),
        ("auto", (3, 32, 32), ResidualEncoder, ResidualDecoder),
        ("auto", (1, 128, 128), ResidualEncoder, ResidualDecoder),
        ("auto", (1, 28, 28), MLP, MLP),
        ("auto", (1, 8, 8), MLP, MLP),
        ("auto", (64,), MLP, MLP),
        ("auto", (1, 64, 32), MLP, MLP),
        ("mlp", (1, 64, 64), MLP, MLP),
        ("gated", (1, 28, 28), GatedMLP, GatedMLP),
        ("conv", (1, 28, 28), Conv28Encoder, Conv28Decoder),
        ("conv", (3, 64, 64), StudyEncoder, StudyDecoder),
        ("resnet", (3, 64, 64), ResidualEncoder, ResidualDecoder),
    ],
)
def test_architecture_by_name(
    architecture: str, event: tuple[int, ...], encoder: type[nn.Module], decoder: type[nn.Module]
) -> None:
    down = make_encoder(architecture, [event, (3,)], (20,))
    up = make_decoder(architecture, [(10,), (3,)], event)
    assert type(down) is encoder
    assert type(up) is decoder
    assert (down.inputs, down.output) == ((event, (3,)), (20,))
    assert (up.inputs, up.output) == (((10,), (3,)), event)
    two = make_decoder(architecture, [(10,)], (2 * event[0], *event[1:]))
    assert type(two) is decoder  # two parameters for each pixel change nothing in the choice


@pytest.mark.parametrize("architecture", ["mlp", "gated"])
def test_hidden_widths_are_passed_on(architecture: str) -> None:
    assert len(make_encoder(architecture, [(9,)], (2,), (5, 4, 3)).hidden) == 3
    assert len(make_decoder(architecture, [(2,)], (9,), (5, 4, 3)).hidden) == 3
    assert len(make_decoder(architecture, [(2,)], (9,), ()).hidden) == 0
    assert len(make_encoder(architecture, [(9,)], (2,)).hidden) == {"mlp": 1, "gated": 2}[architecture]


def test_architectures_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'conv' takes images .*28, 28.*64, 64.*; got \(1, 32, 32\)"):
        make_encoder("conv", [(1, 32, 32)], (20,))
    with pytest.raises(ValueError, match=r"'resnet' takes images .*32, 32.*128, 128\); got \(1, 28, 28\)"):
        make_decoder("resnet", [(10,)], (1, 28, 28))
    with pytest.raises(ValueError, match=r"'conv' takes images .*; got \(784,\)"):
        make_decoder("conv", [(10,)], (784,))
    with pytest.raises(
        ValueError, match="`architecture` is 'vit'; expected one of auto, mlp, gated, conv, resnet"
    ):
        make_encoder("vit", [(784,)], (20,))
    assert resolve("auto", (784,)) == "mlp"
