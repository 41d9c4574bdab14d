"""Every conditional under the public contract, and the contract under broken conditionals."""

from __future__ import annotations

import copy
import inspect
import math

import pytest
import torch
from torch import nn

from vaekit import conditionals as c
from vaekit.distributions import DiagonalNormal
from vaekit.networks import MLP
from vaekit.testing import check_conditional, check_density


def network(output):
    return MLP([(3,)], output, hidden=(6,), activation="tanh")


def trained(made):
    """Somewhere else than at the start, where a covariance network has a last layer of zeros."""
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


FLAT = {
    "Bernoulli": lambda: c.Bernoulli(network, (4,)),
    "Categorical": lambda: c.Categorical(network, (4,), levels=3),
    "CholeskyGaussian": lambda: c.CholeskyGaussian(network, (4,)),
    "ContinuousBernoulli": lambda: c.ContinuousBernoulli(network, (4,)),
    "DiscretisedLogistic": lambda: c.DiscretisedLogistic(network, (4,), levels=8),
    "FixedGaussian": lambda: c.FixedGaussian(network, (4,), sigma=0.3),
    "Frozen": lambda: c.Frozen(c.Gaussian(network, (4,))),
    "Gaussian": lambda: c.Gaussian(network, (4,)),
    "Laplace": lambda: c.Laplace(network, (4,)),
    "LowRankGaussian": lambda: c.LowRankGaussian(network, (4,), rank=2),
    "OptimalGaussian": lambda: c.OptimalGaussian(network, (4,)),
    "PixelGaussian": lambda: c.PixelGaussian(network, (4,)),
    "Poisson": lambda: c.Poisson(network, (4,)),
    "RankOneGaussian": lambda: c.RankOneGaussian(network, (4,)),
    "SharedGaussian": lambda: c.SharedGaussian(network, (4,)),
    "Uninferred": lambda: c.Uninferred((4,), (3,)),
    "StructuredGaussian": lambda: trained(c.StructuredGaussian(network, (4,), neighbourhood=3)),
}
PRIORS = {
    "GaussianMixture": lambda: c.GaussianMixture((4,), components=3),
    "GaussianRing": lambda: c.GaussianRing((4,), components=3),
    "LearnedGaussian": lambda: c.LearnedGaussian((4,)),
    "ScaledGaussian": lambda: c.ScaledGaussian((4,)),
    "StandardGaussian": lambda: c.StandardGaussian((4,)),
    "UnitCube": lambda: c.UnitCube((4,)),
}
ELSEWHERE = {  # below
    "ClassFrequencies", "Deterministic", "Flow", "LinearPosterior", "OneHot", "PrecisionWeighted",
    "VampPrior",
}  # fmt: skip
ELSEWHERE |= {"Autoregressive", "GumbelSoftmax", "Quantised", "UniformCodes", "UniformOneHot"}  # test_codes
VECTORS = ("CholeskyGaussian", "Frozen", "LowRankGaussian", "RankOneGaussian", "Uninferred")
IMAGES = [name for name in FLAT if name not in VECTORS]


def test_every_conditional_is_here():
    public = {name for name in c.__all__ if inspect.isclass(getattr(c, name))}
    assert public == set(FLAT) | set(PRIORS) | ELSEWHERE


@pytest.mark.parametrize("name", FLAT)
def test_conditional(name):
    check_conditional(FLAT[name](), torch.randn(5, 3), event=(4,))


@pytest.mark.parametrize("name", IMAGES)
def test_conditional_of_pictures(name):
    extra = {"Categorical": {"levels": 3}, "DiscretisedLogistic": {"levels": 8}}.get(name, {})
    made = trained(getattr(c, name)(network, (2, 3, 3), **extra))
    check_conditional(made, torch.randn(5, 3), event=(2, 3, 3))


@pytest.mark.parametrize("name", PRIORS)
def test_prior(name):
    check_conditional(PRIORS[name](), event=(4,))


@pytest.mark.parametrize("scales", [(1, 3, 3), (2, 1, 1), (3,), (2, 3, 3)])
def test_shared_scales_of_any_shape(scales):
    made = trained(c.SharedGaussian(network, (2, 3, 3), scales))
    check_conditional(made, torch.randn(5, 3), event=(2, 3, 3))
    torch.testing.assert_close(made(torch.randn(5, 3)).stddev[4], made.log_std.exp().expand(2, 3, 3))


def test_learned_priors_stay_densities_wherever_they_go():
    for make in (lambda: c.GaussianMixture((1,), components=3), lambda: c.LearnedGaussian((1,))):
        prior = make().double()
        with torch.no_grad():
            for parameter in prior.parameters():
                parameter.add_(torch.randn_like(parameter))
        check_density(prior(), tolerance=1e-9)


