"""The two-sample test of codes against the prior: level, power, and the statistic by hand."""

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
from vaekit.metrics import prior_match
from vaekit.metrics.matching import _relabelled
from vaekit.models import Flat
from vaekit.terms.discrepancy import similarities, squared_mmd


class Affine(nn.Module):
    """q(z|x) = N(gain x + shift, s^2 I)."""

    def __init__(self, gain, std, shift=0.0):
        super().__init__()
        self.gain, self.std, self.shift = gain, std, shift

    def forward(self, x):
        mean = self.gain * x.double() + self.shift
        return DiagonalNormal(mean, torch.full_like(mean, math.log(self.std)))


def model_with(posterior, prior=None):
    def identity(event):
        return nn.Linear(2, event[0]).double()

    return Flat(posterior, prior or c.StandardGaussian((2,)), c.FixedGaussian(identity, (2,))).double()


def normal_data(n, seed=1):
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return ArrayData(Spec("normal", (2,), "real", n), x)


def test_p_values_are_uniform_where_codes_are_the_prior():
    model = model_with(Affine(0.8, 0.6))
    found = [prior_match(model, normal_data(60, s), permutations=99, seed=s).p_value for s in range(120)]
    assert all(value >= 1 / 100 for value in found)
    assert sum(value <= 0.05 for value in found) <= 14  # 6 on average
    assert sum(value <= 0.5 for value in found) == pytest.approx(60, abs=18)


@pytest.mark.parametrize("posterior", [Affine(0.8, 0.6, shift=0.5), Affine(1.2, 0.6), Affine(0.3, 0.3)])
def test_other_distributions_are_told_apart(posterior):
    found = prior_match(model_with(posterior), normal_data(300))
    assert found.p_value == pytest.approx(1 / 501)
    assert found.mmd > found.threshold > 0


def test_the_prior_is_the_models():
    prior = c.LearnedGaussian((2,))
    prior.mean.data.fill_(0.5)
    assert prior_match(model_with(Affine(0.8, 0.6, shift=0.5), prior), normal_data(300)).p_value > 0.05


def test_statistic_by_hand():
    z, v = torch.randn(5, 2).double(), torch.randn(5, 2).double()
    pairs = similarities(torch.cat([z, v]), "imq", (0.5, 2.0)).fill_diagonal_(0)
    labels = torch.tensor([[1.0] * 5 + [0.0] * 5, [0, 1, 0, 1, 1, 0, 0, 1, 1, 0]]).double()
    everything = torch.cat([z, v])
    expected = [squared_mmd(everything[row == 1], everything[row == 0], "imq", (0.5, 2.0)) for row in labels]
    torch.testing.assert_close(_relabelled(pairs, labels), torch.stack(expected))


def test_quiet_seeded_and_plain():
    model, data = model_with(Affine(0.8, 0.6)), normal_data(60)
    before = torch.random.get_rng_state()
    found = prior_match(model, data, n=40, permutations=20)
    assert prior_match(model, data, n=40, permutations=20) == found
    assert prior_match(model, data, n=40, permutations=20, seed=1) != found
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (found.n, found.permutations) == (40, 20)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False)) == found.to_json()


def test_what_cannot_be_tested_is_refused(chained):
    with pytest.raises(UnsupportedError, match="given another latent"):
        prior_match(chained[0], chained[1])
    with pytest.raises(ValueError, match="two or more"):
        prior_match(model_with(Affine(0.8, 0.6)), normal_data(1))
    with pytest.raises(ValueError, match="`permutations` is 0"):
        prior_match(model_with(Affine(0.8, 0.6)), normal_data(5), permutations=0)
