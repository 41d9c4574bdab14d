"""Gaussians against torch, scipy, dense algebra and Monte Carlo, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as td
from torch.distributions import kl_divergence

from vaekit.distributions import (
    CholeskyNormal,
    DiagonalNormal,
    LowRankNormal,
    Mixture,
    PointMass,
    RankOnePrecisionNormal,
    StandardNormal,
    detached,
    kl_per_dimension,
)
from vaekit.errors import UnsupportedError

N, B = 3, 4


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def lower(*batch):
    factor = randn(*batch, N, N).tril(-1)
    return factor + torch.diag_embed(randn(*batch, N).mul(0.4).exp())


def make(name, batch=(B,)):
    mean = randn(*batch, N)
    return {
        "diagonal": lambda: DiagonalNormal(mean, 0.4 * randn(*batch, N)),
        "cholesky": lambda: CholeskyNormal(mean, lower(*batch)),
        "low rank": lambda: LowRankNormal(mean, 0.5 * randn(*batch, N), randn(*batch, N, 2)),
        "rank one": lambda: RankOnePrecisionNormal(mean, 0.5 * randn(*batch, N), randn(*batch, N)),
    }[name]()


FAMILIES = ["diagonal", "cholesky", "low rank", "rank one"]


def dense(q):
    """torch's own Gaussian with the same mean and covariance."""
    covariance = torch.diag_embed(q.variance) if isinstance(q, DiagonalNormal) else q.covariance_matrix
    return td.MultivariateNormal(q.mean, covariance)


