"""Every term under the public contract on traces of every model, and the contract under broken terms."""

from __future__ import annotations

import inspect
from typing import get_args

import pytest
import torch
from torch import nn

from vaekit import conditionals as c
from vaekit import terms
from vaekit.distributions import CholeskyNormal, DiagonalNormal, LowRankNormal
from vaekit.errors import UnsupportedError
from vaekit.models import Chain, Flat
from vaekit.networks import MLP
from vaekit.terms import (
    MMD,
    Acceptance,
    Capacity,
    CodebookLoss,
    Commitment,
    Deception,
    DensityRatio,
    DimensionWise,
    Discrimination,
    Distortion,
    ImportanceBound,
    Information,
    OffDiagonal,
    On,
    PermutationTest,
    Predictability,
    PredictionError,
    Rate,
    Recognition,
    Rejection,
    SquaredError,
    SquaredSlope,
    TotalCorrelation,
    UnitVariance,
    codes,
    log_likelihood,
    log_ratio,
)
from vaekit.terms.aggregate import Aggregate
from vaekit.terms.correlation import Measure, make_measure
from vaekit.terms.covariance import Covariance
from vaekit.testing import check_term, select

DATA, DRAWS, BITS = 5, 6, 7


def network(*inputs):
    return lambda output: MLP([(n,) for n in inputs], output, hidden=(6,))


def flat(posterior=c.Gaussian, prior=c.StandardGaussian, likelihood=c.Bernoulli):
    return Flat(posterior(network(BITS), (3,)), prior((3,)), likelihood(network(3), (BITS,)))


MODELS = {
    "flat": flat,
    "cholesky": lambda: flat(c.CholeskyGaussian),
    "low rank": lambda: flat(c.LowRankGaussian, c.GaussianMixture),
    "rank one": lambda: flat(c.RankOneGaussian, c.LearnedGaussian, c.PixelGaussian),
    "two latents": lambda: Flat(
        [c.Gaussian(network(BITS), (3,)), c.Gaussian(network(BITS), (2,))],
        [c.StandardGaussian((3,)), c.LearnedGaussian((2,))],
        c.Bernoulli(network(3, 2), (BITS,)),
    ),
    "chain": lambda: Chain(
        [c.Gaussian(network(BITS), (3,)), c.Gaussian(network(3), (2,))],
        [c.Gaussian(network(2), (3,)), c.StandardGaussian((2,))],
        c.Bernoulli(network(3), (BITS,)),
    ),
}


def trace_of(name, samples=DRAWS, branches=()):
    model = MODELS[name]().double()
    x = torch.randint(2, (DATA, BITS)).double()
    return model({"x": x}, samples, branches)


class Judge(nn.Module):
    """Two logits for codes of any width."""

    def forward(self, z):
        return torch.stack([z.square().sum(-1), z.sum(-1).sin()], -1)


class Guess(nn.Module):
    """Every latent guessed from the sum of the others."""

    def forward(self, z):
        return (z.sum(-1, keepdim=True) - z).tanh()


TERMS = {
    "distortion": Distortion(),
    "rate": Rate(),
    "sampled rate": Rate("sample"),
    "iwae": ImportanceBound(),
    "miwae": ImportanceBound(groups=3),
    "ciwae": ImportanceBound(groups=2, b=0.3),
    "capacity": Capacity(2.0),
    "squared error": SquaredError(),
    "density ratio": DensityRatio(Judge()),
    "deception": Deception(Judge()),
    "discrimination": Discrimination(Judge(), real=codes, fake=lambda trace: codes(trace).square()),
    "permutation test": PermutationTest(Judge()),
    "prediction error": PredictionError(Guess()),
    "predictability": Predictability(Guess()),
    "acceptance": Acceptance(Judge()),
    "rejection": Rejection(Judge()),
    "squared slope": SquaredSlope(Judge()),
}
ADVERSARIAL = [
    "density ratio", "deception", "discrimination", "permutation test", "prediction error", "predictability",
    "acceptance", "rejection", "squared slope",
]  # fmt: skip

