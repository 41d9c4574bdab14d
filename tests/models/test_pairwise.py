"""Posteriors of pairs: which dimensions are shared, their averages, and the loss of Ada-GVAE by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from vaekit import conditionals as c
from vaekit import recipes
from vaekit.data.spec import Spec
from vaekit.distributions import DiagonalNormal, averaged, geometric_mean
from vaekit.errors import UnsupportedError
from vaekit.models import Flat, Pairwise
from vaekit.models.pairwise import merge, shared_dimensions
from vaekit.networks import MLP
from vaekit.procedures import Manner
from vaekit.testing import batch_for

EXACT = {"rtol": 1e-12, "atol": 1e-12}
SPEC = Spec("bits", (7,), "binary", 40, factors={"a": 5, "b": 8}, pairs=1)


pytestmark = pytest.mark.usefixtures("double")


def normals(n=6, rows=50):
    torch.manual_seed(1)
    return [DiagonalNormal(torch.randn(rows, n), 0.5 * torch.randn(rows, n)) for _ in range(2)]


def torch_normal(q):
    return Normal(q.mean, q.stddev)


# -- three ways to say which dimensions are shared ---------------------------------------------------------


def in_two_bins(divergence):
    """The authors' code: two bins of equal width between the extremes; what falls in the upper is its own."""
    low, high = divergence.amin(1, keepdim=True), divergence.amax(1, keepdim=True)
    own = ((divergence - low) / (high - low) * 2).floor().clamp(0, 1) == 1
    return ~own


def below_a_ratio(divergence, ratio=0.5):
    """With a threshold that may be moved between the extremes."""
    low, high = divergence.amin(1, keepdim=True), divergence.amax(1, keepdim=True)
    return divergence < torch.lerp(low, high, ratio)


def test_three_forms_agree():
    first, second = normals()
    there, back = (
        kl_divergence(torch_normal(a), torch_normal(b)) for a, b in ((first, second), (second, first))
    )
    divergence = 0.5 * there + 0.5 * back
    shared = shared_dimensions(divergence)
    assert torch.equal(shared, in_two_bins(divergence))
    assert torch.equal(shared, below_a_ratio(divergence))
    assert 0 < shared.double().mean() < 1
    merged = merge(first, second, "gvae")
    for own, found in zip((first, second), merged, strict=True):
        mean = 0.5 * (first.mean + second.mean)
        spread = (0.5 * (first.variance + second.variance)).sqrt()
        torch.testing.assert_close(found.mean, torch.where(shared, mean, own.mean), **EXACT)
        torch.testing.assert_close(found.stddev, torch.where(shared, spread, own.stddev), **EXACT)


@pytest.mark.parametrize(
    ("divergence", "own"),
    [
        ([0.0, 0.1], [0, 1]),  # of disentanglement_lib's own tests
        ([0.0] * 5 + [1.0] * 5, [0] * 5 + [1] * 5),
        ([0.0, 0.5, 1.0], [0, 1, 1]),  # the middle belongs to the upper half
        ([3.0, 0.2, 1.59, 1.61], [1, 0, 0, 1]),
        ([2.0, 2.0], [1, 1]),
    ],
)
def test_the_upper_half_of_the_range_is_not_shared(divergence, own):
    assert shared_dimensions(torch.tensor([divergence]))[0].tolist() == [not each for each in own]


def test_averages():
    first, second = normals()
    mean = averaged(first, second)
    torch.testing.assert_close(mean.variance, 0.5 * (first.variance + second.variance), **EXACT)
    torch.testing.assert_close(mean.mean, 0.5 * (first.mean + second.mean), **EXACT)
    both = geometric_mean(first, second)
    v, w = first.variance, second.variance
    torch.testing.assert_close(both.variance, 2 * v * w / (v + w), **EXACT)
    centre = 0.5 * both.variance * (first.mean / v + second.mean / w)
    torch.testing.assert_close(both.mean, centre, **EXACT)
    # ln of the normalised root of the product: half of both, but for a constant
    z = torch.randn(9, 50, 6)
    half = 0.5 * (torch_normal(first).log_prob(z) + torch_normal(second).log_prob(z))
    rest = torch_normal(both).log_prob(z) - half
    torch.testing.assert_close(rest, rest[:1].expand_as(rest), rtol=1e-9, atol=1e-9)


def test_no_gradient_goes_through_the_choice_and_both_get_that_of_the_average():
    means = torch.randn(2, 4, 3, requires_grad=True)
    log_stds = torch.zeros(2, 4, 3)
    first, second = merge(*(DiagonalNormal(m, s) for m, s in zip(means, log_stds, strict=True)), "gvae")
    (first.mean.sum() + 10 * second.mean.sum()).backward()
    shared = shared_dimensions((means[0] - means[1]).detach().square())
    torch.testing.assert_close(means.grad[0], torch.where(shared, 5.5, 1.0))
    torch.testing.assert_close(means.grad[1], torch.where(shared, 5.5, 10.0))