def test_ring_lies_round_the_origin():
    ring = c.GaussianRing((3,), components=4, radius=2.0, scale=0.1).double()()
    centres = torch.tensor([[2.0, 0, 0], [0, 2, 0], [-2, 0, 0], [0, -2, 0]]).double()
    torch.testing.assert_close(ring.components.mean, centres, rtol=0, atol=1e-6)
    torch.testing.assert_close(ring.mean, torch.zeros(3).double(), rtol=0, atol=1e-6)
    # 1/4 of a Gaussian with scales 0.1, 0.1 and 1 at its centre
    expected = -math.log(4) + 2 * math.log(10) - 1.5 * math.log(2 * math.pi)
    torch.testing.assert_close(
        ring.log_prob(centres), torch.full((4,), expected).double(), rtol=1e-6, atol=1e-6
    )
    drawn = ring.sample((4000,))
    assert float((drawn[:, :2].norm(dim=1) - 2).abs().max()) < 0.6
    torch.testing.assert_close(drawn[:, 2].std(), torch.tensor(1.0).double(), rtol=0.1, atol=0)


def test_unit_cube():
    cube = c.UnitCube((2,)).double()()
    assert cube.log_prob(torch.tensor([[0.2, 1.0], [0.5, 1.1], [-0.1, 0.5]])).tolist() == [
        0, -math.inf, -math.inf
    ]  # fmt: skip
    drawn = cube.sample((2000,))
    assert 0 <= drawn.min() < 0.01
    assert 0.99 < drawn.max() <= 1
    torch.testing.assert_close(drawn.mean(0), cube.mean, rtol=0, atol=0.03)
    torch.testing.assert_close(drawn.var(0), cube.variance, rtol=0, atol=0.005)


def test_prior_takes_and_ignores_a_context():
    for make in PRIORS.values():
        assert make()(torch.randn(5, 2)).batch_shape == ()


def test_deterministic():
    check_conditional(c.Deterministic(network, (4,)), torch.randn(5, 3), event=(4,), density=False)
    bounded = c.Deterministic(network, (4,), bounded=True)
    check_conditional(bounded, torch.randn(5, 3), event=(4,), density=False)
    x = torch.randn(5, 3)
    torch.testing.assert_close(bounded(x).mean, bounded.network(x).sigmoid())


def test_one_hot():
    check_conditional(c.OneHot(network, 4), torch.randn(5, 3), event=(4,))
    check_conditional(c.ClassFrequencies(4), event=(4,))
    check_conditional(c.ClassFrequencies(2, (0.3, 0.7)), event=(2,))
    for wrong in ((0.5, 0.6), (0.5, 0.5, 0.0), (0.2, 0.8, 0.0)):
        with pytest.raises(ValueError, match="positive numbers that sum to one"):
            c.ClassFrequencies(2, wrong)
    with pytest.raises(ValueError, match="`classes` is 0"):
        c.OneHot(network, 0)
    with pytest.raises(ValueError, match="`classes` is 0"):
        c.ClassFrequencies(0)


class Shared(nn.Module):
    """The linear posterior beside the likelihood whose parameters it shares."""

    def __init__(self):
        super().__init__()
        self.likelihood = c.SharedGaussian(lambda output: nn.Linear(2, *output), (5,))
        self.posterior = c.LinearPosterior(self.likelihood, self.likelihood.network)

    def forward(self, *context):
        return self.posterior(*context)


class Aggregate(nn.Module):
    """The VampPrior beside the posterior that it is made of."""

    def __init__(self):
        super().__init__()
        self.posterior = c.Gaussian(network, (4,))
        self.prior = c.VampPrior(self.posterior, torch.rand(3, 3))

    def forward(self, *context):
        return self.prior(*context)


def test_vamp_prior():
    check_conditional(Aggregate(), event=(4,))
    assert Aggregate()(torch.randn(5, 2)).batch_shape == ()


def test_linear_posterior():
    check_conditional(Shared(), torch.randn(7, 5), event=(2,))


def test_optimal_variance_can_be_copied_in_the_middle_of_a_step():
    made = c.OptimalGaussian(network, (4,))
    made(torch.randn(5, 3)).log_prob(torch.randn(5, 4))
    other = copy.deepcopy(made)
    other.after_step()
    assert other.weight == 0
    made.after_step()
    assert made.weight > 0


