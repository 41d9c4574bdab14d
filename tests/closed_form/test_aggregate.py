"""The rate taken apart: weights by enumeration, the parts by hand and in a linear-Gaussian world."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from vaekit import conditionals as c
from vaekit.data.spec import Spec
from vaekit.distributions import DiagonalNormal, StandardNormal
from vaekit.errors import UnsupportedError
from vaekit.models import Flat
from vaekit.recipes import beta_tcvae, vae
from vaekit.terms import DimensionWise, Information, TotalCorrelation
from vaekit.terms.aggregate import Aggregate, log_weights, pair_log_densities
from vaekit.testing import batch_for, select
from vaekit.trace import Latent, Trace

N, B, DIMENSIONS = 5, 3, 2


pytestmark = pytest.mark.usefixtures("double")


def trace_of(value, mean, log_std, prior=None):
    prior = prior or StandardNormal((mean.shape[-1],), mean)
    axes = ("batch",) if value.dim() == 2 else ("sample", "batch")
    latent = Latent(value, DiagonalNormal(mean, log_std), prior)
    return Trace({"x": torch.zeros(len(mean), 1)}, {"z": latent}, {}, axes)


def parts_of(trace, size, sampling):
    aggregate = Aggregate(size, sampling)
    return [term(aggregate)(trace) for term in (Information, TotalCorrelation, DimensionWise)]


def world(seed=0):
    """Five posteriors and one code of each: q_nm = q(z_n|x_m), and the same dimension by dimension."""
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(N, DIMENSIONS, generator=generator)
    log_std = 0.3 * torch.randn(N, DIMENSIONS, generator=generator) - 0.7
    value = mean + log_std.exp() * torch.randn(N, DIMENSIONS, generator=generator)
    densities = torch.distributions.Normal(mean, log_std.exp()).log_prob(value[:, None]).exp()
    return value, mean, log_std, densities


def estimates(sampling, batches, place=0):
    """The estimate of q(z_i), i the datum at a place of each batch, joint and per dimension."""
    value, mean, log_std, _ = world()
    for batch in batches:
        rows = torch.tensor(batch)
        pairs = pair_log_densities(value[rows], mean[rows], log_std[rows])
        weights = log_weights(len(rows), N, sampling, mean)
        yield (
            batch[place],
            (pairs.sum(0) + weights).logsumexp(-1)[place].exp(),
            (pairs + weights).logsumexp(-1)[:, place].exp(),
        )


def expectations(sampling, batches, place=0):
    joint, single, count = torch.zeros(N), torch.zeros(N, DIMENSIONS), torch.zeros(N)
    for i, one, each in estimates(sampling, batches, place):
        joint[i] += one
        single[i] += each
        count[i] += 1
    return joint / count, single / count[:, None]


@pytest.mark.parametrize("place", [0, 1, B - 1])
@pytest.mark.parametrize("sampling", ["mss", "balanced"])
def test_stratified_weights_are_unbiased_over_all_batches(sampling, place):
    joint, single = expectations(sampling, itertools.permutations(range(N), B), place)
    densities = world()[3]
    torch.testing.assert_close(joint, densities.prod(-1).mean(1), rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(single, densities.mean(1), rtol=1e-13, atol=1e-15)


def test_the_weights_of_public_implementations_are_biased():
    # 1/N in the first column and the share of the other datum in the second, whatever the row
    m = B - 1
    weights = torch.full((B, B), 1 / m)
    weights.view(-1)[:: m + 1] = 1 / N
    weights.view(-1)[1 :: m + 1] = (N - m) / (N * m)
    weights[m - 1, 0] = (N - m) / (N * m)
    densities = world()[3].prod(-1)
    batches = [torch.tensor(batch) for batch in itertools.permutations(range(N), B)]
    off = 0.0
    for place in range(B):
        found = torch.zeros(N)
        for rows in batches:
            found[rows[place]] += weights[place] @ densities[rows[place], rows] * N / len(batches)
        off = max(off, float((found - densities.mean(1)).abs().max()))
    assert off > 0.01


def test_the_bias_of_weighted_sampling_is_the_papers():
    # data drawn with replacement beside the own: E = (q(z|x_i) + (B - 1) q(z)) / (N B)
    batches = itertools.product(range(N), repeat=B)
    joint, _ = expectations("mws", batches)
    densities = world()[3].prod(-1)
    expected = (densities.diagonal() + (B - 1) * densities.mean(1)) / (N * B)
    torch.testing.assert_close(joint, expected, rtol=1e-13, atol=1e-15)
    assert (joint < densities.mean(1)).all()  # a lower bound


def test_balanced_weights_have_less_variance_and_are_exact_for_the_whole_set():
    def variance(sampling):
        exact = world()[3].prod(-1).mean(1)
        batches = itertools.permutations(range(N), B)
        errors = [float(one - exact[i]) ** 2 for i, one, _ in estimates(sampling, batches)]
        return sum(errors) / len(errors)

    assert variance("balanced") < variance("mss")
    torch.testing.assert_close(log_weights(N, N, "balanced", torch.zeros(())).exp(), torch.full((N, N), 0.2))
    assert not torch.allclose(log_weights(N, N, "mss", torch.zeros(())).exp(), torch.full((N, N), 0.2))


@pytest.mark.parametrize("rows", [2, 3, 7])
@pytest.mark.parametrize("sampling", ["mss", "balanced"])
def test_rows_of_weights_sum_to_one_with_the_own_on_the_diagonal(sampling, rows):
    weights = log_weights(rows, 7, sampling, torch.zeros(())).exp()
    torch.testing.assert_close(weights.sum(1), torch.ones(rows))
    torch.testing.assert_close(weights.diagonal(), torch.full((rows,), 1 / 7))
    # a held-out batch may be larger than the training set
    torch.testing.assert_close(
        log_weights(rows, 1, sampling, torch.zeros(())).exp().diagonal(), torch.full((rows,), 1 / rows)
    )


@pytest.mark.parametrize("samples", [None, 4])
@pytest.mark.parametrize("sampling", ["mws", "mss", "balanced"])
def test_parts_by_hand_and_their_sum(sampling, samples):
    _, mean, log_std, _ = world(1)
    lead = (N,) if samples is None else (samples, N)
    value = mean + log_std.exp() * torch.randn(*lead, DIMENSIONS)
    density = torch.distributions.Normal(mean, log_std.exp()).log_prob(value.unsqueeze(-2)).exp()
    if sampling == "mws":
        weights = torch.full((N, N), 1 / (40 * N))
    elif sampling == "balanced":
        weights = torch.full((N, N), 39 / (40 * (N - 1))).fill_diagonal_(1 / 40)
    else:
        weights = torch.full((N, N), 1 / (N - 1)).fill_diagonal_(1 / 40)
        for i in range(N):
            weights[i, (i + 1) % N] = (40 - (N - 1)) / (40 * (N - 1))
    joint = (density.prod(-1) * weights).sum(-1).log()
    product = (density * weights[..., None]).sum(-2).log().sum(-1)
    own = density.prod(-1).diagonal(dim1=-2, dim2=-1).log()
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(value).sum(-1)
    expected = [own - joint, joint - product, product - prior]
    if samples:
        expected = [part.mean(0) for part in expected]
    found = parts_of(trace_of(value, mean, log_std), 40, sampling)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == (N,)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    rate = own - prior if samples is None else (own - prior).mean(0)
    torch.testing.assert_close(sum(found), rate, rtol=1e-12, atol=1e-12)


def test_several_latents_are_one_code():
    value, mean, log_std, _ = world(2)
    whole = parts_of(trace_of(value, mean, log_std), 40, "mss")
    split = {
        name: Latent(value[:, k], DiagonalNormal(mean[:, k], log_std[:, k]), StandardNormal((1,), mean))
        for name, k in (("z1", [0]), ("z2", [1]))
    }
    trace = Trace({"x": torch.zeros(N, 1)}, split, {})
    torch.testing.assert_close(parts_of(trace, 40, "mss"), whole)


A = torch.tensor([[1.0, 0.0], [0.9, 0.4]], dtype=torch.float64)


def linear_world(count, a=A, std=0.5):
    """q(z|x) = N(A x, s^2 I), x ~ N(0, I): the aggregate is N(0, A A^T + s^2 I)."""
    mean = torch.randn(count, 2) @ a.mT
    value = mean + std * torch.randn(count, 2)
    return trace_of(value, mean, torch.full_like(mean, math.log(std)))


@pytest.mark.parametrize("sampling", ["mss", "balanced"])
def test_a_correlated_gaussian_aggregate_has_its_closed_form(sampling):
    torch.manual_seed(0)
    runs = [[float(v.mean()) for v in parts_of(linear_world(500), 100_000, sampling)] for _ in range(8)]
    found = [sum(column) / len(column) for column in zip(*runs, strict=True)]
    covariance = A @ A.mT + 0.25 * torch.eye(2)
    logdet, variances = float(torch.logdet(covariance)), covariance.diagonal()
    exact = [
        0.5 * (logdet - 2 * math.log(0.25)),
        0.5 * (float(variances.log().sum()) - logdet),
        float(0.5 * (variances - 1 - variances.log()).sum()),
    ]
    assert found == pytest.approx(exact, abs=0.06)
    assert sum(exact) == pytest.approx(0.5 * float((A @ A.mT).trace() + 2 * 0.25 - 2 - 2 * math.log(0.25)))


def test_a_factorised_aggregate_has_no_total_correlation():
    torch.manual_seed(0)
    runs = [parts_of(linear_world(500, 0.8 * torch.eye(2), 0.6), 100_000, "mss") for _ in range(8)]
    assert float(sum(run[1].mean() for run in runs)) / 8 == pytest.approx(0, abs=0.04)
    assert float(sum(run[2].mean() for run in runs)) / 8 == pytest.approx(0, abs=0.04)


def test_values_do_not_grow_with_the_batch():
    torch.manual_seed(0)
    small = [
        sum(float(parts_of(linear_world(100), 10**5, "mss")[k].mean()) for _ in range(20)) / 20
        for k in range(3)
    ]
    large = [
        sum(float(parts_of(linear_world(400), 10**5, "mss")[k].mean()) for _ in range(5)) / 5
        for k in range(3)
    ]
    assert small == pytest.approx(large, abs=0.12)  # the logarithm's bias is what is left


def test_weighted_sampling_is_offset_by_constants_alone():
    trace = linear_world(50)
    first, second = (parts_of(trace, size, "mws") for size in (50, 5000))
    for part, factor in zip(range(3), (1, 1, -2), strict=True):
        torch.testing.assert_close(second[part] - first[part], torch.full((50,), factor * math.log(100)))


@pytest.mark.parametrize("sampling", ["mss", "balanced"])
def test_a_batch_of_one_has_its_rate_in_the_last_part_alone(sampling):
    trace = linear_world(1)
    information, correlation, dimension_wise = parts_of(trace, 40, sampling)
    torch.testing.assert_close(information, torch.zeros(1))
    torch.testing.assert_close(correlation, torch.zeros(1))
    latent = trace.latents["z"]
    torch.testing.assert_close(
        dimension_wise, latent.q.log_prob(latent.value) - latent.p.log_prob(latent.value)
    )
    offset = parts_of(trace, 40, "mws")
    torch.testing.assert_close(offset[0], torch.full((1,), math.log(40.0)))


def test_gradients_reach_both_sides_of_a_pair():
    """The gradient of the total correlation with respect to posterior j holds the draws of all others."""
    value, mean, log_std, _ = world(3)
    value, mean = value.requires_grad_(), mean.requires_grad_()
    correlation = parts_of(trace_of(value, mean, log_std), 40, "mss")[1]
    by_mean, by_value = torch.autograd.grad(correlation[0], [mean, value])
    assert (by_mean != 0).all()  # of every posterior
    assert (by_value[0] != 0).all()
    assert not by_value[1:].any()
    h = 1e-6
    moved = mean.detach().clone()
    moved[3, 1] += h
    other = parts_of(trace_of(value.detach(), moved, log_std), 40, "mss")[1]
    assert float((other - correlation)[0].detach()) / h == pytest.approx(
        float(by_mean[3, 1]), rel=1e-4, abs=1e-8
    )


def test_single_precision_is_enough_for_sharp_posteriors():
    mean = 3 * torch.rand(64, 4) - 1.5
    log_std = torch.full_like(mean, math.log(0.01))
    value = mean + 0.01 * torch.randn_like(mean)
    exact = parts_of(trace_of(value, mean, log_std), 1000, "mss")
    single = parts_of(trace_of(value.float(), mean.float(), log_std.float()), 1000, "mss")
    for ours, theirs in zip(single, exact, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-3, atol=1e-3)


def test_the_estimate_is_shared_by_the_terms_of_a_trace_and_by_no_other():
    trace = linear_world(6)
    one, other = Aggregate(40), Aggregate(40)
    assert one(trace) is other(trace)
    assert Aggregate(41)(trace) is not one(trace)
    half = select(trace, "batch", torch.arange(3))
    assert not half.shared
    assert one(half).posterior.shape == (3,)


def test_what_is_shared_without_gradients_is_not_shared_with_them():
    value, mean, log_std, _ = world()
    mean.requires_grad_()
    trace = trace_of(value, mean, log_std)
    with torch.no_grad():  # as a player who rests is judged
        without = TotalCorrelation(Aggregate(40))(trace)
    again = TotalCorrelation(Aggregate(40))(trace)
    assert torch.equal(without, again)
    (found,) = torch.autograd.grad(again.sum(), mean)
    assert found.any()


SPEC = Spec("bits", (7,), "binary", 40)


def judged(recipe, seed=1, rows=6, **arguments):
    torch.manual_seed(0)
    system = recipe(SPEC, latents=3, hidden=(8,), **arguments)
    torch.manual_seed(seed)
    trace = system.model(batch_for(SPEC, rows))
    return system, system.procedure.players[0].objective(trace)


@pytest.mark.parametrize("sampling", ["mws", "mss", "balanced"])
def test_the_recipe_with_equal_weights_is_the_vae(sampling):
    equal = {"alpha": 1.0, "beta": 1.0, "gamma": 1.0, "sampling": sampling}
    _, ours = judged(beta_tcvae, **equal)
    _, theirs = judged(vae, estimator="sample")
    torch.testing.assert_close(ours.total, theirs.total, rtol=1e-12, atol=0)
    _, ours = judged(beta_tcvae, estimator="closed", **equal)
    _, theirs = judged(vae, estimator="closed")
    torch.testing.assert_close(ours.total, theirs.total, rtol=1e-12, atol=0)


@pytest.mark.parametrize("estimator", ["sample", "closed"])
def test_every_weight_of_the_recipe_is_on_its_part(estimator):
    _, base = judged(beta_tcvae, alpha=1.0, beta=1.0, gamma=1.0, estimator=estimator)
    for name, part in (("alpha", "information"), ("beta", "total_correlation"), ("gamma", "dimension_wise")):
        _, found = judged(
            beta_tcvae, **{"alpha": 1.0, "beta": 1.0, "gamma": 1.0, name: 3.0}, estimator=estimator
        )
        torch.testing.assert_close(found.total - base.total, 2 * base.values[part], rtol=1e-9, atol=1e-12)


def test_the_total_correlation_moves_the_encoder_alone():
    system, _ = judged(beta_tcvae)
    trace = system.model(batch_for(SPEC, 6))
    TotalCorrelation(Aggregate(40))(trace).mean().backward()
    assert all(parameter.grad is None for parameter in system.model.likelihood.parameters())
    assert all(parameter.grad is not None for parameter in system.model.posteriors.parameters())


def test_what_has_no_aggregate_of_this_form_is_refused():
    value, mean, log_std, _ = world()
    trace = trace_of(value, mean, log_std, prior=DiagonalNormal(mean, log_std))
    with pytest.raises(UnsupportedError, match="latent 'z' differs from datum to datum"):
        DimensionWise(Aggregate(40))(trace)
    assert TotalCorrelation(Aggregate(40))(trace).shape == (N,)

    def make(output):
        return torch.nn.Linear(7, output[0])

    full = Flat(
        c.CholeskyGaussian(make, (2,)),
        c.StandardGaussian((2,)),
        c.Bernoulli(lambda o: torch.nn.Linear(2, 7), (7,)),
    )
    with pytest.raises(UnsupportedError, match="CholeskyNormal; this needs diagonal Gaussians"):
        Information(Aggregate(40))(full(batch_for(SPEC, 4)))
    enumerated = Trace(trace.batch, trace.latents, {}, ("y", "batch"))
    with pytest.raises(UnsupportedError, match="'y', 'batch'"):
        Information(Aggregate(40))(enumerated)
    with pytest.raises(ValueError, match="`size` is 0"):
        Aggregate(0)
    with pytest.raises(ValueError, match="`sampling` is 'all'; expected one of mws, mss, balanced"):
        Aggregate(40, "all")