# -- the model ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("averaging", ["gvae", "ml_vae"])
def test_loss_by_hand(averaging):
    torch.manual_seed(2)
    system = recipes.ada_gvae(SPEC, latents=4, hidden=(9,), beta=3.0, averaging=averaging)
    batch = batch_for(SPEC, 11)
    torch.manual_seed(5)
    trace = system.procedure.trace(batch, Manner())
    total, values = system.procedure.players[0].objective(trace)
    torch.manual_seed(5)
    noise = [torch.randn(11, 4), torch.randn(11, 4)]
    encode, decode = system.model.model.posteriors[0].network, system.model.likelihood.network
    heads = [encode(batch[name]).chunk(2, -1) for name in ("x", "partner")]
    q = [Normal(mean, log_std.exp()) for mean, log_std in heads]
    apart = 0.5 * (kl_divergence(q[0], q[1]) + kl_divergence(q[1], q[0]))
    shared = apart < 0.5 * (apart.min(1, keepdim=True)[0] + apart.max(1, keepdim=True)[0])
    v, w = (each.variance for each in q)
    if averaging == "gvae":
        mean, variance = (q[0].mean + q[1].mean) / 2, (v + w) / 2
    else:
        variance = 2 * v * w / (v + w)
        mean = 0.5 * variance * (q[0].mean / v + q[1].mean / w)
    expected = 0.0
    for own, eps, name in zip(q, noise, ("x", "partner"), strict=True):
        m = torch.where(shared, mean, own.mean)
        s = torch.where(shared, variance.sqrt(), own.stddev)
        p = torch.sigmoid(decode(m + s * eps))
        x = batch[name]
        distortion = -(x * p.log() + (1 - x) * (1 - p).log()).sum(1)
        rate = kl_divergence(Normal(m, s), Normal(0.0, 1.0)).sum(1)
        expected = expected + 0.5 * (distortion + 3.0 * rate).mean()
    torch.testing.assert_close(total, expected, **EXACT)
    assert set(values) == {"distortion", "rate", "partner_distortion", "partner_rate"}


def test_one_datum_at_a_time_it_is_the_model_inside():
    torch.manual_seed(2)
    system = recipes.ada_gvae(SPEC, latents=4, hidden=(9,))
    batch = batch_for(SPEC, 5)
    model = system.model
    torch.testing.assert_close(model.encode(batch)["z"], model.model.encode(batch)["z"])
    assert model(batch).branches == {}
    assert model.infer(batch).observed == {}
    pair = model.infer(batch, None, ("partner",))
    assert pair.observed == {}
    assert pair.branches["partner"].latents["z"].value.shape == (5, 4)
    assert not torch.equal(pair.latents["z"].q.mean, model.encode(batch)["z"])
    drawn = model(batch, 3, ("partner",))
    assert drawn.axes == drawn.branches["partner"].axes == ("sample", "batch")
    assert drawn.latents["z"].value.shape == (3, 5, 4)


def test_a_datum_that_is_its_own_partner_changes_nothing():
    torch.manual_seed(2)
    system = recipes.ada_gvae(SPEC, latents=4, hidden=(9,))
    batch = batch_for(SPEC, 5)
    trace = system.model({**batch, "partner": batch["x"]}, None, ("partner",))
    own = system.model.model.encode(batch)["z"]
    torch.testing.assert_close(trace.latents["z"].q.mean, own, **EXACT)
    torch.testing.assert_close(trace.branches["partner"].latents["z"].q.mean, own, **EXACT)


def flat(posterior, latents=(3,)):
    def network(*inputs):
        return lambda output: MLP([(n,) for n in inputs], output, hidden=(6,))

    return Flat(
        [posterior(network(7), (n,)) for n in latents],
        [c.StandardGaussian((n,)) for n in latents],
        c.Bernoulli(network(*latents), (7,)),
    )


def test_what_cannot_be_paired_is_refused():
    batch = batch_for(SPEC, 5)
    with pytest.raises(ValueError, match="z1, z2; expected one"):
        Pairwise(flat(c.Gaussian, (3, 2)))
    with pytest.raises(ValueError, match="`averaging` is 'both'"):
        Pairwise(flat(c.Gaussian), "both")
    with pytest.raises(UnsupportedError, match="CholeskyNormal"):
        Pairwise(flat(c.CholeskyGaussian))(batch, None, ("partner",))
    with pytest.raises(UnsupportedError, match=r"no `partner`: train on pairs, see `vaekit\.data\.paired`"):
        Pairwise(flat(c.Gaussian))({"x": batch["x"]}, None, ("partner",))
    with pytest.raises(ValueError, match="no branch 'prior'"):
        Pairwise(flat(c.Gaussian))(batch, None, ("prior",))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"beta": -1.0}, "`beta` is -1.0"),
        ({"beta": math.inf}, "`beta` is inf"),
        ({"latents": 1}, "`latents` is 1; expected at least 2"),
        ({"averaging": "mean"}, "`averaging` is 'mean'; expected one of gvae, ml_vae"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        recipes.ada_gvae(SPEC, **arguments)


def test_a_condition_is_refused():
    with pytest.raises(UnsupportedError, match="comes with a condition"):
        recipes.ada_gvae(Spec("toy", (7,), "binary", 9, factors={"a": 3, "b": 3}, pairs=1, context=(2,)))
