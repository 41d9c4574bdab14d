"""Gradients of the bounds, by hand and in expectation."""

from __future__ import annotations

import pytest
import torch

from vaekit import conditionals as c
from vaekit.distributions import CholeskyNormal
from vaekit.errors import UnsupportedError
from vaekit.models import Chain, Flat
from vaekit.networks import MLP
from vaekit.objective import Objective, elbo
from vaekit.schedules import Linear
from vaekit.terms import (
    Capacity,
    Distortion,
    ImportanceBound,
    On,
    Rate,
    log_likelihood,
    log_mean_exp,
    log_weight,
)


def network(*inputs):
    return lambda output: MLP([(n,) for n in inputs], output, hidden=(5,), activation="tanh")


def flat(posterior=c.Gaussian, prior=c.StandardGaussian):
    return Flat(posterior(network(6), (2,)), prior((2,)), c.Bernoulli(network(2), (6,))).double()


def bits(n=4):
    return torch.randint(2, (n, 6)).double()


def trace_of(model, x, samples=None, seed=1, branches=()):
    torch.manual_seed(seed)
    return model({"x": x}, samples, branches)


def gradient(value, parameters):
    found = torch.autograd.grad(value, list(parameters), retain_graph=True, materialize_grads=True)
    return torch.cat([g.flatten() for g in found])


def test_log_mean_exp():
    values = torch.randn(7, 3).double()
    torch.testing.assert_close(log_mean_exp(values), values.exp().mean(0).log())
    torch.testing.assert_close(log_mean_exp(values + 2000) - 2000, values.exp().mean(0).log())
    torch.testing.assert_close(log_mean_exp(values, 1), values.exp().mean(1).log())


def test_gradient_of_the_bound_is_the_weighted_sum():
    """grad log 1/K sum w = sum sg[w~] grad log w (Burda et al. 2016, equation 14)."""
    model, x = flat(), bits()
    weights = log_weight(trace_of(model, x, 8))
    direct = gradient(-ImportanceBound()(trace_of(model, x, 8)).sum(), model.parameters())
    weighted = gradient((weights.softmax(0).detach() * weights).sum(), model.parameters())
    torch.testing.assert_close(direct, weighted)
    # weights taken of the losses instead would give the worst draw the largest one
    wrong = gradient(((-weights).softmax(0).detach() * weights).sum(), model.parameters())
    assert (direct - wrong).abs().max() > 0.01


def test_one_draw_is_the_elbo():
    model, x = flat(), bits()
    one, none = trace_of(model, x, 1), trace_of(model, x)
    expected = Distortion()(none) + Rate("sample")(none)
    bound = ImportanceBound()(one)
    torch.testing.assert_close(bound, expected)
    torch.testing.assert_close(
        gradient(bound.sum(), model.parameters()), gradient(expected.sum(), model.parameters())
    )


def test_limits_of_groups_and_of_b():
    model, x = flat(), bits()
    trace = trace_of(model, x, 12)
    weights = log_weight(trace)
    torch.testing.assert_close(-ImportanceBound(groups=1)(trace), log_mean_exp(weights))
    torch.testing.assert_close(-ImportanceBound(groups=12)(trace), weights.mean(0))
    torch.testing.assert_close(-ImportanceBound(b=1.0)(trace), weights.mean(0))
    torch.testing.assert_close(ImportanceBound(b=0.0)(trace), ImportanceBound()(trace))
    by_hand = torch.stack([weights[4 * m : 4 * m + 4].exp().mean(0).log() for m in range(3)]).mean(0)
    torch.testing.assert_close(-ImportanceBound(groups=3)(trace), by_hand)
    swapped = torch.stack([weights[3 * m : 3 * m + 3].exp().mean(0).log() for m in range(4)]).mean(0)
    assert (by_hand - swapped).abs().max() > 1e-3
    mixed = 0.3 * weights.mean(0) + 0.7 * by_hand
    torch.testing.assert_close(-ImportanceBound(groups=3, b=0.3)(trace), mixed)


@pytest.mark.parametrize("posterior", [c.Gaussian, c.CholeskyGaussian, c.LowRankGaussian, c.RankOneGaussian])
def test_one_draw_of_dreg_is_sticking_the_landing(posterior):
    model, x = flat(posterior), bits()
    phi = list(model.posteriors.parameters())
    dreg = ImportanceBound(gradient="dreg")(trace_of(model, x, 1))
    none = trace_of(model, x)
    stl = Distortion()(none) + Rate("stl")(none)
    torch.testing.assert_close(dreg, stl)
    torch.testing.assert_close(gradient(dreg.sum(), phi), gradient(stl.sum(), phi))
    plain = Distortion()(none) + Rate("sample")(none)
    assert (gradient(plain.sum(), phi) - gradient(stl.sum(), phi)).abs().max() > 1e-3


