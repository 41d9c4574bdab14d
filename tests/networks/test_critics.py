"""Critics, normalisation over the batch, and the networks of Larsen et al."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vaekit.networks.batch_norm import BatchNorm
from vaekit.networks.critics import Critic, make_critic
from vaekit.networks.larsen import LarsenDecoder, LarsenEncoder

EXACT = {"rtol": 1e-11, "atol": 1e-12}


pytestmark = pytest.mark.usefixtures("double")


@pytest.mark.parametrize("shape", [(5, 4), (6, 4, 3, 3)])
def test_batch_norm_is_torchs_own_but_moves_its_averages_after_the_step(shape):
    images = len(shape) == 4
    ours, theirs = BatchNorm(4, images), (nn.BatchNorm2d if images else nn.BatchNorm1d)(4)
    with torch.no_grad():
        for module in (ours, theirs):
            module.weight.copy_(torch.linspace(0.5, 2, 4))
            module.bias.copy_(torch.linspace(-1, 1, 4))
    for _ in range(3):
        x = (3 * torch.randn(shape) + 1).requires_grad_()
        mine, other = ours(x), theirs(x)
        torch.testing.assert_close(mine, other, **EXACT)
        slope = torch.randn(shape)
        for a, b in zip(
            torch.autograd.grad((mine * slope).sum(), [x, *ours.parameters()]),
            torch.autograd.grad((other * slope).sum(), [x, *theirs.parameters()]),
            strict=True,
        ):
            torch.testing.assert_close(a, b, **EXACT)
        assert not torch.allclose(ours.mean, theirs.running_mean)
        ours.after_step()
        torch.testing.assert_close(ours.mean, theirs.running_mean, **EXACT)
        torch.testing.assert_close(ours.variance, theirs.running_var, **EXACT)
        ours.after_step()  # nothing was seen since
        torch.testing.assert_close(ours.mean, theirs.running_mean, **EXACT)
    ours.eval(), theirs.eval()
    x = torch.randn(shape)
    torch.testing.assert_close(ours(x), theirs(x), **EXACT)
    assert set(ours.state_dict()) == {"weight", "bias", "mean", "variance"}


def test_two_passes_of_a_step_count_as_their_mean():
    norm = BatchNorm(2)
    first, second = torch.randn(6, 2), 4 * torch.randn(3, 2)
    norm(first), norm(second)
    norm.after_step()
    torch.testing.assert_close(norm.mean, 0.1 * (first.mean(0) + second.mean(0)) / 2, **EXACT)
    torch.testing.assert_close(norm.variance, 0.9 + 0.1 * (first.var(0) + second.var(0)) / 2, **EXACT)


def test_one_value_is_normalised_by_the_averages_and_changes_nothing():
    norm = BatchNorm(2)
    norm(torch.randn(6, 2))
    norm.after_step()
    kept = norm.mean.clone()
    x = torch.randn(1, 2)
    expected = (x - norm.mean) / (norm.variance + 1e-5).sqrt()
    torch.testing.assert_close(norm(x), expected, **EXACT)
    norm.after_step()
    assert torch.equal(norm.mean, kept)
    alone = BatchNorm(2, running=False)
    torch.testing.assert_close(alone(x), torch.zeros(1, 2), atol=1e-10, rtol=0)
    assert not list(alone.buffers())
    pair = torch.randn(2, 2)
    torch.testing.assert_close(alone.eval()(pair), alone.train()(pair), rtol=0, atol=0)


CRITICS = {
    "mlp": (("mlp", (1, 3, 3), 2, (7, 6)), [7, 6]),
    "conv28": (("conv", (1, 28, 28)), [32 * 14 * 14, 64 * 7 * 7, 256]),
    "larsen": (("conv", (1, 32, 32)), [32 * 32 * 32, 128 * 16 * 16, 256 * 8 * 8, 256 * 4 * 4, 512]),
}


@pytest.mark.parametrize("name", CRITICS)
def test_features_of_every_layer_are_those_of_one_pass(name):
    arguments, widths = CRITICS[name]
    event = arguments[1]
    x = torch.rand(2, *event)
    torch.manual_seed(1)
    default = make_critic(*arguments)
    assert default.layer == len(widths)
    for layer in range(len(widths) + 1):
        torch.manual_seed(1)
        critic = make_critic(*arguments[:2], *(arguments[2:] or (1, None)), layer=layer)
        features, logits = critic(x)
        assert features.shape == (2, [x[0].numel(), *widths][layer])
        assert logits.shape == (2, arguments[2] if len(arguments) > 2 else 1)
        torch.testing.assert_close(logits, default(x).logits, rtol=0, atol=0)
        torch.testing.assert_close(critic.features(x), features, rtol=0, atol=0)
        if layer == 0:
            torch.testing.assert_close(features, x.flatten(1), rtol=0, atol=0)


def test_features_come_before_the_nonlinearity():
    critic = make_critic("mlp", (4,), hidden=(50, 40), layer=1)
    features = critic(torch.randn(9, 4)).features
    assert features.min() < 0
    torch.testing.assert_close(critic(torch.zeros(1, 4)).features, critic.layers[0][1].bias[None])


def test_layers_that_are_not_there_are_refused():
    for layer in (-1, 3):
        with pytest.raises(ValueError, match=rf"`layer` is {layer}; this critic has the layers 0 .* to 2"):
            make_critic("mlp", (4,), hidden=(5, 6), layer=layer)
    with pytest.raises(ValueError, match=r"`event` is \(1, 30, 30\), but a critic with convolutions takes"):
        make_critic("conv", (1, 30, 30))
    assert Critic([nn.Linear(2, 1)]).layer == 0


def test_the_papers_networks_at_64_pixels():
    with torch.device("meta"):
        critic = make_critic("conv", (3, 64, 64), layer=4)
        encoder = LarsenEncoder([(3, 64, 64)], (256,))
        decoder = LarsenDecoder([(128,)], (3, 64, 64))

    def shapes(network, *kinds):
        return [tuple(m.weight.shape) for m in network.modules() if isinstance(m, kinds)]

    assert shapes(critic, nn.Conv2d, nn.Linear) == [
        (32, 3, 5, 5), (128, 32, 5, 5), (256, 128, 5, 5), (256, 256, 5, 5), (512, 256 * 64), (1, 512),
    ]  # fmt: skip
    assert shapes(encoder, nn.Conv2d, nn.Linear) == [
        (64, 3, 5, 5), (128, 64, 5, 5), (256, 128, 5, 5), (1024, 256 * 64), (256, 1024),
    ]  # fmt: skip
    assert shapes(decoder, nn.ConvTranspose2d, nn.Conv2d, nn.Linear) == [
        (256 * 64, 128), (256, 256, 5, 5), (256, 128, 5, 5), (128, 32, 5, 5), (3, 32, 5, 5),
    ]  # fmt: skip
    assert len([m for m in critic.modules() if isinstance(m, BatchNorm)]) == 4


def test_larsen_pair_takes_samples_and_contexts():
    encoder, decoder = LarsenEncoder([(1, 32, 32), (3,)], (4, 2)), LarsenDecoder([(4,), (3,)], (1, 32, 32))
    for network in (encoder, decoder):
        network.eval()
    x, c = torch.rand(2, 1, 32, 32), torch.rand(2, 3)
    assert encoder(x, c).shape == (2, 4, 2)
    assert not torch.allclose(encoder(x, c), encoder(x, c + 1))
    z = torch.randn(2, 2, 4)
    made = decoder(z, c)
    assert made.shape == (2, 2, 1, 32, 32)
    loop = torch.stack([decoder(z[s], c) for s in range(2)])
    torch.testing.assert_close(made, loop)
    torch.testing.assert_close(made[0, 0], decoder(z[0, :1], c[:1])[0])
    with pytest.raises(ValueError, match=r"LarsenEncoder takes \(channels, 32, 32\) or \(channels, 64, 64\)"):
        LarsenEncoder([(1, 28, 28)], (4,))
    with pytest.raises(ValueError, match=r"LarsenDecoder takes \(channels, 32, 32\) or"):
        LarsenDecoder([(4,)], (1, 16, 16))


def test_gradients_reach_every_parameter():
    for network, inputs in (
        (LarsenEncoder([(1, 32, 32), (3,)], (4,)), (torch.rand(3, 1, 32, 32), torch.rand(3, 3))),
        (LarsenDecoder([(4,), (3,)], (1, 32, 32)), (torch.randn(3, 4), torch.rand(3, 3))),
    ):
        network(*inputs).square().sum().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name
