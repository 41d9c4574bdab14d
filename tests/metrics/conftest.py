"""Worlds whose evidence is known, for the tests of the metrics."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from vaekit import conditionals as c
from vaekit.data import ArrayData
from vaekit.data.spec import Spec
from vaekit.distributions import CholeskyNormal, DiagonalNormal
from vaekit.models import Chain, Flat


class Affine(nn.Module):
    """x -> N(A x + b, diag(s)^2), or with a Cholesky factor."""

    def __init__(self, a: Tensor, b: Tensor, factor: Tensor, correlated: bool) -> None:
        super().__init__()
        for name, value in (("a", a), ("b", b), ("factor", factor)):
            self.register_buffer(name, value)
        self.correlated = correlated

    def forward(self, x: Tensor):
        mean = x.flatten(-1) @ self.a.T + self.b
        if self.correlated:
            return CholeskyNormal(mean, self.factor.expand(*mean.shape[:-1], *self.factor.shape))
        return DiagonalNormal(mean, self.factor.diagonal().log().expand_as(mean))


class LinearWorld:
    """z ~ N(0, I), x = W z + b + sigma eps: log p(x) = log N(x; b, W W^T + sigma^2 I)."""

    def __init__(self, latents: int = 2, pixels: int = 5, sigma: float = 0.5, seed: int = 3) -> None:
        g = torch.Generator().manual_seed(seed)
        self.w = torch.randn(pixels, latents, generator=g, dtype=torch.float64)
        self.b = torch.randn(pixels, generator=g, dtype=torch.float64)
        self.sigma, self.latents, self.pixels, self.g = sigma, latents, pixels, g

    def data(self, n: int) -> ArrayData:
        z = torch.randn(n, self.latents, generator=self.g, dtype=torch.float64)
        noise = torch.randn(n, self.pixels, generator=self.g, dtype=torch.float64)
        x = (z @ self.w.T + self.b + self.sigma * noise).float()
        return ArrayData(Spec("linear", (self.pixels,), "real", n), x)

    def log_evidence(self, x: Tensor) -> Tensor:
        cov = self.w @ self.w.T + self.sigma**2 * torch.eye(self.pixels, dtype=torch.float64)
        return torch.distributions.MultivariateNormal(self.b, cov).log_prob(x.double())

    def model(self, widen: float = 1.0, shift: float = 0.0, correlated: bool = True) -> Flat:
        """The model with the exact posterior, or with one that is too wide and shifted."""

        def decoder(event):
            net = nn.Linear(self.latents, self.pixels).double()
            net.weight.data.copy_(self.w)
            net.bias.data.copy_(self.b)
            return net

        precision = torch.eye(self.latents, dtype=torch.float64) + self.w.T @ self.w / self.sigma**2
        covariance = torch.linalg.inv(precision)
        a = covariance @ self.w.T / self.sigma**2
        factor = widen * torch.linalg.cholesky(covariance)
        q = Affine(a, -a @ self.b + shift, factor, correlated)
        model = Flat(
            q, c.StandardGaussian((self.latents,)), c.FixedGaussian(decoder, (self.pixels,), self.sigma)
        )
        model.double()
        # in double precision from the start: the buffer was rounded to float32
        model.likelihood.log_std.copy_(torch.tensor(math.log(self.sigma), dtype=torch.float64))
        return model


def linear(inputs: int, weight: Tensor | None = None, bias: Tensor | None = None):
    """A maker of one affine layer with given weights."""

    def make(event):
        net = nn.Linear(inputs, math.prod(event)).double()
        if weight is not None:
            net.weight.data.copy_(weight)
        if bias is not None:
            net.bias.data.copy_(bias)
        return net

    return make


class CoinWorld:
    """z ~ N(0, 1), x in {0, 1}^D with logits w z + b: 2^D values, quadrature over z."""

    def __init__(self, pixels: int = 4) -> None:
        self.w = torch.linspace(-2.0, 3.0, pixels, dtype=torch.float64)
        self.b = torch.linspace(1.0, -0.5, pixels, dtype=torch.float64)
        codes = torch.arange(2**pixels)
        self.x = ((codes[:, None] >> torch.arange(pixels)) & 1).double()
        z = torch.linspace(-9, 9, 4001, dtype=torch.float64)
        logits = z[:, None] * self.w + self.b
        log_joint = self.x @ logits.T - nn.functional.softplus(logits).sum(-1) - 0.5 * z**2
        self.exact = log_joint.logsumexp(1) + math.log(float(z[1] - z[0])) - 0.5 * math.log(2 * math.pi)
        self.data = ArrayData(Spec("coins", (pixels,), "binary", len(self.x)), self.x.float())
        torch.manual_seed(5)
        prior = c.StandardGaussian((1,))
        likelihood = c.Bernoulli(linear(1, self.w[:, None], self.b), (pixels,))
        self.model = Flat(c.Gaussian(linear(pixels), (1,)), prior, likelihood).double()


def chain_world() -> tuple[Chain, ArrayData, Tensor]:
    """z2 ~ N(0, 1), z1 = z2 + eps, x = z1 + eps/2, an imperfect posterior; exact log p(x)."""
    one = torch.ones(1, 1, dtype=torch.float64)

    class Step(nn.Module):
        def __init__(self, gain: float, std: float) -> None:
            super().__init__()
            self.register_buffer("gain", gain * one[0])
            self.register_buffer("log_std", math.log(std) * one[0])

        def forward(self, below: Tensor) -> DiagonalNormal:
            return DiagonalNormal(self.gain * below, self.log_std)

    model = Chain(
        [Step(0.8, 0.6), Step(0.45, 0.75)],
        [Step(1.0, 1.0), c.StandardGaussian((1,))],
        Step(1.0, 0.5),
    ).double()
    x = torch.linspace(-3, 3, 13)[:, None]
    exact = torch.distributions.Normal(0.0, math.sqrt(2.25)).log_prob(x.double()).squeeze(-1)
    return model, ArrayData(Spec("chain", (1,), "real", 13), x), exact


@pytest.fixture
def linear_world() -> type[LinearWorld]:
    return LinearWorld


@pytest.fixture(scope="module")
def coins() -> CoinWorld:
    return CoinWorld()


@pytest.fixture
def chained() -> tuple[Chain, ArrayData, Tensor]:
    return chain_world()