def test_dreg_by_hand():
    """sum_k w~_k^2 d log w_k / dz_k dz_k / dphi (Tucker et al. 2019, equation 8); its value is the bound."""
    model, x = flat(), bits(1)
    phi = list(model.posteriors.parameters())
    trace = trace_of(model, x, 5)
    latent = trace.latents["z"]
    z = latent.value.detach().requires_grad_()
    frozen = torch.distributions.Normal(latent.q.mean.detach(), latent.q.stddev.detach())
    weights = (model.likelihood(z).log_prob(x) + latent.p.log_prob(z) - frozen.log_prob(z).sum(-1)).squeeze(
        -1
    )
    slopes = torch.autograd.grad(weights.sum(), z)[0]
    square = weights.softmax(0).detach().square()
    expected = gradient((square[:, None, None] * slopes * latent.value).sum(), phi)
    term = ImportanceBound(gradient="dreg")(trace)
    torch.testing.assert_close(-gradient(term.sum(), phi), expected)
    torch.testing.assert_close(term, ImportanceBound()(trace_of(model, x, 5)))


@pytest.mark.parametrize(("name", "draws", "groups"), [("dreg", 6, 1), ("dreg", 6, 2), ("stl", 1, 1)])
def test_cut_gradients_have_the_expectation_of_the_plain_one(name, draws, groups):
    model, x = flat(), bits(1)
    phi = list(model.posteriors.parameters())
    repeats, parts = 2000, 40

    def estimates(kind, seed):
        rows = []
        for part in range(parts):
            trace = trace_of(model, x.expand(repeats, 6), draws, seed + part)
            rows.append(gradient(ImportanceBound(groups, gradient=kind)(trace).mean(), phi))
        stacked = torch.stack(rows)
        return stacked.mean(0), stacked.var(0) / parts

    (first, spread), (second, other) = estimates(name, 100), estimates("plain", 500)
    assert ((first - second).abs() < 4.5 * (spread + other).sqrt() + 1e-12).all()
    assert first.abs().max() > 10 * (spread + other).sqrt().max()  # there is something to compare


def test_stl_with_several_draws_is_another_gradient():
    """Why stl is for one draw: with several, it estimates something else than the slope of the bound."""
    model, x = flat(), bits(1)
    phi = list(model.posteriors.parameters())

    def estimate(kind, seed):
        trace = trace_of(model, x.expand(40_000, 6), 8, seed)
        return gradient(ImportanceBound(gradient=kind)(trace).mean(), phi)

    distance = (estimate("stl", 3) - estimate("plain", 4)).abs().max()
    assert distance > 3 * (estimate("plain", 5) - estimate("plain", 6)).abs().max()


def chain():
    return Chain(
        [c.Gaussian(network(6), (3,)), c.Gaussian(network(3), (2,))],
        [c.Gaussian(network(2), (3,)), c.StandardGaussian((2,))],
        c.Bernoulli(network(3), (6,)),
    ).double()


def test_refusals():
    model, x = flat(), bits()
    with pytest.raises(UnsupportedError, match="sample axis"):
        ImportanceBound()(trace_of(model, x))
    with pytest.raises(ValueError, match="5 equal groups"):
        ImportanceBound(groups=5)(trace_of(model, x, 12))
    deep = trace_of(chain(), x, 4)
    for term in (
        ImportanceBound(gradient="stl"),
        ImportanceBound(gradient="dreg"),
        Rate("stl"),
        Rate("closed"),
    ):
        with pytest.raises(UnsupportedError):
            term(deep)
    with pytest.raises(UnsupportedError, match="no closed form"):
        Rate("closed")(trace_of(flat(prior=c.GaussianMixture), x))
    with pytest.raises(ValueError, match="groups"):
        ImportanceBound(groups=0)
    with pytest.raises(ValueError, match="`b`"):
        ImportanceBound(b=1.1)
    with pytest.raises(ValueError, match="gradient"):
        ImportanceBound(gradient="exact")
    with pytest.raises(ValueError, match="estimator"):
        Rate("exact")
    strange = trace_of(model, x, 3)
    strange = type(strange)(strange.batch, strange.latents, strange.observed, ("label", "batch"))
    with pytest.raises(UnsupportedError, match="label"):
        Distortion()(strange)


