"""Critics and predictors against Gaussians, whose density ratios and conditional means are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from vaekit.distributions import StandardNormal
from vaekit.errors import UnsupportedError
from vaekit.networks import MLP, LeaveOneOut
from vaekit.terms import (
    Deception,
    DensityRatio,
    Discrimination,
    PermutationTest,
    Predictability,
    PredictionError,
    codes,
    log_odds,
    permute_dimensions,
    prior_codes,
)
from vaekit.trace import Latent, Trace

R = torch.tensor([[1.0, 0.6, 0.3], [0.6, 1.0, 0.2], [0.3, 0.2, 1.0]], dtype=torch.float64)
TOTAL_CORRELATION = 0.27064  # -1/2 ln det R
PREDICTABLE = 0.84481  # sum_i (1 - 1 / P_ii), P = R^-1


def trace_of(z, *axes, branches=None):
    p = StandardNormal((z.shape[-1],), z)
    batch = {"x": torch.zeros(z.shape[-2], 1)}
    return Trace(batch, {"z": Latent(z, p, p)}, {}, axes or ("batch",), branches or {})


def noise(rows, n, seed=0):
    """Draws whose sample mean is 0 and whose sample covariance is I, to rounding."""
    z = torch.randn(rows, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    z = z - z.mean(0)
    return z @ torch.linalg.inv(torch.linalg.cholesky(z.mT @ z / rows)).mT


def correlated(covariance, rows=5000, seed=0):
    """Draws with exactly this sample covariance."""
    return noise(rows, len(covariance), seed) @ torch.linalg.cholesky(covariance).mT


class Best(nn.Module):
    """log N(z; 0, R) - sum_j log N(z_j; 0, R_jj) as two logits, or as one."""

    def __init__(self, covariance, outputs=2, scale=1.0):
        super().__init__()
        n = len(covariance)
        self.joint = torch.distributions.MultivariateNormal(torch.zeros(n).double(), covariance)
        self.single = torch.distributions.Normal(torch.zeros(n).double(), covariance.diagonal().sqrt())
        self.outputs, self.scale = outputs, scale

    def forward(self, z):
        joint, product = self.joint.log_prob(z), self.single.log_prob(z).sum(-1)
        if self.outputs == 1:
            return self.scale * (joint - product).unsqueeze(-1)
        return self.scale * torch.stack([joint, product], -1)


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_best_critic_gives_the_total_correlation(outputs):
    z = correlated(R)
    critic = Best(R, outputs)
    expected = critic.joint.log_prob(z) - critic.single.log_prob(z).sum(-1)
    torch.testing.assert_close(DensityRatio(critic)(trace_of(z)), expected)
    estimate = float(DensityRatio(critic)(trace_of(z)).mean())
    # exact, since the log ratio is quadratic and the sample has the moments of the density
    assert estimate == pytest.approx(-0.5 * float(torch.linalg.slogdet(R).logabsdet), rel=1e-12)
    assert estimate == pytest.approx(TOTAL_CORRELATION, abs=1e-5)


@pytest.mark.parametrize("a", [-0.7, 0.3, 0.8])
def test_the_slope_that_reaches_the_encoder_is_that_of_the_total_correlation(a):
    """z = (e1, a e1 + sqrt(1 - a^2) e2): TC = -1/2 ln(1 - a^2), dTC/da = a / (1 - a^2), with its sign."""
    parameter = torch.tensor(a, dtype=torch.float64, requires_grad=True)
    first, second = noise(1000, 2).unbind(-1)
    z = torch.stack([first, parameter * first + (1 - parameter.square()).sqrt() * second], -1)
    critic = Best(torch.tensor([[1.0, a], [a, 1.0]], dtype=torch.float64))
    DensityRatio(critic)(trace_of(z)).mean().backward()
    assert float(parameter.grad) == pytest.approx(a / (1 - a * a), rel=1e-9)


def test_the_best_critic_has_the_lowest_cross_entropy():
    real, fake = correlated(R, 20_000), noise(20_000, 3, seed=1)

    def loss(scale):
        term = Discrimination(Best(R, scale=scale), real=lambda trace: real, fake=lambda trace: fake)
        return float(term(trace_of(real)).mean())

    assert loss(1.0) < min(loss(0.7), loss(1.4)) < math.log(2) < loss(-1.0)
    assert loss(0.0) == pytest.approx(math.log(2))


def test_a_critic_that_is_trained_finds_the_total_correlation():
    """From below: what it has not learnt is missing."""
    torch.manual_seed(0)
    factor = torch.linalg.cholesky(R).float()
    critic = MLP([(3,)], (2,), (64, 64), "leaky_relu_0.2")
    term, optimizer = PermutationTest(critic), torch.optim.Adam(critic.parameters(), 3e-3)
    for _ in range(600):
        optimizer.zero_grad()
        term(trace_of(torch.randn(512, 3) @ factor.mT)).backward()
        optimizer.step()
    with torch.no_grad():
        fresh = trace_of(torch.randn(20_000, 3) @ factor.mT)
        assert 0.20 < float(DensityRatio(critic)(fresh).mean()) < 0.30
        independent = trace_of(torch.randn(20_000, 3))
        assert float(DensityRatio(critic)(independent).mean()) < 0


# -- by hand ------------------------------------------------------------------------------------------------


class Linear(nn.Module):
    """Two fixed logits."""

    weight = torch.tensor([[0.5, -1.0], [2.0, 0.25], [-0.5, 1.5]], dtype=torch.float64)

    def forward(self, z):
        return z @ self.weight


def test_cross_entropies_by_hand():
    z, other = noise(6, 3), noise(6, 3, seed=4)
    trace = trace_of(z, branches={"draws": trace_of(other)})
    real, fake = torch.zeros(6).long(), torch.ones(6).long()  # the first logit is that of the real ones
    found = Discrimination(Linear(), prior_codes, codes)(trace)
    on_real = functional.cross_entropy(other @ Linear.weight, real, reduction="none")
    on_fake = functional.cross_entropy(z @ Linear.weight, fake, reduction="none")
    torch.testing.assert_close(found, 0.5 * (on_real + on_fake))
    deceived = functional.cross_entropy(z @ Linear.weight, real, reduction="none")
    torch.testing.assert_close(Deception(Linear())(trace), deceived)
    logits = (z @ Linear.weight).log_softmax(-1)
    torch.testing.assert_close(DensityRatio(Linear())(trace), logits[:, 0] - logits[:, 1])


def test_cross_entropy_of_pictures_with_several_draws_of_each():
    """(sample, batch, height, width): the critic sees every picture, a datum has the mean over its draws."""
    real, fake = noise(2 * 5 * 3, 4).reshape(2, 5, 3, 4), noise(2 * 5 * 3, 4, seed=4).reshape(2, 5, 3, 4)

    class Sum(nn.Module):
        def forward(self, seen):
            return seen.sum((-2, -1)).unsqueeze(-1)

    term = Discrimination(Sum(), real=lambda trace: real, fake=lambda trace: fake)
    found = term(trace_of(torch.zeros(2, 5, 1), "sample", "batch"))
    each = 0.5 * (functional.softplus(-real.sum((-2, -1))) + functional.softplus(fake.sum((-2, -1))))
    torch.testing.assert_close(found, each.mean(0))


@pytest.mark.parametrize("rows", [2, 7, 8])
def test_permutation_test_by_hand(rows):
    """The first half as it is, the second with its dimensions permuted."""
    z = noise(rows, 3) if rows > 3 else torch.randn(rows, 3).double()
    half = -(-rows // 2)
    torch.manual_seed(3)
    found = PermutationTest(Linear())(trace_of(z))
    torch.manual_seed(3)
    order = torch.rand(rows - half, 3, dtype=torch.float64).argsort(0)
    shuffled = torch.stack([z[half:, j][order[:, j]] for j in range(3)], 1)
    on_real = functional.cross_entropy(z[:half] @ Linear.weight, torch.zeros(half).long())
    on_fake = functional.cross_entropy(shuffled @ Linear.weight, torch.ones(rows - half).long())
    torch.testing.assert_close(found, 0.5 * (on_real + on_fake))


@pytest.mark.parametrize("rows", [2, 7])
def test_permutation_test_of_one_batch_by_hand(rows):
    """All codes as they are, against all of them with their dimensions permuted."""
    z = torch.randn(rows, 3).double()
    torch.manual_seed(3)
    found = PermutationTest(Linear(), halves=False)(trace_of(z))
    torch.manual_seed(3)
    order = torch.rand(rows, 3, dtype=torch.float64).argsort(0)
    shuffled = torch.stack([z[order[:, j], j] for j in range(3)], 1)
    on_real = functional.cross_entropy(z @ Linear.weight, torch.zeros(rows).long())
    on_fake = functional.cross_entropy(shuffled @ Linear.weight, torch.ones(rows).long())
    torch.testing.assert_close(found, 0.5 * (on_real + on_fake))


@pytest.mark.parametrize("halves", [True, False])
def test_a_batch_of_one_says_undecided(halves):
    """Its code is real and permuted at once, so that the critic's only gradient is towards l = 0."""
    z = torch.tensor([[1.0, 2.0, -1.0]], dtype=torch.float64)
    odds = float(log_odds(Linear(), z))
    found = float(PermutationTest(Linear(), halves=halves)(trace_of(z)))
    assert found == pytest.approx(0.5 * (math.log1p(math.exp(-odds)) + math.log1p(math.exp(odds))))
    assert found > math.log(2)