COUPLED = {
    "information": Information(Aggregate(40)),
    "total correlation": TotalCorrelation(Aggregate(40, "balanced")),
    "dimension-wise": DimensionWise(Aggregate(40, "mws")),
    "off diagonal": OffDiagonal(Covariance("i")),
    "unit variance": UnitVariance(Covariance("ii")),
}
"""Terms that couple the batch through diagonal Gaussian posteriors given x."""


CODES = [Commitment(), CodebookLoss(), Distortion(), Rate()]


def test_every_term_is_here():
    found = {type(term).__name__ for term in (*TERMS.values(), *COUPLED.values(), *CODES)}
    found |= {"On", "MMD", "Recognition", "InverseWeighted", "LiteralMahalanobis", "Mahalanobis"}  # below
    # of one likelihood, of a model that has labels, of pictures, of data with parameters: tests/closed_form,
    # tests/models
    found |= {"PrecisionPrior", "Classification", "BlurredError", "Told", "ToldDecoder"}
    public = {n for n in terms.__all__ if inspect.isclass(getattr(terms, n))} - {"Term"}
    assert public == found


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("model", MODELS)
def test_term(model, term):
    check_term(TERMS[term], trace_of(model))


@pytest.mark.parametrize(
    "term", ["distortion", "rate", "sampled rate", "capacity", "squared error", *ADVERSARIAL]
)
@pytest.mark.parametrize("model", MODELS)
def test_term_without_sample_axis(model, term):
    check_term(TERMS[term], trace_of(model, samples=None))


@pytest.mark.parametrize("samples", [None, DRAWS])
@pytest.mark.parametrize("term", CODES, ids=lambda term: type(term).__name__)
def test_term_on_codes(term, samples):
    posterior = c.Quantised(lambda output: MLP([(BITS,)], output, hidden=(6,)), (2, 3), codes=4)
    likelihood = c.Bernoulli(lambda output: MLP([(2, 3)], output, hidden=(6,)), (BITS,))
    model = Flat(posterior, c.UniformCodes(posterior), likelihood).double()
    check_term(term, model({"x": torch.randint(2, (DATA, BITS)).double()}, samples))


@pytest.mark.parametrize("samples", [None, DRAWS])
@pytest.mark.parametrize("term", COUPLED)
@pytest.mark.parametrize("model", ["flat", "two latents"])
def test_coupled_terms(model, term, samples):
    assert COUPLED[term].couples_batch
    check_term(COUPLED[term], trace_of(model, samples))


@pytest.mark.parametrize("samples", [None, DRAWS])
@pytest.mark.parametrize("model", ["flat", "two latents", "cholesky"])
def test_mmd(model, samples):
    trace = trace_of(model, samples)
    assert MMD().couples_batch
    assert MMD()(trace).shape == ()
    assert MMD()(trace).isfinite()


@pytest.mark.parametrize("samples", [None, DRAWS])
def test_recognition(samples):
    encoder = c.Gaussian(network(BITS), (3,)).double()
    check_term(Recognition(encoder), trace_of("flat", samples))
    check_term(Recognition(encoder, "z1"), trace_of("two latents", samples))


@pytest.mark.parametrize("samples", [None, DRAWS])
@pytest.mark.parametrize("model", ["flat", "two latents", "cholesky"])
@pytest.mark.parametrize("name", get_args(Measure))
def test_correlation_measures(name, model, samples):
    measure = make_measure(name, 3)
    assert measure.couples_batch
    if name == "mahalanobis" and model != "flat":
        with pytest.raises(UnsupportedError, match=r"prior of latent 'z2'|posterior of latent 'z'"):
            measure(trace_of(model, samples))
        return
    if "mmd" in name:  # drawn anew for every draw
        assert measure(trace_of(model, samples)).shape == ()
        return
    check_term(measure, trace_of(model, samples))