def test_chain_is_the_two_layer_elbo_by_hand():
    model, x = chain(), bits()
    trace = trace_of(model, x)
    (lower, upper), (middle, top) = model.posteriors, model.priors
    torch.manual_seed(1)
    q1 = lower(x)
    z1 = q1.mean + q1.stddev * torch.randn(4, 3, dtype=torch.float64)
    q2 = upper(z1)
    z2 = q2.mean + q2.stddev * torch.randn(4, 2, dtype=torch.float64)
    normal = torch.distributions.Normal
    logits = model.likelihood.network(z1)
    log_p = torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(-1)
    p1 = middle(z2)
    rate = (
        normal(q1.mean, q1.stddev).log_prob(z1).sum(-1)
        + normal(q2.mean, q2.stddev).log_prob(z2).sum(-1)
        - normal(p1.mean, p1.stddev).log_prob(z1).sum(-1)
        - normal(0.0, 1.0).log_prob(z2).sum(-1)
    )
    assert top.event == (2,)
    torch.testing.assert_close(trace.latents["z1"].value, z1)
    torch.testing.assert_close(trace.latents["z2"].value, z2)
    torch.testing.assert_close(Distortion()(trace), -log_p)
    for estimator in ("auto", "sample"):
        torch.testing.assert_close(Rate(estimator)(trace), rate)
    torch.testing.assert_close(
        gradient((Distortion()(trace) + Rate()(trace)).sum(), model.parameters()),
        gradient((rate - log_p).sum(), model.parameters()),
    )
    torch.testing.assert_close(-ImportanceBound()(trace_of(model, x, 1)), log_p - rate)


def test_flat_with_several_latents_sums_their_rates():
    model = Flat(
        [c.Gaussian(network(6), (3,)), c.Gaussian(network(6), (2,))],
        [c.StandardGaussian((3,)), c.LearnedGaussian((2,))],
        c.Bernoulli(network(3, 2), (6,)),
    ).double()
    x = bits()
    trace = trace_of(model, x, 3)
    kl = torch.distributions.kl_divergence
    rates = [kl(latent.q, latent.p) for latent in trace.latents.values()]
    torch.testing.assert_close(Rate()(trace), rates[0] + rates[1])
    assert list(trace.latents) == ["z1", "z2"]
    logits = model.likelihood.network(trace.latents["z1"].value, trace.latents["z2"].value)
    expected = torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(-1).mean(0)
    torch.testing.assert_close(-Distortion()(trace), expected)


def test_rates_agree_in_expectation():
    model, x = flat(prior=c.LearnedGaussian), bits()
    with torch.no_grad():
        model.priors[0].mean.add_(0.4)
        model.priors[0].log_std.add_(-0.3)
    trace = trace_of(model, x, 40_000)
    ratio = log_weight(trace) - log_likelihood(trace)
    error = Rate("sample")(trace) - Rate("closed")(trace)
    assert (error.abs() < 4.5 * ratio.std(0) / 200).all()
    torch.testing.assert_close(Rate()(trace), Rate("closed")(trace))
    torch.testing.assert_close(Rate("stl")(trace), Rate("sample")(trace))


def test_beta_weighs_the_rate_and_its_gradient():
    model, x = flat(), bits()
    trace = trace_of(model, x)
    distortion, rate = Distortion()(trace).mean(), Rate()(trace).mean()
    for beta in (0.0, 1.0, 4.0):
        total, values = elbo(beta)(trace)
        torch.testing.assert_close(total, distortion + beta * rate)
        torch.testing.assert_close(values["rate"], rate.detach())
        expected = gradient(distortion, model.parameters()) + beta * gradient(rate, model.parameters())
        torch.testing.assert_close(gradient(total, model.parameters()), expected)


def test_a_fixed_variance_is_a_weight_of_the_rate():
    """Fixed sigma^2 at beta = 1 has the gradient of 1/2 |x - m|^2 + sigma^2 KL, divided by sigma^2."""
    sigma = 0.6
    likelihood = c.FixedGaussian(network(2), (6,), sigma)
    model = Flat(c.Gaussian(network(6), (2,)), c.StandardGaussian((2,)), likelihood).double()
    x = torch.randn(4, 6).double()
    trace = trace_of(model, x)
    squares = 0.5 * (x - trace.observed["x"].p.mean).square().sum(-1).mean()
    expected = gradient(squares + sigma**2 * Rate()(trace).mean(), model.parameters())
    found = gradient(elbo()(trace).total, model.parameters())
    torch.testing.assert_close(found * sigma**2, expected, rtol=1e-6, atol=1e-6)


def test_capacity_holds_the_mean_rate():
    model, x = flat(), bits()
    trace = trace_of(model, x)
    rate = Rate()(trace).mean()
    value = rate.item()
    low, high = Capacity(value - 1), Capacity(value + 1)
    torch.testing.assert_close(low(trace), torch.tensor(1.0).double())
    torch.testing.assert_close(high(trace), torch.tensor(1.0).double())
    slope = gradient(rate, model.parameters())
    torch.testing.assert_close(gradient(low(trace), model.parameters()), slope)
    torch.testing.assert_close(gradient(high(trace), model.parameters()), -slope)
    # of the mean, not the mean of absolute values
    each = Rate()(trace)
    assert each.min() < rate < each.max()
    torch.testing.assert_close(Capacity(value)(trace), torch.tensor(0.0).double())


