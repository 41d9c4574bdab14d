"""One-hot classes against torch, and what happens at the edge where a class cannot be."""

from __future__ import annotations

import math

import pytest
import torch
from torch import distributions as td

from vaekit.distributions import OneHot
from vaekit.distributions.one_hot import IMPOSSIBLE
from vaekit.terms import Rate
from vaekit.trace import Latent, Trace

LOGITS = torch.randn(5, 4, dtype=torch.float64)


def test_densities_and_moments_are_torchs():
    ours, theirs = OneHot(LOGITS), td.OneHotCategorical(logits=LOGITS)
    every = torch.eye(4, dtype=torch.float64)
    for value in every:
        torch.testing.assert_close(ours.log_prob(value), theirs.log_prob(value.expand(5, 4)))
    torch.testing.assert_close(ours.log_prob(every.unsqueeze(1)).exp().sum(0), torch.ones(5).double())
    for name in ("probs", "mean", "variance", "mode"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    assert (ours.batch_shape, ours.event_shape) == ((5,), (4,))


def test_divergences_are_torchs():
    other = torch.randn(4, dtype=torch.float64)
    ours = td.kl_divergence(OneHot(LOGITS), OneHot(other))
    theirs = td.kl_divergence(td.Categorical(logits=LOGITS), td.Categorical(logits=other))
    torch.testing.assert_close(ours, theirs)
    uniform = td.kl_divergence(OneHot(LOGITS), OneHot(torch.zeros(4).double()))
    torch.testing.assert_close(uniform, math.log(4) - OneHot(LOGITS).entropy())


def test_draws_have_the_probabilities():
    drawn = OneHot(LOGITS).sample(torch.Size((20_000,)))
    assert drawn.shape == (20_000, 5, 4)
    assert (drawn.sum(-1) == 1).all()
    torch.testing.assert_close(drawn.mean(0), LOGITS.softmax(-1), rtol=0, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_certain_class_costs_minus_its_log_probability(dtype):
    """KL(one-hot || p) = -log p(y), without NaN, and without a gradient for what it replaced."""
    labels = torch.eye(4, dtype=dtype)[[2, 0, 1]]
    labels[1] = 0
    free = LOGITS[:3].to(dtype).requires_grad_()
    q, p = OneHot.certain(labels, free), OneHot(LOGITS[4].to(dtype))
    assert torch.equal(q.probs[0], labels[0])
    torch.testing.assert_close(q.probs[1], free.softmax(-1)[1])
    rate = td.kl_divergence(q, p)
    torch.testing.assert_close(rate[[0, 2]], -p.log_prob(labels[[0, 2]]))
    assert q.entropy()[0] == 0
    (slope,) = torch.autograd.grad(rate.sum(), free)
    assert (slope[[0, 2]] == 0).all()
    assert (slope[1] != 0).any()
    # the sampled form sums over enumerated classes with the weights q: what cannot be counts nothing
    value = torch.eye(4, dtype=dtype).unsqueeze(1).expand(4, 3, 4)
    trace = Trace({"x": labels}, {"y": Latent(value, q, p)}, {}, ("y", "batch"), weights=q.probs.mT)
    torch.testing.assert_close(Rate("sample")(trace), rate)


def test_a_label_that_nobody_knows_tells_nothing():
    assert (OneHot(LOGITS).log_prob(torch.zeros(5, 4).double()) == 0).all()
    assert math.exp(IMPOSSIBLE) == 0