@pytest.mark.parametrize("gradient", ["stl", "dreg"])
def test_cut_terms(gradient):
    check_term(ImportanceBound(gradient=gradient), trace_of("two latents"))
    check_term(Rate("stl"), trace_of("two latents"))


def test_on_a_branch():
    trace = trace_of("flat", branches=("prior",))
    check_term(On("prior", Distortion()), trace)
    torch.testing.assert_close(On("prior", Distortion())(trace), Distortion()(trace.branches["prior"]))
    assert not torch.equal(On("prior", Distortion())(trace), Distortion()(trace))
    assert On("prior", Capacity(1.0)).couples_batch
    assert not On("prior", Distortion()).couples_batch


class Summed:
    """A sum over the batch, given to everyone."""

    def __call__(self, trace):
        values = Distortion()(trace)
        return values.sum().expand(len(values))


class Centred:
    """Couples the batch and does not say so."""

    def __call__(self, trace):
        values = Distortion()(trace)
        return values - values.mean()


class OverDraws:
    """Sums over draws."""

    def __call__(self, trace):
        return -log_likelihood(trace).sum(0)


class Unreduced:
    """Keeps the sample axis."""

    def __call__(self, trace):
        return log_ratio(trace)


class Averaged:
    """Takes the mean itself."""

    def __call__(self, trace):
        return Distortion()(trace).mean()


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Summed(), "repeated"),
        (Centred(), "others leave"),
        (OverDraws(), "draw is there twice"),
        (Unreduced(), "shape"),
        (Averaged(), "shape"),
    ],
)
def test_the_contract_sees_what_is_broken(broken, words):
    with pytest.raises(AssertionError, match=words):
        check_term(broken, trace_of("flat"))


def test_select_keeps_what_happened():
    trace = trace_of("cholesky")
    some = select(trace, "batch", torch.tensor([3, 1]))
    assert torch.equal(some.batch["x"], trace.batch["x"][[3, 1]])
    assert torch.equal(some.latents["z"].value, trace.latents["z"].value[:, [3, 1]])
    q = some.latents["z"].q
    assert isinstance(q, CholeskyNormal)
    assert torch.equal(q.factor, trace.latents["z"].q.factor[[3, 1]])
    torch.testing.assert_close(log_likelihood(some), log_likelihood(trace)[:, [3, 1]])
    torch.testing.assert_close(log_ratio(some), log_ratio(trace)[:, [3, 1]])
    draws = select(trace, "sample", torch.tensor([5, 0, 0]))
    torch.testing.assert_close(log_ratio(draws), log_ratio(trace)[[5, 0, 0]])
    with pytest.raises(ValueError, match="label"):
        select(trace, "label", torch.tensor([0]))


def test_select_keeps_what_is_said_of_a_latent():
    trace = trace_of("chain")
    some = select(trace, "batch", torch.tensor([1]))
    for name, latent in trace.latents.items():
        assert some.latents[name].chained == latent.chained
        assert some.latents[name].closed == latent.closed
    assert some.latents["z2"].chained
    assert not some.latents["z1"].closed


def test_select_drops_cached_values():
    q = LowRankNormal(torch.randn(5, 3).double(), torch.zeros(5, 3).double(), torch.randn(5, 3, 1).double())
    p = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(5, 3).double(), 1.0), 1)
    trace = trace_of("flat")
    latent = type(trace.latents["z"])(trace.latents["z"].value, q, p)
    whole = type(trace)(trace.batch, {"z": latent}, {}, trace.axes)
    expected = log_ratio(whole)[:, [2, 0]]  # fills the caches of the whole
    torch.testing.assert_close(log_ratio(select(whole, "batch", torch.tensor([2, 0]))), expected)
    assert isinstance(select(trace, "batch", torch.tensor([0])).latents["z"].q, DiagonalNormal)