def test_capacity_follows_its_schedule():
    model, x = flat(), bits()
    target = Linear(0.0, 2.0, steps=4)
    term = Capacity(target)
    trace = trace_of(model, x)
    rate = Rate()(trace).mean().item()
    for step in range(6):
        assert abs(term(trace).item() - abs(rate - min(2.0, 0.5 * step))) < 1e-9
        target.after_step()


def test_schedules_do_not_change_the_dtype_of_the_loss():
    model = flat().float()
    trace = trace_of(model, bits().float())
    objective = Objective(
        {
            "distortion": (Linear(0.0, 1.0, 3), Distortion()),
            "capacity": (1.0, Capacity(Linear(0.0, 1.0, 3))),
        }
    )
    total, values = objective(trace)
    assert total.dtype == torch.float32
    assert {value.dtype for value in values.values()} == {torch.float32}


def test_prior_branch_draws_from_the_prior():
    likelihood = c.Bernoulli(network(2, 3), (6,))
    model = Flat(c.Gaussian(network(6, 3), (2,)), c.Gaussian(network(3), (2,)), likelihood).double()
    x, condition = bits(), torch.randn(4, 3).double()
    for samples in (None, 5):
        torch.manual_seed(1)
        trace = model({"x": x, "c": condition}, samples, ("prior",))
        branch = trace.branches["prior"]
        latent = branch.latents["z"]
        assert latent.value.shape == ((4, 2) if samples is None else (5, 4, 2))
        assert latent.q is latent.p
        torch.testing.assert_close(Rate("sample")(branch), torch.zeros(4).double())
        expected = likelihood(latent.value, condition).log_prob(x)
        expected = expected if samples is None else expected.mean(0)
        term = On("prior", Distortion())
        torch.testing.assert_close(-term(trace), expected)
        # it moves the prior and the likelihood, and not the posterior
        loss = term(trace).sum()
        assert gradient(loss, model.posteriors.parameters()).abs().max() == 0
        assert gradient(loss, model.priors.parameters()).abs().max() > 0
        assert gradient(loss, model.likelihood.parameters()).abs().max() > 0
    draws = torch.stack(
        [
            model({"x": x, "c": condition}, 500, ("prior",)).branches["prior"].latents["z"].value
            for _ in range(9)
        ]
    )
    p = model.priors[0](condition)
    error = (draws.flatten(0, 1).mean(0) - p.mean).abs()
    assert (error < 5 * p.stddev / 4500**0.5).all()
    with pytest.raises(ValueError, match="guess"):
        model({"x": x, "c": condition}, None, ("guess",))


def test_gaussian_gradient_identities():
    """d/dmu E f = E grad f and d/dC E f = 1/2 E hess f (Rezende et al. 2014)."""
    mean = torch.tensor([0.3, -0.5]).double().requires_grad_()
    factor = torch.tensor([[0.8, 0.0], [0.4, 0.6]]).double()
    covariance = (factor @ factor.mT).requires_grad_()

    def f(z):
        return (1.5 * z).sin().sum(-1) + z[..., 0] * z[..., 1].square()

    n, parts = 20_000, 30
    rows = {"mean": [], "slope": [], "covariance": [], "curvature": []}
    for _ in range(parts):
        z = CholeskyNormal(mean, torch.linalg.cholesky(covariance)).rsample((n,))
        to_mean, to_covariance = torch.autograd.grad(f(z).mean(), [mean, covariance])
        rows["mean"].append(to_mean)
        rows["covariance"].append(to_covariance)
        z = z.detach()
        waves = 1.5 * (1.5 * z).cos()
        rows["slope"].append((waves + torch.stack([z[:, 1].square(), 2 * z[:, 0] * z[:, 1]], -1)).mean(0))
        curvature = torch.diag_embed(-2.25 * (1.5 * z).sin())
        curvature[:, 1, 1] += 2 * z[:, 0]
        curvature[:, 0, 1] = curvature[:, 1, 0] = 2 * z[:, 1]
        rows["curvature"].append(0.5 * curvature.mean(0))
    found = {name: torch.stack(values) for name, values in rows.items()}
    for pathwise, identity in (("mean", "slope"), ("covariance", "curvature")):
        first, second = found[pathwise], found[identity]
        se = ((first.var(0) + second.var(0)) / parts).sqrt()
        assert ((first.mean(0) - second.mean(0)).abs() < 4.5 * se + 1e-9).all()
