"""The linear-Gaussian world: everything exact, in float64."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from scipy import stats
from torch.distributions import MultivariateNormal, kl_divergence

from vaekit import conditionals as c
from vaekit.terms import (
    Distortion,
    ImportanceBound,
    Rate,
    effective_sample_size,
    log_likelihood,
    log_mean_exp,
    log_ratio,
    log_weight,
)
from vaekit.worlds import (
    LinearGaussian,
    fixed_variance_optimum,
    mean_log_likelihood,
    ppca_closed_form,
    ppca_em,
)


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.fixture
def world():
    weight = torch.tensor([[1.0, 0.9], [0.5, 0.6], [-0.3, 0.2], [0.8, 0.4], [0.0, 1.0]])
    return LinearGaussian(weight, 0.3, randn(5))


@pytest.fixture
def x(world):
    return world.sample(40)


def test_evidence_is_that_of_scipy(world, x):
    reference = stats.multivariate_normal(world.mean.numpy(), world.covariance.numpy())
    torch.testing.assert_close(world.log_evidence(x), torch.from_numpy(reference.logpdf(x.numpy())))


def test_bayes_rule_at_any_z(world, x):
    """log p(x) = log p(z) + log p(x|z) - log p(z|x) for every z."""
    mean, covariance = world.posterior(x)
    z = randn(2)
    prior = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double()).log_prob(z)
    likelihood = MultivariateNormal(world.weight @ z + world.mean, 0.3 * torch.eye(5).double()).log_prob(x)
    posterior = MultivariateNormal(mean, covariance).log_prob(z)
    torch.testing.assert_close(prior + likelihood - posterior, world.log_evidence(x))


def test_conjugate_pair_by_hand():
    """p(z) = N(0, 1), p(x|z) = N(z, s2): log p(x) = log N(x; 0, 1 + s2)."""
    world = LinearGaussian(torch.ones(1, 1), 0.5)
    x = randn(6, 1)
    expected = torch.distributions.Normal(0.0, 1.5**0.5).log_prob(x.squeeze(-1))
    torch.testing.assert_close(world.log_evidence(x), expected)
    mean, covariance = world.posterior(x)
    torch.testing.assert_close(mean, x / 1.5)
    torch.testing.assert_close(covariance, torch.tensor([[1 / 3]]).double())


def test_samples_have_the_covariance(world):
    n = 100_000
    draws = world.sample(n, torch.Generator().manual_seed(1))
    assert ((draws.mean(0) - world.mean).abs() < 5 * (world.covariance.diagonal() / n).sqrt()).all()
    diagonal = world.covariance.diagonal()
    se = ((diagonal[:, None] * diagonal + world.covariance.square()) / n).sqrt()
    assert ((draws.mT.cov() - world.covariance).abs() < 5 * se).all()


def test_every_weight_is_the_evidence_at_the_exact_posterior(world, x):
    trace = world.model()({"x": x}, samples=50)
    weights, evidence = log_weight(trace), world.log_evidence(x)
    assert (weights - evidence).abs().max() < 1e-10
    for bound in (ImportanceBound(), ImportanceBound(groups=5), ImportanceBound(groups=10, b=0.4)):
        assert (-bound(trace) - evidence).abs().max() < 1e-10
    torch.testing.assert_close(effective_sample_size(weights), torch.full((40,), 50.0).double())


def halves(matrix):
    """(d, u) with matrix = diag(d) + u u^T, for a positive definite 2 x 2 matrix."""
    first, second, off = matrix[0, 0], matrix[1, 1], matrix[0, 1]
    size = (first * off.abs() / (first * second).sqrt()).sqrt()
    u = torch.stack([size, off / size])
    return matrix.diagonal() - u.square(), u


@pytest.mark.parametrize("family", [c.CholeskyGaussian, c.LowRankGaussian, c.RankOneGaussian])
def test_correlated_families_close_the_gap(world, x, family):
    """A full, a low-rank and a rank-one precision Gaussian all hold the exact posterior of two latents."""
    _, covariance = world.posterior(x)
    if family is c.CholeskyGaussian:
        factor = torch.linalg.cholesky(covariance)
        heads = [factor.diagonal().log(), factor[1:, 0]]
    elif family is c.LowRankGaussian:
        diagonal, direction = halves(covariance)
        heads = [0.5 * diagonal.log(), direction]
    else:
        diagonal, direction = halves(world.precision)
        heads = [-0.5 * diagonal.log(), direction]
    encoder = world._encoder(torch.cat(heads))
    weights = log_weight(world.model(family(lambda _: encoder, (2,)))({"x": x}, samples=9))
    assert (weights - world.log_evidence(x)).abs().max() < 1e-10


def test_gap_of_the_best_diagonal_posterior(world, x):
    """ELBO at the best diagonal q = log p(x) - 1/2 [sum ln Lambda_jj - ln det Lambda]."""
    model = world.model("diagonal")
    q = model({"x": x}).latents["z"].q
    mean, covariance = world.posterior(x)
    truth = MultivariateNormal(mean, covariance)
    gap = kl_divergence(torch.distributions.MultivariateNormal(q.mean, torch.diag_embed(q.variance)), truth)
    torch.testing.assert_close(gap, torch.full((40,), world.gap()).double())
    assert world.gap() > 0.01
    # no other diagonal comes nearer
    for factor in (0.8, 1.25):
        other = MultivariateNormal(q.mean, torch.diag_embed(factor * q.variance))
        assert (kl_divergence(other, truth) > gap).all()
    trace = model({"x": x}, samples=20_000)
    weights = log_weight(trace)
    error = weights.mean(0) - (world.log_evidence(x) - world.gap())
    assert (error.abs() < 4.5 * weights.std(0) / 20_000**0.5).all()


def test_orthogonal_directions_leave_no_gap():
    world = LinearGaussian(torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]), 0.5)
    x = world.sample(10)
    assert abs(world.gap()) < 1e-12
    assert (log_weight(world.model("diagonal")({"x": x}, 5)) - world.log_evidence(x)).abs().max() < 1e-10


def test_forms_of_the_elbo_agree(world, x):
    """Joint, parts, and energy plus entropy, each over the same draws, and the gap form in closed form."""
    trace = world.model("diagonal")({"x": x}, samples=10_000)
    latent = trace.latents["z"]
    gap_form = world.log_evidence(x) - world.gap()
    joint = log_likelihood(trace) + log_ratio(trace)
    parts = -Distortion()(trace) - Rate("closed")(trace)
    energy = (log_likelihood(trace) + latent.p.log_prob(latent.value)).mean(0) + latent.q.entropy()
    torch.testing.assert_close(joint.mean(0), -Distortion()(trace) - Rate("sample")(trace))
    se = 4.5 * log_likelihood(trace).std(0) / 10_000**0.5
    for form in (joint.mean(0), parts, energy):
        assert ((form - gap_form).abs() < se + 4.5 * joint.std(0) / 100).all()


def test_bounds_are_ordered(world, x):
    """On the same draws L_1 <= L_10 <= L_300 always; over many draws, all below log p(x)."""
    trace = world.model("diagonal")({"x": x}, samples=30_000)
    one, ten, many = (-ImportanceBound(groups=m)(trace) for m in (30_000, 3_000, 100))
    assert (one <= ten).all()
    assert (ten <= many).all()
    assert ((many - one) > 0.5 * world.gap()).all()
    grouped = log_mean_exp(log_weight(trace).unflatten(0, (100, 300)), 1)
    assert (many <= world.log_evidence(x) + 4.5 * grouped.std(0) / 10).all()
    assert (world.log_evidence(x) - many < 0.05 * world.gap() + 4.5 * grouped.std(0) / 10).all()


def test_importance_sampling_reaches_the_evidence_within_its_error(world, x):
    weights = log_weight(world.model("diagonal")({"x": x}, samples=20_000))
    estimate = log_mean_exp(weights)
    se = (weights - estimate).exp().std(0) / 20_000**0.5
    assert ((estimate - world.log_evidence(x)).abs() < 4.5 * se).all()


def test_sticking_the_landing_has_no_variance_at_the_exact_posterior(world, x):
    """At q = p(z|x) the STL gradient is zero for every draw; the plain one is not."""
    model = world.model()
    parameters = list(model.posteriors.parameters())
    x = x[:1]

    def gradient(term):
        trace = model({"x": x})
        return torch.cat(
            [g.flatten() for g in torch.autograd.grad((Distortion()(trace) + term(trace)).sum(), parameters)]
        )

    assert gradient(Rate("stl")).abs().max() < 1e-10
    assert gradient(Rate("sample")).abs().max() > 1e-3
    assert gradient(Rate("closed")).abs().max() > 1e-3


def test_chosen_posterior_and_refusal(world, x):
    network = c.Gaussian(lambda output: torch.nn.Linear(5, *output), (2,))
    trace = world.model(network)({"x": x}, samples=2)
    assert trace.latents["z"].value.shape == (2, 40, 2)
    with pytest.raises(ValueError, match="best"):
        world.model("best")
    with pytest.raises(ValueError, match="sigma2"):
        LinearGaussian(randn(5, 2), 0.0)
    with pytest.raises(ValueError, match="mean"):
        LinearGaussian(randn(5, 2), 1.0, randn(4))
    with pytest.raises(ValueError, match="weight"):
        LinearGaussian(randn(5), 1.0)


def test_model_generates_the_world(world):
    model = world.model()
    z = {"z": torch.zeros(1, 2).double()}
    torch.testing.assert_close(model.decode(z).mean[0], world.mean)
    torch.testing.assert_close(model.encode({"x": world.mean[None]})["z"], torch.zeros(1, 2).double())
    draws = model.generate(40_000).sample()
    assert ((draws.mT.cov() - world.covariance).abs() < 0.1 * world.covariance.abs().max()).all()


# probabilistic PCA


@pytest.fixture
def data():
    scales = torch.tensor([2.0, 2**0.5, 1.0, 0.5**0.5, 0.2**0.5]).double()
    mixing = torch.linalg.qr(randn(5, 5)).Q
    return randn(2000, 5) * scales @ mixing.mT + randn(5)


def eigenvalues(x):
    centred = x - x.mean(0)
    return torch.linalg.eigvalsh(centred.mT @ centred / len(x)).flip(0)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_em_reaches_the_closed_form(data, k):
    exact, found = LinearGaussian(*ppca_closed_form(data, k)), LinearGaussian(*ppca_em(data, k, 4000))
    assert abs(exact.sigma2 - float(eigenvalues(data)[k:].mean())) < 1e-10
    assert abs(found.sigma2 - exact.sigma2) < 1e-6
    torch.testing.assert_close(found.covariance, exact.covariance, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.mean, data.mean(0))


def test_every_step_of_em_raises_the_likelihood(data):
    values = [mean_log_likelihood(LinearGaussian(*ppca_em(data, 2, n)), data) for n in range(12)]
    assert all(a < b for a, b in pairwise(values))


def test_closed_form_is_the_maximum(data):
    weight, sigma2, mean = ppca_closed_form(data, 2)
    best = mean_log_likelihood(LinearGaussian(weight, sigma2, mean), data)
    for _ in range(10):
        moved = LinearGaussian(weight + 0.02 * randn(5, 2), sigma2 * math.exp(0.02 * float(randn(1))), mean)
        assert mean_log_likelihood(moved, data) < best
    # the formula with the best variance: -1/2 [D ln 2 pi + sum ln l + (D - k) ln s2 + D]
    values = eigenvalues(data)
    expected = -0.5 * (5 * math.log(2 * math.pi) + values[:2].log().sum() + 3 * math.log(sigma2) + 5)
    assert abs(best - float(expected)) < 1e-9


@pytest.mark.parametrize(("sigma2", "active"), [(3.0, 1), (1.5, 2), (0.7, 3), (0.3, 4), (9.0, 0)])
def test_fixed_variance_optimum(data, sigma2, active):
    """Eigenvalues (4, 2, 1, 1/2, 1/5): sigma^2 of 3, 1.5, .7, .3 leave 1, 2, 3, 4 latents."""
    value, count = fixed_variance_optimum(eigenvalues(data), 4, sigma2)
    assert count == active
    assert fixed_variance_optimum(torch.tensor([4, 2, 1, 0.5, 0.2]), 4, sigma2)[1] == active
    world = LinearGaussian(*ppca_closed_form(data, 4, sigma2))
    assert abs(mean_log_likelihood(world, data) - value) < 1e-9
    assert int((world.weight.norm(dim=0) > 1e-9).sum()) == active
    for _ in range(5):
        moved = LinearGaussian(world.weight + 0.05 * randn(5, 4), sigma2, world.mean)
        assert mean_log_likelihood(moved, data) < value


def test_ppca_refusals(data):
    for k in (0, 5):
        with pytest.raises(ValueError, match="`k`"):
            ppca_closed_form(data, k)
        with pytest.raises(ValueError, match="`k`"):
            ppca_em(data, k, 3)
    with pytest.raises(ValueError, match="rows"):
        ppca_closed_form(data[:1], 2)
    with pytest.raises(ValueError, match="variance"):
        ppca_closed_form(torch.zeros(9, 3), 1)
