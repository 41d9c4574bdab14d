"""Distances between sets of samples, against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.metrics import against_floor, energy_distance, frechet, sharpness
from vaekit.reproductions.features import Classifier, classifier
from vaekit.worlds import arcs20, sprites16


def normal(n, seed, dims=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, dims, generator=generator, dtype=torch.float64)


def exact(x, mean, covariance):
    """The rows moved and bent so that mean and covariance are as given, exactly."""
    centred = x - x.mean(0)
    whitened = torch.linalg.solve_triangular(
        torch.linalg.cholesky(centred.T @ centred / (len(x) - 1)), centred.T, upper=False
    ).T
    return whitened @ torch.linalg.cholesky(covariance).T + mean


def test_frechet_of_two_gaussians_is_the_closed_form():
    a = exact(normal(50, 0), torch.zeros(3), torch.diag(torch.tensor([1.0, 4.0, 9.0])).double())
    b = exact(normal(60, 1), torch.tensor([1.0, -2.0, 0.0]).double(), torch.eye(3).double())
    # commuting covariances: sum of (s - t)^2, and the squared distance of the means
    assert frechet(a, b) == pytest.approx(5 + 0 + 1 + 4, abs=1e-9)
    assert frechet(a, b) == pytest.approx(frechet(b, a), abs=1e-9)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_frechet_of_covariances_that_do_not_commute():
    first = torch.tensor([[2.0, 0.8], [0.8, 1.0]]).double()
    second = torch.tensor([[1.0, -0.5], [-0.5, 3.0]]).double()
    a, b = (exact(normal(40, s, 2), torch.zeros(2), cov) for s, cov in ((0, first), (1, second)))
    product = torch.linalg.eigvals(first @ second).real.sqrt().sum()
    expected = float(first.trace() + second.trace() - 2 * product)
    assert frechet(a, b) == pytest.approx(expected, abs=1e-9)


def test_frechet_of_one_covariance_is_the_distance_of_the_means_and_turns_along():
    covariance = torch.tensor([[2.0, 0.8, 0.0], [0.8, 1.0, 0.3], [0.0, 0.3, 0.5]]).double()
    centre = torch.tensor([0.5, -1.0, 2.0]).double()
    a, b = (exact(normal(40, s), m, covariance) for s, m in ((0, torch.zeros(3)), (1, centre)))
    assert frechet(a, b) == pytest.approx(0.25 + 1 + 4, abs=1e-9)
    other = exact(normal(40, 2), centre, torch.eye(3).double())
    turn, _ = torch.linalg.qr(normal(3, 5))
    assert frechet(a @ turn, other @ turn) == pytest.approx(frechet(a, other), abs=1e-9)


def test_energy_distance_is_that_of_the_definition():
    a, b = normal(40, 0), normal(30, 1) + 0.5
    between = torch.stack([(x - y).norm() for x in a for y in b]).mean()
    within = [
        torch.stack([(x - y).norm() for i, x in enumerate(s) for j, y in enumerate(s) if i != j]).mean()
        for s in (a, b)
    ]
    assert energy_distance(a, b) == pytest.approx(float(2 * between - sum(within)), abs=1e-10)


def test_energy_distance_of_far_points_and_of_equal_distributions():
    far = energy_distance(torch.zeros(10, 2), torch.full((10, 2), 3.0))
    assert far == pytest.approx(2 * 3 * math.sqrt(2), abs=1e-6)
    same = [energy_distance(normal(200, s), normal(200, 100 + s)) for s in range(30)]
    assert abs(sum(same) / len(same)) < 0.01


def test_the_floor_is_that_of_two_halves():
    data = normal(400, 0)
    found = against_floor("energy", data + 1, data)
    assert found.n == (200, 200)
    assert abs(found.floor) < 0.05
    assert found.value > 10 * abs(found.floor)


@pytest.mark.parametrize("shapes", [((5, 2), (5, 3)), ((1, 2), (5, 2))])
def test_sets_that_do_not_fit_are_refused(shapes):
    for measure in (frechet, energy_distance):
        with pytest.raises(ValueError, match="two rows or more"):
            measure(*(torch.zeros(shape) for shape in shapes))


def test_arcs_lie_near_a_curve():
    splits = arcs20(3000)
    x, y = splits.train.x, splits.train.y
    assert x.shape == (3000, 20)
    assert set(y.tolist()) == {0, 1, 2}
    again = arcs20(3000, seed=1).train.x
    assert not torch.equal(x, again)
    # beyond the few directions that the bent curve spans only the noise is left
    values = torch.linalg.eigvalsh(x.double().T.cov())
    assert values[:10].mean() == pytest.approx(0.02**2, rel=0.1)
    assert values[-1] > 0.5


def test_a_classifier_learns_and_has_features():
    lines = []
    splits = sprites16(600, n_test=300)
    network = classifier(splits, lines.append, steps=120, batch_size=50)
    assert isinstance(network, Classifier)
    batch = splits.test.take(range(300))
    assert network.accuracy(batch["x"], batch["y"]) > 0.55
    assert network.features(batch["x"]).shape == (300, 64)
    assert torch.allclose(network.probabilities(batch["x"]).sum(1), torch.ones(300), atol=1e-5)
    assert "right" in lines[0]
    unlabelled = ArrayData(Spec("a", (1, 16, 16), "unit", 10), torch.zeros(10, 1, 16, 16))
    with pytest.raises(ValueError, match="no labels"):
        classifier(Splits(unlabelled, unlabelled, unlabelled), lines.append)


def test_sharpness_of_a_slope_is_its_steepness():
    down, across = torch.meshgrid(torch.arange(5.0), torch.arange(7.0), indexing="ij")
    slope = (3 * down + 4 * across)[None, None].repeat(2, 3, 1, 1)
    assert sharpness(slope) == pytest.approx(5.0)
    assert sharpness(torch.ones(1, 1, 4, 4)) == 0
    faint = torch.cat([slope, 0 * slope])
    assert sharpness(faint) == pytest.approx(2.5)


def test_a_mean_of_shifted_pictures_is_less_sharp_than_they_are():
    bars = torch.zeros(8, 1, 16, 16)
    for shift in range(8):
        bars[shift, :, :, shift : shift + 4] = 1
    assert sharpness(bars.mean(0, keepdim=True)) < 0.8 * sharpness(bars)


@pytest.mark.parametrize("shape", [(3, 4, 4), (0, 1, 4, 4), (2, 1, 1, 4)])
def test_sharpness_needs_pictures(shape):
    with pytest.raises(ValueError, match=r"`pictures` has shape .*; expected \(N, channels"):
        sharpness(torch.zeros(shape))
