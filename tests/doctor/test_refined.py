"""The amortisation gap against closed forms: where all is Gaussian, it is a divergence of two Gaussians."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, kl_divergence

from vaekit import UnsupportedError, recipes
from vaekit.data.spec import Spec
from vaekit.distributions import CholeskyNormal, DiagonalNormal
from vaekit.doctor.run_amortisation import amortisation_gap
from vaekit.worlds import LinearGaussian

ROWS = 12


class Wrong(nn.Module):
    """The posterior of a world, moved, and turned or widened: what an encoder that errs would say."""

    def __init__(self, exact: nn.Module, turn: torch.Tensor) -> None:
        super().__init__()
        self.exact, self.turn = exact, turn

    def forward(self, x):
        q = self.exact(x)
        if isinstance(q, CholeskyNormal):
            return CholeskyNormal(q.loc + 0.4, q.factor @ self.turn)
        return DiagonalNormal(q.loc + 0.4, q.log_std + self.turn, 1)


@pytest.fixture
def world():
    torch.manual_seed(3)
    return LinearGaussian(torch.randn(6, 3, dtype=torch.float64), 0.5)


def to_exact(world, q, x):
    """KL(q || p(z|x)), mean over the data."""
    mean, covariance = world.posterior(x)
    factor = q.factor if isinstance(q, CholeskyNormal) else torch.diag_embed(q.stddev)
    mine = MultivariateNormal(q.loc, scale_tril=factor.expand(*q.loc.shape, -1))
    return float(kl_divergence(mine, MultivariateNormal(mean, covariance)).mean())


def test_a_full_covariance_is_refined_to_the_exact_posterior(world):
    """The gap is KL(q || p(z|x)), which a factor of one's own gains whole; of the exact one there is none."""
    turn = torch.tensor([[1.5, 0, 0], [0.4, 0.7, 0], [-0.3, 0.5, 1.2]], dtype=torch.float64)
    x = world.sample(ROWS)
    wrong = Wrong(world.model().posteriors[0], turn)
    gap = amortisation_gap(world.model(wrong).eval(), {"x": x})
    assert gap.n == ROWS
    with torch.no_grad():
        expected = to_exact(world, wrong(x), x)
    assert expected > 0.5
    assert gap.mean == pytest.approx(expected, rel=0.05)
    assert amortisation_gap(world.model().eval(), {"x": x}).mean == pytest.approx(0, abs=0.01)


def test_a_diagonal_is_refined_to_the_best_diagonal_and_no_further(world):
    """What the family cannot say is no gap of the encoder."""
    x = world.sample(ROWS)
    turn = torch.tensor([0.4, -0.3, 0.2], dtype=torch.float64)
    wrong = Wrong(world.model("diagonal").posteriors[0], turn)
    gap = amortisation_gap(world.model(wrong).eval(), {"x": x})
    with torch.no_grad():
        expected = to_exact(world, wrong(x), x) - world.gap()
    assert gap.mean == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("recipe", "arguments", "words"),
    [
        ("vq_vae", {"codes": 8, "dims": 3, "hidden": (8,)}, "where they are Gaussian"),
        ("ladder_vae", {"latents": (3, 2), "hidden": (8, 7)}, "not on a label or on each other"),
    ],
)
def test_what_cannot_be_refined_is_refused_with_the_reason(recipe, arguments, words):
    spec = Spec("toy", (1, 4, 4), "binary", 20)
    model = getattr(recipes, recipe)(spec, **arguments).model.eval()
    with pytest.raises(UnsupportedError, match=words):
        amortisation_gap(model, {"x": torch.ones(3, 1, 4, 4)})
