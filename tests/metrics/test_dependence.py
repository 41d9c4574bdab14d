"""Total correlation of codes, against Gaussian aggregates whose total correlation is known."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

from vaekit import conditionals as c
from vaekit.data import ArrayData
from vaekit.data.spec import Spec
from vaekit.distributions import DiagonalNormal
from vaekit.errors import UnsupportedError
from vaekit.metrics import gaussian_total_correlation, total_correlation
from vaekit.models import Flat


class Linear(nn.Module):
    """q(z|x) = N(A x, s^2 I): with x ~ N(0, I), q(z) = N(0, A A^T + s^2 I)."""

    def __init__(self, a, std):
        super().__init__()
        self.register_buffer("a", torch.as_tensor(a, dtype=torch.float64))
        self.std = std

    @property
    def covariance(self):
        return self.a @ self.a.mT + self.std**2 * torch.eye(len(self.a), dtype=torch.float64)

    @property
    def parts(self):
        """Information, total correlation and dimension-wise divergence in closed form, nats."""
        covariance, logdet = self.covariance, float(torch.logdet(self.covariance))
        variances = covariance.diagonal()
        information = 0.5 * (logdet - len(self.a) * math.log(self.std**2))
        correlation = 0.5 * (float(variances.log().sum()) - logdet)
        return information, correlation, float(0.5 * (variances - 1 - variances.log()).sum())

    def forward(self, x):
        mean = x.double() @ self.a.mT
        return DiagonalNormal(mean, torch.full_like(mean, math.log(self.std)))


A = [[1.0, 0.0, 0.0], [0.9, 0.4, 0.0], [0.0, 0.6, 0.3]]


def model_with(posterior, size=3):
    def identity(event):
        return nn.Linear(size, event[0]).double()

    return Flat(posterior, c.StandardGaussian((size,)), c.FixedGaussian(identity, (size,))).double()


def normal_data(n, size=3):
    x = torch.randn(n, size, generator=torch.Generator().manual_seed(1))
    return ArrayData(Spec("normal", (size,), "real", n), x)


def test_gaussian_total_correlation_has_its_closed_form():
    posterior = Linear(A, 0.5)
    found = gaussian_total_correlation(model_with(posterior), normal_data(20_000), n=20_000)
    assert found.value == pytest.approx(posterior.parts[1], abs=0.015)
    deviations = posterior.covariance.diagonal().sqrt()
    correlations = posterior.covariance / deviations / deviations[:, None]
    assert found.correlation == pytest.approx(float(correlations.triu(1).max()), abs=0.01)
    assert (found.n, found.dimensions) == (20_000, 3)


def test_independent_codes_have_the_floor_and_no_more():
    model = model_with(Linear(torch.eye(3), 0.3))
    values = [gaussian_total_correlation(model, normal_data(300), n=300, seed=s).value for s in range(20)]
    found = gaussian_total_correlation(model, normal_data(300), n=300)
    assert found.floor == pytest.approx(3 * 2 / (4 * 300))
    # the data are the same twenty times: their own correlations stay
    assert 0 < sum(values) / 20 < 4 * found.floor
    many = [
        -0.5 * float(torch.logdet(torch.corrcoef(torch.randn(3, 300, dtype=torch.float64))))
        for _ in range(2000)
    ]
    assert sum(many) / 2000 == pytest.approx(found.floor, rel=0.06)


def test_scale_and_constant_dimensions_do_not_matter():
    posterior = Linear(A, 0.5)
    data = normal_data(500)
    first = gaussian_total_correlation(model_with(posterior), data).value

    class Stretched(nn.Module):
        def forward(self, x):
            q = posterior(x)
            scale = torch.tensor([100.0, 1.0, 0.01], dtype=torch.float64)
            return DiagonalNormal(q.loc * scale + 7, q.log_std + scale.log())

    assert gaussian_total_correlation(model_with(Stretched()), data).value == pytest.approx(first)

    def make(event):
        net = nn.Linear(3, 3).double()
        net.weight.data.copy_(torch.tensor([[1.0, 0, 0], [0, 0, 0], [2.0, 1.0, 0]]))
        return net

    point = Flat(c.Deterministic(make, (3,)), c.StandardGaussian((3,)), model_with(posterior).likelihood)
    found = gaussian_total_correlation(point.double(), data)
    assert found.dimensions == 2
    rho = float(torch.corrcoef(torch.stack([data.x[:, 0], 2 * data.x[:, 0] + data.x[:, 1]]))[0, 1])
    assert found.value == pytest.approx(-0.5 * math.log(1 - rho**2), rel=1e-5)
    with pytest.raises(UnsupportedError, match="PointMass"):
        total_correlation(point, data)


def test_parts_of_the_rate_have_their_closed_forms():
    posterior = Linear(A, 0.5)
    found = total_correlation(model_with(posterior), normal_data(4000), draws=2000, seed=2)
    information, correlation, dimension_wise = posterior.parts
    assert (found.n, found.draws, found.size) == (4000, 2000, 4000)
    assert found.total_correlation == pytest.approx(correlation, abs=0.05)
    assert found.information == pytest.approx(information, abs=0.05)
    assert found.dimension_wise == pytest.approx(dimension_wise, abs=0.05)
    assert found.total_correlation_se < 0.03
    total = found.total_correlation + found.information + found.dimension_wise
    assert total == pytest.approx(found.rate, abs=1e-12)


def test_a_factorised_aggregate_has_no_total_correlation():
    found = total_correlation(model_with(Linear(0.8 * torch.eye(3), 0.6)), normal_data(3000))
    assert found.total_correlation == pytest.approx(0, abs=0.03)
    assert found.dimension_wise == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("n", [1, 4, 7])
def test_by_hand(n):
    """Blocks of draws or not, the density of every draw is that of the weighted mixture."""
    data, posterior = normal_data(7), Linear(A, 0.5)
    found = total_correlation(model_with(posterior), data, n=n, draws=3, seed=4)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        order = next(data.batches(500, seed=4, shuffle=n < 7))["x"][:n]
        z = posterior(order).rsample()[:3]
    q = torch.distributions.Normal(posterior(order).loc, 0.5)
    weights = torch.full((n, n), 6 / (7 * max(1, n - 1)), dtype=torch.float64).fill_diagonal_(1 / 7)
    weights = weights if n > 1 else torch.ones(1, 1, dtype=torch.float64)
    density = q.log_prob(z[:, None]).exp()
    weights = weights[: len(z)]
    joint = (density.prod(-1) * weights).sum(1).log()
    product = (density * weights[..., None]).sum(1).log().sum(-1)
    assert found.total_correlation == pytest.approx(float((joint - product).mean()), abs=1e-12)
    assert found.draws == min(3, n)


def test_blocks_change_nothing(monkeypatch):
    model, data = model_with(Linear(A, 0.5)), normal_data(40)
    whole = total_correlation(model, data, n=30)
    monkeypatch.setattr("vaekit.metrics.dependence._PAIR_ELEMENTS", 400)
    assert total_correlation(model, data, n=30).total_correlation == pytest.approx(whole.total_correlation)


def test_quiet_seeded_and_plain():
    model, data = model_with(Linear(A, 0.5)), normal_data(60)
    model.train()
    before = torch.random.get_rng_state()
    for measure in (gaussian_total_correlation, total_correlation):
        found = measure(model, data, n=40)
        assert measure(model, data, n=40) == found
        assert measure(model, data, n=40, seed=1) != found
        assert json.loads(json.dumps(found.to_json(), allow_nan=False)) == found.to_json()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert model.training


def test_what_cannot_be_measured_is_refused(chained, linear_world):
    with pytest.raises(UnsupportedError, match="given another latent"):
        total_correlation(chained[0], chained[1])
    world = linear_world()
    with pytest.raises(UnsupportedError, match="CholeskyNormal"):
        total_correlation(world.model(), world.data(10))
    with pytest.raises(ValueError, match="two or more"):
        gaussian_total_correlation(model_with(Linear(A, 0.5)), normal_data(1))
    with pytest.raises(ValueError, match="`draws` is 0"):
        total_correlation(model_with(Linear(A, 0.5)), normal_data(5), draws=0)
    assert gaussian_total_correlation(world.model(), world.data(500)).value < 0.05  # exact: q(z) = N(0, I)