def test_draws_from_the_prior_are_asked_for():
    with pytest.raises(UnsupportedError, match="branch 'draws'"):
        prior_codes(trace_of(noise(4, 2)))
    with pytest.raises(UnsupportedError, match="no latent"):
        codes(Trace({}, {}, {}))
    with pytest.raises(UnsupportedError, match="has 3 outputs; expected 1"):
        log_odds(nn.Linear(2, 3), torch.zeros(4, 2))


def test_all_latents_are_seen_side_by_side():
    z = noise(6, 3)
    trace = trace_of(z)
    trace.latents["w"] = Latent(2 * z[:, :2], trace.latents["z"].q, trace.latents["z"].p)
    torch.testing.assert_close(codes(trace), torch.cat([z, 2 * z[:, :2]], 1))


# -- permutations -------------------------------------------------------------------------------------------


def test_permuted_codes_keep_every_marginal_and_break_the_joint():
    z = correlated(torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64), 4000)
    torch.manual_seed(17)  # not the seed of the codes: they would come from the same stream
    permuted = permute_dimensions(z)
    assert torch.equal(permuted.sort(0).values, z.sort(0).values)
    assert abs(float((permuted[:, 0] * permuted[:, 1]).mean())) < 4 / math.sqrt(4000)
    assert not torch.equal(permuted[:, 0], z[:, 0])  # no dimension is left as it was
    assert not torch.equal(permuted[:, 1], z[:, 1])