@pytest.mark.parametrize("name", FAMILIES)
def test_log_prob_entropy_and_variance_are_those_of_the_dense_gaussian(name):
    q = make(name)
    value = randn(5, B, N)
    torch.testing.assert_close(q.log_prob(value), dense(q).log_prob(value), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(q.entropy(), dense(q).entropy(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(q.variance, dense(q).variance, rtol=1e-10, atol=1e-10)
    scipy = stats.multivariate_normal(q.mean[1].numpy(), dense(q).covariance_matrix[1].numpy())
    np.testing.assert_allclose(q.log_prob(value)[2, 1], scipy.logpdf(value[2, 1].numpy()), rtol=1e-10)


@pytest.mark.parametrize("name", FAMILIES)
def test_draws_have_the_mean_and_covariance(name):
    q = make(name)
    n = 200_000
    draws = q.rsample((n,))
    centred = draws - q.mean
    covariance = dense(q).covariance_matrix
    se = (q.variance / n).sqrt()
    assert ((draws.mean(0) - q.mean).abs() < 5 * se).all()
    found = torch.einsum("sbi,sbj->bij", centred, centred) / n
    # Var(x_i x_j) = S_ii S_jj + S_ij^2
    diagonal = q.variance
    spread = ((diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2) + covariance.square()) / n).sqrt()
    assert ((found - covariance).abs() < 5 * spread).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_kl_to_the_standard_normal(name):
    q, p = make(name), StandardNormal((N,), randn(1))
    exact = kl_divergence(q, p)
    torch.testing.assert_close(
        exact, kl_divergence(dense(q), td.MultivariateNormal(torch.zeros(N).double(), torch.eye(N).double()))
    )
    z = q.rsample((100_000,))
    samples = q.log_prob(z) - p.log_prob(z)
    assert ((samples.mean(0) - exact).abs() < 4 * samples.std(0) / 100_000**0.5).all()
    assert (exact > 0).all()


@pytest.mark.parametrize("name", ["diagonal", "cholesky"])
def test_kl_within_the_family(name):
    q, p = make(name), make(name)
    exact = kl_divergence(q, p)
    torch.testing.assert_close(exact, kl_divergence(dense(q), dense(p)))
    z = q.rsample((100_000,))
    samples = q.log_prob(z) - p.log_prob(z)
    assert ((samples.mean(0) - exact).abs() < 4 * samples.std(0) / 100_000**0.5).all()
    torch.testing.assert_close(kl_divergence(q, q), torch.zeros(B).double(), atol=1e-12, rtol=0)


def test_kl_broadcasts_over_a_sample_axis_of_the_prior():
    q, p = make("diagonal"), make("diagonal", (2, B))
    found = kl_divergence(q, p)
    assert found.shape == (2, B)
    row = DiagonalNormal(p.loc[1], p.log_std[1])
    torch.testing.assert_close(found[1], kl_divergence(q, row))


def test_kl_with_a_scalar_scale_counts_every_dimension():
    q = DiagonalNormal(randn(B, N), torch.tensor(0.3).double())
    whole = DiagonalNormal(q.loc, q.log_std.expand(B, N))
    p = make("diagonal")
    standard = StandardNormal((N,), q.loc)
    for prior in (p, standard, DiagonalNormal(randn(B, N), torch.tensor(-0.2).double())):
        torch.testing.assert_close(kl_divergence(q, prior), kl_divergence(whole, prior))
    torch.testing.assert_close(q.entropy(), whole.entropy())
    torch.testing.assert_close(q.log_prob(q.loc + 1), whole.log_prob(q.loc + 1))


def test_kl_per_dimension_sums_to_the_kl():
    q = make("diagonal")
    per = kl_per_dimension(q)
    assert per.shape == (B, N)
    torch.testing.assert_close(per.sum(-1), kl_divergence(q, StandardNormal((N,), q.loc)))
    one = td.kl_divergence(td.Normal(q.loc, q.stddev), td.Normal(0.0, 1.0))
    torch.testing.assert_close(per, one)


def test_diagonal_is_cholesky_with_a_diagonal_factor():
    q = make("diagonal")
    other = CholeskyNormal(q.loc, torch.diag_embed(q.stddev))
    value = randn(5, B, N)
    torch.testing.assert_close(q.log_prob(value), other.log_prob(value))
    torch.testing.assert_close(q.entropy(), other.entropy())
    p = StandardNormal((N,), q.loc)
    torch.testing.assert_close(kl_divergence(q, p), kl_divergence(other, p))
    torch.manual_seed(1)
    first = q.rsample((2,))
    torch.manual_seed(1)
    torch.testing.assert_close(first, other.rsample((2,)))


def test_cholesky_equation_of_the_reference():
    """ln q = -1/2 |eps|^2 - ln|det L| - n/2 ln 2 pi at z = mu + L eps."""
    factor, eps, mean = lower(), randn(N), randn(N)
    found = CholeskyNormal(mean, factor).log_prob(mean + factor @ eps)
    expected = -0.5 * eps @ eps - factor.diagonal().log().sum() - N / 2 * math.log(2 * math.pi)
    torch.testing.assert_close(found, expected)


def test_dlgm_identities():
    q = make("rank one")
    inverse = torch.linalg.inv(q.precision_matrix)
    torch.testing.assert_close(q.covariance_matrix, inverse)
    torch.testing.assert_close(q.log_det, torch.logdet(inverse))
    # the factor R of C = R R^T, column by column, from unit noise
    columns = []
    real = torch.randn
    for axis in range(N):
        unit = torch.zeros(B, N).double()
        unit[:, axis] = 1
        torch.randn = lambda *args, unit=unit, **kwargs: unit
        try:
            columns.append(q.rsample() - q.loc)
        finally:
            torch.randn = real
    factor = torch.stack(columns, -1)
    torch.testing.assert_close(factor @ factor.mT, inverse)


@pytest.mark.parametrize("size", [0.0, 1e-12, 1e-6])
def test_dlgm_without_direction_is_diagonal(size):
    mean, log_precision = randn(B, N), randn(B, N)
    direction = (size * randn(B, N)).requires_grad_()
    q = RankOnePrecisionNormal(mean, log_precision, direction)
    p = DiagonalNormal(mean, -0.5 * log_precision)
    value = randn(B, N)
    torch.testing.assert_close(q.log_prob(value), p.log_prob(value))
    torch.manual_seed(3)
    first = q.rsample()
    torch.manual_seed(3)
    torch.testing.assert_close(first, p.rsample())
    (first.sum() + q.log_prob(value).sum()).backward()
    assert direction.grad.isfinite().all()


def test_low_rank_of_rank_zero_directions_is_diagonal():
    mean, log_diagonal = randn(B, N), randn(B, N)
    q = LowRankNormal(mean, log_diagonal, torch.zeros(B, N, 2).double())
    value = randn(B, N)
    torch.testing.assert_close(q.log_prob(value), DiagonalNormal(mean, 0.5 * log_diagonal).log_prob(value))


def test_standard_normal():
    p = StandardNormal((2, 3), torch.zeros(1).double())
    value = randn(7, 2, 3)
    torch.testing.assert_close(p.log_prob(value), td.Normal(0.0, 1.0).log_prob(value).sum((-2, -1)))
    torch.testing.assert_close(p.entropy(), torch.tensor(3 * math.log(2 * math.pi * math.e)).double())
    assert p.rsample((4,)).shape == (4, 2, 3)
    assert p.rsample().dtype == torch.float64


def test_point_mass_has_draws_and_no_density():
    mass = PointMass(randn(B, N))
    assert torch.equal(mass.rsample((2,)), mass.value.expand(2, B, N))
    assert (mass.variance == 0).all()
    with pytest.raises(UnsupportedError, match="no density"):
        mass.log_prob(mass.value)


def mixture(components=3):
    log_weights = randn(components).log_softmax(0)
    return Mixture(log_weights, DiagonalNormal(2 * randn(components, N), 0.3 * randn(components, N)))


def torch_mixture(p):
    return td.MixtureSameFamily(
        td.Categorical(logits=p.log_weights),
        td.Independent(td.Normal(p.components.loc, p.components.stddev), 1),
    )


def test_mixture_is_that_of_torch():
    p = mixture()
    value = randn(4, B, N)
    torch.testing.assert_close(p.log_prob(value), torch_mixture(p).log_prob(value))
    torch.testing.assert_close(p.mean, torch_mixture(p).mean)
    torch.testing.assert_close(p.variance, torch_mixture(p).variance)
    assert p.sample((4, B)).shape == (4, B, N)
    assert p.sample().shape == (N,)


def test_mixture_draws_components_as_often_as_their_weights_say():
    weights = torch.tensor([0.1, 0.2, 0.7]).double()
    far = torch.tensor([[-50.0], [0.0], [50.0]]).double()
    p = Mixture(weights.log(), DiagonalNormal(far, torch.tensor([[0.0], [-1.0], [1.0]]).double()))
    n = 40_000
    draws = p.sample((n,))
    near = (draws - far.squeeze(-1)).abs().argmin(-1)
    counts = torch.bincount(near, minlength=3) / n
    assert ((counts - weights).abs() < 4 * (weights * (1 - weights) / n).sqrt()).all()
    for k, std in enumerate([1.0, math.exp(-1), math.e]):
        own = draws[near == k] - far[k]
        assert abs(float(own.std()) - std) < 5 * std / (2 * len(own)) ** 0.5


@pytest.mark.parametrize("name", FAMILIES)
def test_rsample_gradients_are_those_of_the_reparameterisation(name):
    """E z_i^2 = m_i^2 + S_ii: its gradient at the mean is 2 m, at every other parameter that of S_ii."""
    q = make(name, (1,))
    parameters = [v.requires_grad_() for v in vars(q).values() if isinstance(v, torch.Tensor)]
    fresh = type(q)(*parameters)
    target = (fresh.mean.square() + fresh.variance).sum()
    expected = torch.autograd.grad(target, parameters)
    n, parts = 20_000, 20
    found = []
    for _ in range(parts):
        again = type(q)(*parameters)
        found.append(torch.autograd.grad(again.rsample((n,)).square().sum(-1).mean(), parameters))
    for exact, estimates in zip(expected, zip(*found, strict=True), strict=True):
        stacked = torch.stack(estimates)
        se = stacked.std(0) / parts**0.5
        assert ((stacked.mean(0) - exact).abs() <= 5 * se + 1e-12).all()


@pytest.mark.parametrize("name", ["diagonal", "cholesky"])
def test_own_draw_is_recalled_with_equal_value_and_gradient(name):
    q = make(name)
    parameters = [v.requires_grad_() for v in vars(q).values() if isinstance(v, torch.Tensor)]

    def run(forget):
        torch.manual_seed(5)
        fresh = type(q)(*parameters)
        z = fresh.rsample((6,))
        assert fresh.recall(z) is not None
        assert fresh.recall(z.clone()) is None  # the object counts, not the value
        if forget:
            fresh.forget()
        density = fresh.log_prob(z)
        return density, torch.autograd.grad(
            (density * torch.linspace(1, 2, 6).double()[:, None]).sum(), parameters, materialize_grads=True
        )

    (kept, gradients), (solved, others) = run(False), run(True)
    torch.testing.assert_close(kept, solved, rtol=1e-10, atol=1e-10)
    for mine, theirs in zip(gradients, others, strict=True):
        # what of L stands above its diagonal is no parameter
        mine, theirs = (mine.tril(), theirs.tril()) if mine.dim() == 3 else (mine, theirs)
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


def test_only_the_last_draw_is_recalled():
    q = make("diagonal")
    first, second = q.rsample(), q.rsample()
    assert q.recall(first) is None
    assert q.recall(second) is not None
    torch.testing.assert_close(q.log_prob(first), dense(q).log_prob(first))


@pytest.mark.parametrize("name", [*FAMILIES, "mixture"])
def test_detached_cuts_the_parameters_and_not_the_value(name):
    q = mixture() if name == "mixture" else make(name)
    tensors = [v for v in vars(q).values() if isinstance(v, torch.Tensor)]
    tensors += [q.components.loc, q.components.log_std] if name == "mixture" else []
    for tensor in tensors:
        tensor.requires_grad_()
    z = q.sample((B,)) if name == "mixture" else q.rsample()
    q.log_prob(z.detach())  # fills caches
    cut = detached(q)
    value = z.detach().requires_grad_()
    density = cut.log_prob(value).sum()
    gradients = torch.autograd.grad(density, [value, *tensors], allow_unused=True)
    assert gradients[0] is not None
    assert gradients[0].abs().sum() > 0
    assert all(gradient is None for gradient in gradients[1:])
    torch.testing.assert_close(cut.log_prob(value), q.log_prob(value))
    if name != "mixture":  # through the draw, the gradient still reaches the parameters
        assert torch.autograd.grad(cut.log_prob(z).sum(), q.loc)[0].abs().sum() > 0


def test_detached_reaches_into_torch_distributions():
    mean = randn(B, N).requires_grad_()
    q = td.Independent(td.Normal(mean, torch.ones(B, N).double()), 1)
    value = randn(B, N).requires_grad_()
    gradients = torch.autograd.grad(detached(q).log_prob(value).sum(), [value, mean], allow_unused=True)
    assert gradients[0] is not None
    assert gradients[1] is None


def test_one_factor_for_all_is_that_factor_for_each():
    torch.manual_seed(1)
    mean, factor = torch.randn(5, 3).double(), lower()
    one, each = CholeskyNormal(mean, factor), CholeskyNormal(mean, factor.expand(5, 3, 3))
    torch.manual_seed(2)
    z = one.rsample((4,))
    torch.manual_seed(2)
    assert torch.allclose(z, each.rsample((4,)))
    assert one.batch_shape == each.batch_shape == (5,)
    for value in (z, z.clone()):  # its own draw, and one that has to be inverted
        assert torch.allclose(one.log_prob(value), each.log_prob(value.clone()))
    for name in ("variance", "log_det_factor"):
        assert torch.allclose(getattr(one, name), getattr(each, name))
        assert getattr(one, name).shape == getattr(each, name).shape
    assert torch.allclose(one.entropy(), each.entropy())
    standard = StandardNormal((3,), mean)
    assert torch.allclose(kl_divergence(one, standard), kl_divergence(each, standard))