def test_values_of_all_channels_are_distinct():
    """Parameters of different kinds must not be mixed up along the channel axis."""
    made = c.PixelGaussian(lambda output: nn.Linear(1, output[0]), (2,))
    with torch.no_grad():
        made.network.weight.zero_()
        made.network.bias.copy_(torch.tensor([1.0, 2.0, -1.0, -2.0]))
    distribution = made(torch.zeros(1, 1))
    torch.testing.assert_close(distribution.mean, torch.tensor([[1.0, 2.0]]))
    torch.testing.assert_close(distribution.log_std, torch.tensor([[-1.0, -2.0]]), atol=0.02, rtol=0)


def test_categorical_logits_belong_to_their_element():
    made = c.Categorical(lambda output: nn.Linear(1, output[0]), (2,), levels=3)
    with torch.no_grad():
        made.network.weight.zero_()
        made.network.bias.copy_(torch.arange(6.0))  # level by level: 0 1 | 2 3 | 4 5
    assert made(torch.zeros(1, 1)).logits[0].tolist() == [[0, 2, 4], [1, 3, 5]]


def test_cholesky_entries_stand_below_the_diagonal():
    made = c.CholeskyGaussian(lambda output: nn.Linear(1, output[0]), (3,))
    with torch.no_grad():
        made.network.weight.zero_()
        made.network.bias.copy_(torch.tensor([0.0, 0, 0, 0.1, 0.2, 0.3, 1, 2, 3]))
    factor = made(torch.zeros(1, 1)).factor[0]
    expected = torch.tensor([[0.1, 0, 0], [1, 0.2, 0], [2, 3, 0.3]])
    expected.diagonal().exp_()
    torch.testing.assert_close(factor, expected)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: c.LowRankGaussian(network, (4,), rank=5), "rank"),
        (lambda: c.CholeskyGaussian(network, (2, 2)), "vector"),
        (lambda: c.FixedGaussian(network, (4,), sigma=0.0), "sigma"),
        (lambda: c.GaussianRing((1,)), "plane"),
        (lambda: c.ScaledGaussian((2, 2)), "vector"),
        (lambda: c.SharedGaussian(network, (2, 3), (2,)), "`scales`"),
        (lambda: c.SharedGaussian(network, (2,), (1, 2)), "`scales`"),
        (lambda: c.DiscretisedLogistic(network, (4,), levels=1), "levels"),
        (lambda: c.Categorical(network, (4,), levels=1), "levels"),
        (lambda: c.GaussianMixture((4,), components=0), "components"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(ValueError, match=words):
        make()


class Unsummed(nn.Module):
    """log_prob keeps the event axis."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, context):
        return torch.distributions.Normal(self.layer(context), 1.0)


class Idle(c.Gaussian):
    """A parameter that nothing depends on."""

    def __init__(self):
        super().__init__(network, (4,))
        self.unused = nn.Parameter(torch.zeros(2))


class Single(c.Gaussian):
    """float32 whatever comes."""

    def __init__(self):
        super().__init__(network, (4,))

    def forward(self, *context):
        q = super().forward(*context)
        return DiagonalNormal(q.loc.float(), q.log_std.float())


class Coupled(c.Gaussian):
    """A datum's distribution depends on the others."""

    def __init__(self):
        super().__init__(network, (4,))

    def forward(self, *context):
        q = super().forward(*context)
        return DiagonalNormal(q.loc - q.loc.mean(0), q.log_std)


class Cut(c.Gaussian):
    """Draws without a gradient to the mean."""

    def __init__(self):
        super().__init__(network, (4,))

    def forward(self, *context):
        q = super().forward(*context)
        return DiagonalNormal(q.loc.detach(), q.log_std.detach())


class Forgetful(c.Gaussian):
    """State that is not saved."""

    def __init__(self):
        super().__init__(network, (4,))
        self.shift = nn.Parameter(torch.ones(4))

    def forward(self, *context):
        q = super().forward(*context)
        return DiagonalNormal(q.loc + self.shift, q.log_std)

    def state_dict(self, *args, **kwargs):
        whole = super().state_dict(*args, **kwargs)
        whole["shift"] = torch.zeros(4)
        return whole


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Unsummed(), "event shape"),
        (Idle(), "unused"),
        (Single(), "float32"),
        (Coupled(), "batch of one"),
        (Cut(), "no gradient"),
        (Forgetful(), "state dict"),
        (nn.Linear(3, 4), "torch Distribution"),
    ],
)
def test_the_contract_sees_what_is_broken(broken, words):
    with pytest.raises(AssertionError, match=words):
        check_conditional(broken, torch.randn(5, 3), event=(4,))


def test_a_point_mass_that_pretends_to_have_a_density_is_seen():
    with pytest.raises(AssertionError, match="no density"):
        check_conditional(FLAT["Gaussian"](), torch.randn(5, 3), event=(4,), density=False)
