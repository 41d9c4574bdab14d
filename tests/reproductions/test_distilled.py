"""What the experiments on grey MINI_SPRITES measure, where it is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from vaekit import conditionals as c
from vaekit.models import Flat
from vaekit.reproductions.generator_keeps_the_factors import drawn, misread
from vaekit.reproductions.grey_sprites import everything, excess, grey_sprites


class Given(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def through(encode, decode, shape, latents):
    """mu = encode(x), s = e^-8; decode gives the picture."""

    def parameters(x):
        mean = encode(x)
        return torch.cat([mean, torch.full_like(mean, -8.0)], 1)

    return Flat(
        c.Gaussian(lambda _: Given(parameters), (latents,)),
        c.StandardGaussian((latents,)),
        c.Deterministic(lambda _: Given(decode), shape),
    )


def test_the_world_is_grey_and_whole():
    splits = grey_sprites()
    assert splits.spec.kind == "binary"
    batch = everything(splits)
    assert batch["x"].shape == (1440, 1, 16, 16)
    assert ((batch["x"] > 0.2) & (batch["x"] < 0.8)).any()
    grid = torch.cartesian_prod(*(torch.arange(n) for n in (2, 5, 12, 12)))
    assert torch.equal(batch["factors"], grid)


def test_the_excess_of_a_perfect_reconstruction_is_zero_and_else_a_divergence():
    x = torch.rand(7, 1, 2, 2, generator=torch.Generator().manual_seed(0)).clamp(0.1, 0.9)
    same = through(lambda x: x.flatten(1), lambda z: z.view(-1, 1, 2, 2), (1, 2, 2), 4)
    assert excess(same, {"x": x}) == pytest.approx(0, abs=1e-6)
    half = through(lambda x: x.flatten(1), lambda z: z.view(-1, 1, 2, 2) * 0 + 0.5, (1, 2, 2), 4)
    p = x.double()
    divergence = p * (2 * p).log() + (1 - p) * (2 * (1 - p)).log()
    assert excess(half, {"x": x}) == pytest.approx(float(divergence.sum((1, 2, 3)).mean()), rel=1e-5)


def test_codes_that_come_back_shifted_are_misread_by_the_shift():
    """G(c) = c + 0.25 in the first dimension and 2 in the second, and mu(x) = x."""
    shift = torch.tensor([0.25, 2.0])
    model = through(lambda x: x, lambda z: z + shift, (2,), 2)
    batch = {"x": torch.randn(50, 2, generator=torch.Generator().manual_seed(1))}
    assert misread(model, batch, [True, False]) == pytest.approx(0.25, abs=1e-5)
    assert misread(model, batch, [True, True]) == pytest.approx(2.0, abs=1e-5)
    assert misread(model, batch, [False, False]) == math.inf
    codes, made = drawn(model, batch)
    torch.testing.assert_close(made, codes + shift)