def test_permutations_are_uniform_and_independent():
    z = torch.arange(3.0).unsqueeze(1).expand(3, 2)
    counts = {}
    torch.manual_seed(0)
    for _ in range(3600):
        key = tuple(permute_dimensions(z).flatten().int().tolist())
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 36  # 3! orders of each of two dimensions
    assert all(55 < count < 150 for count in counts.values())  # 100 expected, standard deviation 10


def test_permutations_come_from_the_global_generator():
    z = noise(50, 3)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(permute_dimensions(z))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_permutations_under_a_sample_axis():
    z = torch.stack([noise(9, 3), noise(9, 3, seed=1)])
    permuted = permute_dimensions(z)
    assert torch.equal(permuted.sort(1).values, z.sort(1).values)
    assert torch.equal(permute_dimensions(z[:, :1]), z[:, :1])


# -- predictors ---------------------------------------------------------------------------------------------


class LeastSquares(nn.Module):
    """The best linear predictor of every latent from the others, for covariance R."""

    def __init__(self, covariance):
        super().__init__()
        precision = torch.linalg.inv(covariance)
        self.weight = nn.Parameter(torch.eye(len(covariance)).double() - precision / precision.diagonal())

    def forward(self, z):
        return z @ self.weight  # E[z_i | z_-i] = -sum_j P_ij z_j / P_ii


