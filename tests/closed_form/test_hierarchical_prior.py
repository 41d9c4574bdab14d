"""A prior of two levels: its bound where p(z) is known, rotations of priors, and the growing weight."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, kl_divergence

from vaekit import conditionals as c
from vaekit.controllers import Growth
from vaekit.distributions import CholeskyNormal, DiagonalNormal
from vaekit.models import Chain
from vaekit.networks import MLP
from vaekit.terms import Distortion, Rate

EXACT = {"rtol": 1e-10, "atol": 1e-10}


pytestmark = pytest.mark.usefixtures("double")


def affine(weight, bias):
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return lambda output: layer


def with_scales(conditional, log_std):
    """`log_std` is head softly kept above -6: log_std = -6 + softplus(head + 6)."""
    with torch.no_grad():
        conditional.head.copy_((log_std + 6).expm1().log() - 6)
    torch.testing.assert_close(conditional.log_std, log_std, **EXACT)
    return conditional


# p(z|xi) = N(W xi + b, s^2 I), with orthogonal columns in W: then p(xi|z) has independent dimensions
W = torch.tensor([[1.2, -0.5], [0.6, 1.0]], dtype=torch.float64)
B = torch.tensor([0.3, -0.7], dtype=torch.float64)
S = torch.tensor([math.log(0.6), math.log(0.6)], dtype=torch.float64)
PRECISION = torch.eye(2, dtype=torch.float64) + W.T @ W / 0.36


def chain(h=None, offset=None, t=None):
    """q(z|x) by a fixed affine map, the hierarchy above, and r(xi|z), exact unless another one is given."""
    exact = torch.linalg.solve(PRECISION, W.T / 0.36)
    h = exact if h is None else h
    offset = -exact @ B if offset is None else offset
    t = -0.5 * PRECISION.diagonal().log() if t is None else t
    up = torch.tensor([[0.8, 0.1, -0.3], [0.2, -0.6, 0.4]])
    return Chain(
        [
            with_scales(c.SharedGaussian(affine(up, 0.1 * up[:, 0]), (2,), (2,)), torch.tensor([-0.4, -1.1])),
            with_scales(c.SharedGaussian(affine(h, offset), (2,), (2,)), t),
        ],
        [with_scales(c.SharedGaussian(affine(W, B), (2,), (2,)), S), c.StandardGaussian((2,))],
        c.SharedGaussian(affine(torch.randn(3, 2), torch.zeros(3)), (3,)),
    )


def marginal():
    return MultivariateNormal(B, W @ W.T + 0.36 * torch.eye(2))


def test_the_exact_posterior_of_xi_makes_the_bound_tight_at_every_draw():
    assert abs(float(PRECISION[0, 1])) < 1e-12
    trace = chain()({"x": torch.randn(5, 3)}, 7)
    z, q = trace.latents["z1"].value, trace.latents["z1"].q
    rate = Rate("sample")
    one = q.log_prob(z) - marginal().log_prob(z)  # no draw of xi is left in it
    torch.testing.assert_close(rate(trace), one.mean(0), **EXACT)
    parts = trace.latents["z2"]
    log_joint = (
        trace.latents["z1"].p.log_prob(z) + parts.p.log_prob(parts.value) - parts.q.log_prob(parts.value)
    )
    torch.testing.assert_close(log_joint, marginal().log_prob(z), **EXACT)


@pytest.mark.parametrize("change", ["mean", "scale", "offset"])
def test_any_other_posterior_of_xi_makes_it_larger_by_their_divergence(change):
    torch.manual_seed(0)
    exact = torch.linalg.solve(PRECISION, W.T / 0.36)
    h = 1.3 * exact if change == "mean" else exact
    offset = -h @ B + (0.4 if change == "offset" else 0.0)
    t = -0.5 * PRECISION.diagonal().log() + (0.5 if change == "scale" else 0.0)
    model = chain(h, offset, t)
    trace = model({"x": torch.randn(3, 3)}, 40_000)
    z, q = trace.latents["z1"].value, trace.latents["z1"].q
    truth = MultivariateNormal(q.mean, torch.diag_embed(q.variance))
    right = kl_divergence(truth, marginal())
    gap = trace.latents["z2"].q
    best = DiagonalNormal((z - B) @ exact.T, -0.5 * PRECISION.diagonal().log())
    expected = right + kl_divergence(gap, best).mean(0)
    found = Rate()(trace)
    assert bool((found > right + 0.02).all())
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0)


def test_without_connections_and_with_unit_scales_it_is_the_rate_of_a_standard_prior():
    torch.manual_seed(0)
    zero, unit = torch.zeros(2, 2), torch.zeros(2)
    model = chain(zero, torch.zeros(2), unit)
    model.priors[0] = with_scales(c.SharedGaussian(affine(zero, unit), (2,), (2,)), unit)
    trace = model({"x": torch.randn(3, 3)}, 40_000)
    q = trace.latents["z1"].q
    standard = kl_divergence(q, c.StandardGaussian((2,))())
    torch.testing.assert_close(Rate()(trace), standard, atol=0.03, rtol=0)


def test_each_part_reaches_its_own_networks():
    model = chain()
    trace = model({"x": torch.randn(5, 3)})
    parts = {
        "posterior": model.posteriors[0], "r": model.posteriors[1], "g": model.priors[0],
        "likelihood": model.likelihood,
    }  # fmt: skip

    def reached(value):
        every = [p for part in parts.values() for p in part.parameters()]
        slopes = torch.autograd.grad(value.mean(), every, retain_graph=True, allow_unused=True)
        found = {id(p) for p, slope in zip(every, slopes, strict=True) if slope is not None and slope.any()}
        return {name for name, part in parts.items() if any(id(p) in found for p in part.parameters())}

    assert reached(Distortion()(trace)) == {"posterior", "likelihood"}
    assert reached(Rate()(trace)) == {"posterior", "r", "g"}


@pytest.mark.parametrize(("scales", "same"), [((0.6, 0.6), True), ((0.6, 0.3), False)])
def test_a_hierarchy_with_equal_scales_turns_with_the_latents(scales, same):
    """z -> Q z and g -> Q g: p(z|xi) is as before, unless the scales have axes; r follows by h(Q^T z)."""
    turn = rotation(0.7)
    log_std = torch.tensor(scales).log()
    z, xi = torch.randn(9, 2), torch.randn(9, 2)
    g = MLP([(2,)], (2,), (16, 16))
    before = DiagonalNormal(g(xi), log_std).log_prob(z)
    after = DiagonalNormal(g(xi) @ turn.T, log_std).log_prob(z @ turn.T)
    assert torch.allclose(before, after, rtol=1e-10, atol=1e-10) == same
    last = MLP([(2,)], (2,), (16, 16))
    last.load_state_dict(g.state_dict())
    with torch.no_grad():  # the turned g is a network of the same form
        last.output_layer.weight.copy_(turn @ g.output_layer.weight)
        last.output_layer.bias.copy_(turn @ g.output_layer.bias)
    torch.testing.assert_close(last(xi), g(xi) @ turn.T, **EXACT)


def rotation(angle):
    return torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def rotated(q, angle):
    turn = rotation(angle)
    factor = torch.linalg.cholesky(turn @ torch.diag_embed(q.variance) @ turn.T)
    return CholeskyNormal(q.mean @ turn.T, factor)


def test_a_rotation_leaves_the_standard_prior_alone_and_no_other_one():
    q = DiagonalNormal(torch.tensor([[0.4, -1.0], [1.5, 0.2]]), torch.tensor([[-1.0, -0.2], [0.1, -0.5]]))
    z = q.rsample((5,))
    turned = rotated(q, 0.7)
    torch.testing.assert_close(
        kl_divergence(turned, c.StandardGaussian((2,))()),
        kl_divergence(q, c.StandardGaussian((2,))()),
        **EXACT,
    )
    scaled = c.ScaledGaussian((2,))()
    exact = MultivariateNormal(torch.zeros(2), torch.diag(torch.tensor([1.0, 2.0])))
    torch.testing.assert_close(scaled.log_prob(z), exact.log_prob(z), atol=1e-6, rtol=0)
    wide = MultivariateNormal(turned.mean, scale_tril=turned.factor)
    narrow = MultivariateNormal(q.mean, torch.diag_embed(q.variance))
    torch.testing.assert_close(kl_divergence(q, scaled), kl_divergence(narrow, exact), atol=1e-6, rtol=0)
    assert bool(((kl_divergence(wide, exact) - kl_divergence(narrow, exact)).abs() > 0.05).all())


def test_scaled_variances_go_from_one_to_two():
    torch.testing.assert_close(c.ScaledGaussian((5,))().variance, torch.linspace(1, 2, 5), atol=1e-6, rtol=0)
    assert c.ScaledGaussian((1,))().variance.tolist() == [1.0]
    with pytest.raises(ValueError, match=r"`event` is \(2, 2\)"):
        c.ScaledGaussian((2, 2))


# --- the growing weight ---


def by_hand(weight, value, nu=0.005, tau=1.0):
    f = -1 if value > 0 else math.tanh(tau * (weight - 1))
    return min(1.0, weight * math.exp(nu * f * value))


def test_one_update_as_computed_by_hand():
    for value, expected in ((-5.0, 0.1018069), (5.0, 0.0975310)):
        rule = Growth("distortion", 1, first=0.1)
        rule.hear({"distortion": torch.tensor(value)})
        assert float(rule()) == pytest.approx(expected, abs=5e-8)


def test_a_sequence_with_sums_over_elements_and_a_first_phase():
    """Nothing moves before `start`; then sums of 8 elements, in nats, count by their mean."""
    values = [3.0, -2.0, 40.0, -16.0, -800.0, 0.0, 24.0, -8000.0, -1e6, -5.0]
    rule = Growth("distortion", 8, nu=0.3, tau=2.0, first=0.2, start=2)
    expected, seen = 0.2, []
    for step, value in enumerate(values):
        assert float(rule()) == (0 if step < 2 else pytest.approx(expected, rel=1e-12))
        seen.append(float(rule()))
        rule.hear({"distortion": torch.tensor(value, dtype=torch.float64)})
        if step >= 2:
            expected = by_hand(expected, value / 8, 0.3, 2.0)
    assert max(seen) == 1.0
    other = Growth("distortion", 8, nu=0.3, tau=2.0, start=2)
    other.load_state_dict(rule.state_dict())
    assert torch.equal(other(), rule())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"nu": 0.0}, "`nu` is 0.0"),
        ({"tau": -1.0}, "`tau` is -1.0"),
        ({"first": 0.0}, "`first` is 0.0"),
        ({"first": 1.5}, "`first` is 1.5"),
        ({"start": -1}, "`start` is -1"),
    ],
)
def test_growth_refuses(arguments, words):
    with pytest.raises(ValueError, match=words):
        Growth("distortion", 4, **arguments)
