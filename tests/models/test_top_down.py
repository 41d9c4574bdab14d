"""Hierarchies that are inferred from the top, against a linear Gaussian world with a known answer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from vaekit import conditionals as c
from vaekit.distributions import CholeskyNormal
from vaekit.models import TopDown
from vaekit.networks import MLP
from vaekit.terms import Distortion, Rate, log_weight

N, D = 2, 5


pytestmark = pytest.mark.usefixtures("double")


class Affine(nn.Module):
    """N(sum_i A_i v_i, C) of the values that it is called with."""

    def __init__(self, maps: list[Tensor], covariance: Tensor) -> None:
        super().__init__()
        self.maps = maps
        self.factor = torch.linalg.cholesky(covariance)

    def forward(self, *values: Tensor) -> CholeskyNormal:
        mean = torch.stack(
            torch.broadcast_tensors(*(v @ a.T for v, a in zip(values, self.maps, strict=True)))
        ).sum(0)
        return CholeskyNormal(mean, self.factor)


def conditioned(joint: Tensor, wanted: slice, given: list[slice]) -> tuple[list[Tensor], Tensor]:
    """Maps and covariance of p(wanted | given) under N(0, joint)."""
    index = torch.cat([torch.arange(len(joint))[s] for s in given])
    rows = torch.arange(len(joint))[wanted]
    cross = joint[rows][:, index]
    gain = torch.linalg.solve(joint[index][:, index], cross.T).T
    sizes = [len(torch.arange(len(joint))[s]) for s in given]
    return list(gain.split(sizes, 1)), joint[rows][:, rows] - gain @ cross.T


@pytest.fixture
def world():
    """z2 ~ N(0, I), z1 = A z2 + noise, x = B z1 + G z2 + noise, with exact posteriors; and log p(x)."""
    a, b, g = torch.randn(N, N), torch.randn(D, N), torch.randn(D, N)
    eye = torch.eye(N)
    z1 = torch.cat([eye * 0.7, a], 1)  # of (noise1, z2)
    x = torch.cat([b @ z1, torch.eye(D) * 0.5], 1)
    x[:, N : 2 * N] += g
    zeros = torch.zeros(N, D)
    parts = torch.cat([
        torch.cat([z1, zeros], 1),
        torch.cat([torch.zeros(N, N), eye, zeros], 1),
        x,
    ])  # fmt: skip
    joint = parts @ parts.T
    s1, s2, sx = slice(0, N), slice(N, 2 * N), slice(2 * N, 2 * N + D)
    model = TopDown(
        [Affine(*conditioned(joint, s1, [sx, s2])), Affine(*conditioned(joint, s2, [sx]))],
        [Affine(*conditioned(joint, s1, [s2])), c.StandardGaussian((N,))],
        Affine(*conditioned(joint, sx, [s1, s2])),
    )
    return model, MultivariateNormal(torch.zeros(D), joint[sx, sx])


@pytest.mark.parametrize("samples", [None, 3])
def test_exact_posteriors_make_every_weight_the_evidence(world, samples):
    model, evidence = world
    x = evidence.sample((6,))
    trace = model({"x": x}, samples)
    exact = evidence.log_prob(x)
    assert (log_weight(trace) - exact).abs().max() < 1e-10
    assert trace.latents["z1"].value.shape == ((6, N) if samples is None else (3, 6, N))


def test_closed_rate_is_the_mean_of_the_sampled_one(world):
    model, evidence = world
    x = evidence.sample((2,))
    trace = model({"x": x}, 40_000)
    closed, sampled = Rate("closed")(trace), Rate("sample")(trace)
    assert torch.allclose(closed, sampled, atol=0.06)
    assert torch.allclose(closed + Distortion()(trace), -evidence.log_prob(x), atol=0.06)


def test_generation_follows_the_marginal(world):
    model, evidence = world
    x = model.generate(60_000).sample()
    assert (x.T.cov() - evidence.covariance_matrix).abs().max() < 0.15
    trace = model({"x": torch.zeros(60_000, D)}, branches=("prior",))
    branch = trace.branches["prior"].observed["x"].p.sample()
    assert (branch.T.cov() - evidence.covariance_matrix).abs().max() < 0.15


def networked(features: nn.Module | None = None, seen: int = D, context: int = 0) -> TopDown:
    given = [(context,)] if context else []

    def net(*sizes: int):
        return lambda output: MLP([*((n,) for n in sizes), *given], output, (4,))

    return TopDown(
        [c.Gaussian(net(seen, N, 3), (N,)), c.Gaussian(net(seen, 3), (N,)), c.Gaussian(net(seen), (3,))],
        [c.Gaussian(net(N, 3), (N,)), c.Gaussian(net(3), (N,)), c.StandardGaussian((3,))],
        c.Bernoulli(net(N, N, 3), (D,)),
        features,
    )


def test_three_levels_encode_decode_and_keep_their_order():
    model = networked(context=2)
    batch = {"x": torch.ones(4, D), "c": torch.randn(4, 2)}
    values = model.encode(batch)
    assert [(name, value.shape[-1]) for name, value in values.items()] == [("z1", N), ("z2", N), ("z3", 3)]
    whole = model.decode(values, batch["c"]).mean
    assert torch.equal(whole, model.likelihood(values["z1"], values["z2"], values["z3"], batch["c"]).mean)
    top = {"z3": values["z3"]}
    z2 = model.priors[1](values["z3"], batch["c"]).mean
    z1 = model.priors[0](z2, values["z3"], batch["c"]).mean
    expected = model.likelihood(z1, z2, values["z3"], batch["c"]).mean
    assert torch.equal(model.decode(top, batch["c"]).mean, expected)
    trace = model(batch, 6)
    assert list(trace.latents) == ["z1", "z2", "z3"]
    assert [latent.chained for latent in trace.latents.values()] == [True, True, False]
    assert log_weight(trace).shape == (6, 4)


class Upwards(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(D, 3 * 4)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.layer(x).chunk(3, -1)


def test_levels_see_their_own_features():
    model = networked(Upwards(), seen=4)
    trace = model({"x": torch.randn(3, D)})
    rows = model.features.layer.weight
    top = trace.latents["z3"].q.mean.sum()
    gradient = torch.autograd.grad(top, rows, retain_graph=True)[0]
    assert gradient[8:].abs().sum() > 0
    assert gradient[:8].abs().sum() == 0
    lowest = trace.latents["z1"].q.mean.sum()
    gradient = torch.autograd.grad(lowest, rows)[0]
    assert gradient[:4].abs().sum() > 0


def test_levels_must_match():
    one = c.StandardGaussian((N,))
    with pytest.raises(ValueError, match="got 1 posteriors and 1 priors"):
        TopDown([one], [one], one)