def test_predictability_of_a_gaussian():
    """sum_i Var E[z_i | z_-i] = sum_i (1 - 1 / P_ii), and half the rest is the best prediction error."""
    trace = trace_of(correlated(R))
    precision = torch.linalg.inv(R).diagonal()
    best = LeastSquares(R)
    assert Predictability(best)(trace).item() == pytest.approx(float((1 - 1 / precision).sum()), rel=1e-9)
    assert Predictability(best)(trace).item() == pytest.approx(PREDICTABLE, abs=1e-5)
    error = PredictionError(best)(trace).mean()
    assert error.item() == pytest.approx(float(0.5 * (1 / precision).sum()), rel=1e-9)
    (slope,) = torch.autograd.grad(error, best.weight)
    off = ~torch.eye(3, dtype=torch.bool)
    assert float(slope[off].abs().max()) < 1e-12  # stationary: nothing predicts better


@pytest.mark.parametrize("a", [-0.6, 0.4])
def test_the_slope_of_the_predictability_has_the_right_sign(a):
    """z = (e1, a e1 + e2 sqrt(1 - a^2)): Cov(z1, a z2) + Cov(z2, a z1) = 2 a^2; the slope leaves out targets.

    Through z2 as a predictor of z1: d Cov(sg[z1], a0 z2) / da = a0, half of what the whole would be.
    """
    parameter = torch.tensor(a, dtype=torch.float64, requires_grad=True)
    first, second = noise(1000, 2).unbind(-1)
    z = torch.stack([first, parameter * first + (1 - parameter.square()).sqrt() * second], -1)
    term = Predictability(LeastSquares(torch.tensor([[1.0, a], [a, 1.0]], dtype=torch.float64)))
    value = term(trace_of(z))
    value.backward()
    assert value.item() == pytest.approx(2 * a * a, rel=1e-9)
    assert float(parameter.grad) == pytest.approx(a, rel=1e-9)


class Constant(nn.Module):
    def forward(self, z):
        return torch.full_like(z, 0.3) + 0 * z


def test_nothing_reaches_the_encoder_where_nothing_is_predicted():
    z = correlated(R).requires_grad_()
    value = Predictability(Constant())(trace_of(z))
    value.backward()
    assert abs(value.item()) < 1e-12
    assert not z.grad.any()


def test_a_batch_of_one_has_no_covariance():
    z = torch.randn(1, 3, dtype=torch.float64, requires_grad=True)
    value = Predictability(LeastSquares(R))(trace_of(z))
    value.backward()
    assert value.item() == 0
    assert not z.grad.any()


def test_predictability_does_not_move_with_the_mean():
    z = correlated(R)
    term = Predictability(LeastSquares(R))
    torch.testing.assert_close(term(trace_of(z + 5)), term(trace_of(z)))


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
def test_leave_one_out_is_a_network_for_each(hidden):
    torch.manual_seed(1)
    ensemble = LeaveOneOut(4, hidden).double()
    for bias in ensemble.biases:
        nn.init.normal_(bias)
    z = torch.randn(6, 4).double()
    for i in range(4):
        h = z * (torch.arange(4) != i)
        for number, (weight, bias) in enumerate(zip(ensemble.weights, ensemble.biases, strict=True)):
            h = h @ weight[i] + bias[i]
            h = functional.selu(h) if number < len(hidden) else h
        torch.testing.assert_close(ensemble(z)[:, i], h.squeeze(1))
    slopes = torch.autograd.functional.jacobian(ensemble, z[0])
    assert not slopes.diagonal().any()  # exactly: no latent predicts itself
    assert slopes[~torch.eye(4, dtype=torch.bool)].abs().min() > 0
    lead = torch.randn(2, 3, 4).double()
    torch.testing.assert_close(ensemble(lead)[1, 2], ensemble(lead[1, 2]))


def test_leave_one_out_refusals_and_scale():
    with pytest.raises(ValueError, match="`inputs` is 1; expected at least 2"):
        LeaveOneOut(1)
    with pytest.raises(ValueError, match="`hidden` is"):
        LeaveOneOut(3, (0,))
    with pytest.raises(ValueError, match="got 2 inputs; expected 3"):
        LeaveOneOut(3)(torch.zeros(5, 2))
    torch.manual_seed(0)
    for weight in LeaveOneOut(50, (40,)).weights:
        assert weight.std().item() == pytest.approx(weight.shape[1] ** -0.5, rel=0.1)
