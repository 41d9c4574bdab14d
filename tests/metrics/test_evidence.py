from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

from vaekit import conditionals as c
from vaekit.data import ArrayData
from vaekit.data.spec import Spec
from vaekit.distributions import Bernoulli
from vaekit.errors import UnsupportedError
from vaekit.metrics import elbo, log_evidence, nll
from vaekit.metrics.passes import fitting, loaded
from vaekit.models import Flat
from vaekit.terms import Rate


class Counting(nn.Module):
    """A decoder that records how many rows it was asked for."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.rows: list[int] = []

    def forward(self, *context):
        self.rows.append(context[0][..., 0].numel())
        return self.inner(*context)


def test_exact_posterior_makes_every_weight_the_evidence(linear_world):
    world = linear_world()
    data, model = world.data(23), world.model()
    x = data.x.double()
    exact = world.log_evidence(x)
    assert (log_evidence(model, {"x": x}, samples=1) - exact).abs().max() < 1e-10
    assert (log_evidence(model, {"x": x}, samples=7) - exact).abs().max() < 1e-10
    found = nll(model, data, samples=3)
    assert found.nll == pytest.approx(-float(exact.mean()), abs=1e-10)  # the sign too
    assert found.mc_error < 1e-6
    assert found.median_ess == pytest.approx(3, abs=1e-6)
    assert found.bits_per_dim == pytest.approx(found.nll / (5 * math.log(2)))
    assert found.se == pytest.approx(float(exact.std()) / math.sqrt(23), abs=1e-9)
    # with q the posterior the bound is tight: the distortion and the closed-form rate are parts of it
    bound = elbo(model, data, samples=4000)
    assert bound.elbo == pytest.approx(float(exact.mean()), abs=0.02)


def test_importance_sampling_agrees_within_its_own_error(linear_world):
    world = linear_world()
    data, model = world.data(40), world.model(widen=1.5, shift=0.1)
    exact = -float(world.log_evidence(data.x).mean())
    found = nll(model, data, samples=2000, seed=1)
    assert 0 < found.mc_error < 0.01
    assert abs(found.nll - exact) < 4 * found.mc_error
    repeats = [nll(model, data, samples=50, seed=s) for s in range(40)]
    spread = torch.tensor([r.nll for r in repeats]).std()
    claimed = sum(r.mc_error for r in repeats) / len(repeats)
    assert 0.6 < float(spread) / claimed < 1.5
    each = torch.stack([log_evidence(model, {"x": data.x.double()}, samples=50, seed=s) for s in range(40)])
    assert 0.6 < float(each.var(0).mean().sqrt()) / repeats[0].mc_error_per_datum < 1.5


def test_bounds_are_ordered(linear_world):
    world = linear_world()
    data, model = world.data(200), world.model(widen=1.6, correlated=False)
    exact = float(world.log_evidence(data.x).mean())
    bounds = [-nll(model, data, samples=k).nll for k in (1, 10, 500)]
    assert bounds == sorted(bounds)
    assert bounds[-1] < exact + 0.02
    assert elbo(model, data, samples=50).elbo < bounds[1]


def test_conjugate_gaussian():
    s2 = 0.3

    def make(event):
        net = nn.Linear(1, 1).double()
        net.weight.data.fill_(1.0)
        net.bias.data.zero_()
        return net

    def guess(event):
        net = nn.Linear(1, 2).double()
        net.weight.data.copy_(torch.tensor([[0.7], [0.0]]))
        net.bias.data.copy_(torch.tensor([0.0, math.log(0.6)]))
        return net

    likelihood = c.FixedGaussian(make, (1,), math.sqrt(s2))
    model = Flat(c.Gaussian(guess, (1,)), c.StandardGaussian((1,)), likelihood).double()
    x = torch.linspace(-2, 2, 9)[:, None]
    exact = torch.distributions.Normal(0, math.sqrt(1 + s2)).log_prob(x.double()).mean()
    found = nll(model, ArrayData(Spec("one", (1,), "real", 9), x), samples=20000)
    assert abs(found.nll + float(exact)) < 4 * found.mc_error + 1e-6
    assert found.mc_error < 0.005


def test_enumerated_coins(coins):
    assert coins.exact.logsumexp(0).abs() < 1e-9  # the probabilities of all x sum to one
    found = nll(coins.model, coins.data, samples=20000)
    assert abs(found.nll + float(coins.exact.mean())) < 4 * found.mc_error + 1e-6
    values = log_evidence(coins.model, {"x": coins.x}, samples=20000)
    assert values.shape == (16,)
    assert values.logsumexp(0).abs() < 0.02


def test_chain(chained):
    model, data, exact = chained
    found = nll(model, data, samples=20000)
    assert abs(found.nll + float(exact.mean())) < 4 * found.mc_error + 1e-6
    bound = elbo(model, data, samples=20000)
    # minus one term of the nll: both are the same bound, and no closed form is taken where it would be wrong
    many = {"x": data.x.double().repeat(20000, 1)}
    assert bound.elbo == pytest.approx(float(log_evidence(model, many, samples=1).mean()), abs=0.02)
    assert bound.estimators == {"z1": "sample", "z2": "closed"}
    assert bound.rate == pytest.approx(sum(bound.rates.values()))
    trace = model({"x": data.x.double()}, 20000)
    assert float(Rate()(trace).mean()) == pytest.approx(bound.rate, abs=0.02)
    with pytest.raises(UnsupportedError, match="no KL divergence"):
        Rate("closed")(trace)


def test_several_latents_and_a_condition():
    torch.manual_seed(0)

    def net(*inputs):
        class Joined(nn.Module):
            def __init__(self, event):
                super().__init__()
                self.parts = nn.ModuleList(nn.Linear(n, math.prod(event)).double() for n in inputs)

            def forward(self, *xs):
                return sum(part(x) for part, x in zip(self.parts, xs, strict=True))

        return Joined

    model = Flat(
        [c.Gaussian(net(4, 3), (2,)), c.Gaussian(net(4, 3), (1,))],
        [c.Gaussian(net(3), (2,)), c.StandardGaussian((1,))],
        c.Bernoulli(net(2, 1, 3), (4,)),
    ).double()
    with torch.no_grad():
        for p in [*model.posteriors.parameters(), *model.priors.parameters()]:
            p.mul_(0.3)
        for posterior in model.posteriors:  # wider than the prior, so that no weight is rare and large
            posterior.network.parts[0].bias.add_(
                torch.tensor([0.0, 0.3]).repeat_interleave(posterior.event[0])
            )
    x = ((torch.arange(16)[:, None] >> torch.arange(4)) & 1).float()
    condition = torch.tensor([[0.3, -1.0, 0.7]]).expand(16, 3)
    data = ArrayData(Spec("c", (4,), "binary", 16, context=(3,)), x, c=condition)
    values = log_evidence(model, {"x": x.double(), "c": condition.double()}, samples=30000)
    assert values.logsumexp(0).abs() < 0.02  # p(x|c) over all x
    found = nll(model, data, samples=1000)
    assert found.nll == pytest.approx(-float(values.mean()), abs=5 * found.mc_error)
    bound = elbo(model, data, samples=300)
    assert set(bound.rates) == {"z1", "z2"}
    assert bound.estimators == {"z1": "closed", "z2": "closed"}
    assert bound.elbo == pytest.approx(-bound.distortion - bound.rate)
    assert bound.elbo < -found.nll


@pytest.mark.parametrize(("samples", "chunk"), [(1, None), (7, 3), (10, 4), (10, 10), (10, 64), (5003, None)])
@pytest.mark.parametrize("rows", [None, 1, 4])
def test_as_many_draws_as_asked(linear_world, samples, chunk, rows):
    world = linear_world()
    data, model = world.data(11), world.model(widen=1.2)
    model.likelihood = Counting(model.likelihood)
    found = nll(model, data, samples=samples, chunk=chunk, batch_size=rows)
    assert sum(model.likelihood.rows) == 11 * samples
    assert (found.samples, found.n) == (samples, 11)
    limit = (chunk or samples) * (rows or 11)
    assert max(model.likelihood.rows) <= limit


def test_chunks_change_the_noise_alone(linear_world):
    world = linear_world()
    data, model = world.data(6), world.model(widen=1.3)
    x = data.x.double()[:1]
    # chunks of one datum take one stream of noise in turn: the same draws (48 = 3 x 16 normals at a time)
    whole = log_evidence(model, {"x": x}, samples=72)
    assert torch.allclose(log_evidence(model, {"x": x}, samples=72, chunk=24), whole, rtol=0, atol=1e-12)
    many = [nll(model, data, samples=3000, chunk=k, batch_size=b) for k, b in ((3000, 6), (100, 4), (17, 1))]
    for other in many[1:]:
        assert abs(many[0].nll - other.nll) < 4 * (many[0].mc_error + other.mc_error)
        assert other.nll != many[0].nll


def test_deterministic_and_quiet(linear_world):
    world = linear_world()
    data, model = world.data(9), world.model(widen=1.3)
    model.train()
    model.priors[0].eval()
    torch.manual_seed(4)
    before = torch.random.get_rng_state()
    first = (nll(model, data, samples=20), elbo(model, data))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(99)
    assert (nll(model, data, samples=20), elbo(model, data)) == first
    assert nll(model, data, samples=20, seed=1).nll != first[0].nll
    assert elbo(model, data, seed=1).elbo != first[1].elbo
    assert model.training
    assert not model.priors[0].training
    assert not torch.is_inference_mode_enabled()


def test_evaluation_uses_eval_mode():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 4))
    model = Flat(
        c.Gaussian(lambda e: nn.Linear(3, 4), (2,)),
        c.StandardGaussian((2,)),
        c.OptimalGaussian(lambda e: nn.Sequential(network, nn.Linear(4, 3)), (3,)),
    )
    data = ArrayData(Spec("r", (3,), "real", 10), torch.randn(10, 3))
    alone = torch.cat([log_evidence(model, {"x": x[None]}, samples=64, seed=5) for x in data.x])
    # each datum by itself has a finite, ordinary likelihood: its own residual does not set its variance
    assert alone.abs().max() < 100
    assert model.training
    assert model.likelihood._last is None


def test_uneven_last_batch_weighs_by_size(linear_world):
    world = linear_world()
    data, model = world.data(10), world.model()
    exact = -float(world.log_evidence(data.x).mean())
    bounds = [elbo(model, data, samples=3000, batch_size=size) for size in (10, 7, 3)]
    for bound in bounds:
        assert bound.n == 10
        assert bound.rate == pytest.approx(bounds[0].rate, abs=1e-12)  # closed form: no noise
        assert -bound.elbo == pytest.approx(exact, abs=0.03)
        assert bound.rate_se == pytest.approx(bounds[0].rate_se, abs=1e-12)
    assert elbo(model, data, batch_size=9).n == 10  # a last batch of one


def test_limit_takes_a_seeded_subset(linear_world):
    world = linear_world()
    data, model = world.data(30), world.model()
    exact = world.log_evidence(data.x)
    some = nll(model, data, samples=1, limit=12)
    assert some.n == 12
    # independent of how the data are loaded, dependent on the seed, not simply the first
    assert some.nll != pytest.approx(-float(exact[:12].mean()), abs=1e-6)
    index = torch.cat([batch["x"] for batch, _ in loaded(data, model, seed=0, limit=12, size=5)])
    assert some.nll == pytest.approx(-float(world.log_evidence(index).mean()), abs=1e-9)
    assert nll(model, data, samples=1, limit=12, seed=2).nll != some.nll
    assert nll(model, data, samples=1, limit=99).n == 30


def test_rate_is_sampled_where_no_closed_form_is_known(linear_world):
    world = linear_world()
    data = world.data(50)
    model = world.model(widen=1.2, correlated=False)
    assert elbo(model, data).estimators == {"z": "closed"}
    correlated = world.model(widen=1.2)
    mixture = c.GaussianMixture((2,), 1).double()
    mixture.means.data.zero_()
    sampled = Flat(correlated.posteriors[0], mixture, correlated.likelihood)
    bound = elbo(sampled, data, samples=4000)
    assert bound.estimators == {"z": "sample"}
    closed = elbo(correlated, data)
    assert bound.rate == pytest.approx(closed.rate, abs=0.02)
    assert closed.rate > 0


def test_point_masses_are_refused(linear_world):
    world = linear_world()
    data, model = world.data(4), world.model()

    def make(event):
        return nn.Linear(5, event[0]).double()

    def decode(event):
        return nn.Linear(2, event[0]).double()

    encoder = Flat(c.Deterministic(make, (2,)), model.priors[0], model.likelihood)
    decoder = Flat(model.posteriors[0], model.priors[0], c.Deterministic(decode, (5,)))
    for broken in (encoder, decoder):
        with pytest.raises(UnsupportedError, match="no density"):
            nll(broken, data, samples=2)
        with pytest.raises(UnsupportedError, match="no density"):
            elbo(broken, data)


@pytest.mark.parametrize("arguments", [{"samples": 0}, {"chunk": 0}, {"limit": 0}, {"batch_size": 0}])
def test_bad_numbers_are_refused(linear_world, arguments):
    world = linear_world()
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` is 0"):
        nll(world.model(), world.data(3), **arguments)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 64), (5,), (40000,)])
@pytest.mark.parametrize("samples", [1, 100, 5000])
def test_passes_stay_small(shape, samples):
    batch = {"x": torch.zeros(1, *shape).expand(500, *shape)}
    rows, chunk = fitting(batch, samples)
    assert 1 <= rows <= 500
    assert 1 <= chunk <= samples
    assert rows * chunk * max(math.prod(shape), 512) <= 2**21 or rows == chunk == 1
    # and not needlessly so: the room is used, at least to a half
    if rows < 500 and chunk < samples:
        assert rows * chunk * max(math.prod(shape), 512) > 2**20


def test_record_is_json(linear_world):
    world = linear_world()
    data, model = world.data(1), world.model()
    found = nll(model, data, samples=1).to_json()
    assert found["se"] is None  # one datum has no standard error, one draw no spread
    assert found["mc_error"] is None
    assert json.loads(json.dumps(found, allow_nan=False))["samples"] == 1
    json.dumps(elbo(model, data).to_json(), allow_nan=False)


def test_progress_counts_data(linear_world):
    world = linear_world()
    seen = []
    nll(world.model(), world.data(5), samples=3, batch_size=2, progress=lambda *a: seen.append(a))
    assert seen == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("pixels", [1, 15, 16, 50, 784])
@pytest.mark.parametrize("rows", [1, 3])
def test_coins_without_gradients_equal_those_with(dtype, pixels, rows):
    logits = torch.randn(6, rows, pixels, dtype=dtype) * 12
    logits[0, 0, 0], logits[1, 0, 0] = 800.0, -800.0
    x = (torch.rand(rows, pixels) < 0.5).to(dtype)
    exact = -nn.functional.binary_cross_entropy_with_logits(
        logits.double(), x.double().expand(6, rows, pixels), reduction="none"
    ).sum(-1)
    with torch.no_grad():
        found = Bernoulli(logits).log_prob(x)
        images = Bernoulli(logits.unflatten(-1, (1, pixels, 1)), 3).log_prob(x.unflatten(-1, (1, pixels, 1)))
    tight = {"rtol": 1e-12, "atol": 1e-10} if dtype == torch.float64 else {"rtol": 2e-6, "atol": 1e-3}
    assert torch.allclose(found.double(), exact, **tight)
    assert torch.equal(found, images)


@pytest.mark.parametrize(
    ("logits", "value"),
    [((8,), (1, 8)), ((8,), (5, 8)), ((3, 8), (8,)), ((3, 8), (5, 1, 8)), ((2, 1, 8), (3, 8))],
)
def test_coins_broadcast(logits, value):
    l, x = torch.randn(logits), (torch.rand(value) < 0.5).float()
    expected = (x * l - nn.functional.softplus(l)).sum(-1)
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            found = Bernoulli(l).log_prob(x)
        assert found.shape == expected.shape
        assert torch.allclose(found, expected, atol=1e-5)


def test_large_coins_are_taken_in_pieces():
    logits, x = torch.randn(1400, 1, 784), (torch.rand(1, 784) < 0.5).float()
    with torch.no_grad():
        found = Bernoulli(logits).log_prob(x)
        alone = torch.cat([Bernoulli(l).log_prob(x.expand(1, 784)) for l in logits])
    assert torch.allclose(found.squeeze(1), alone, rtol=1e-5)
