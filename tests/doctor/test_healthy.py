"""Where nothing is wrong, nothing is found; the laws behind the thresholds are as they are said to be."""

from __future__ import annotations

import numpy as np
import pytest

from vaekit.doctor import examine_data, sample
from vaekit.doctor.neighbours import NEAREST, closeness, nearest, two_nn
from vaekit.doctor.order import tell_apart
from vaekit.doctor.start import latents_for, spread_of


def clusters(rng: np.random.Generator) -> np.ndarray:
    """Five clouds of different width in eight dimensions."""
    group = rng.integers(0, 5, 700)
    centres, widths = 6 * rng.normal(size=(5, 8)), np.array([0.3, 0.6, 1.0, 1.5, 2.0])
    return centres[group] + widths[group, None] * rng.normal(size=(700, 8))


HEALTHY = {
    "gaussian": lambda rng: rng.normal(size=(600, 6)) @ rng.normal(size=(6, 6)) + 5,
    "clusters": clusters,
    "uniform": lambda rng: rng.uniform(0, 1, (500, 4)),
    "counts": lambda rng: rng.poisson(rng.gamma(3, 4, (500, 6))),
    "binary": lambda rng: (rng.uniform(size=(500, 12)) < rng.uniform(0.2, 0.8, 12)).astype(np.uint8),
    "few discrete columns": lambda rng: rng.integers(0, 3, (400, 3)),
    "skewed": lambda rng: np.exp(0.3 * rng.normal(size=(600, 5))),
    "waves": lambda rng: (
        np.sin(rng.uniform(0, 6, (400, 2)) @ rng.normal(size=(2, 30))) + 0.1 * rng.normal(size=(400, 30))
    ),
    "grey noise": lambda rng: rng.integers(0, 256, (300, 8, 8)).astype(np.uint8),
    "labels": lambda rng: (rng.normal(size=(500, 4)), rng.integers(0, 4, 500)),
    "informative labels": lambda rng: (lambda y: (rng.normal(size=(500, 4)) + y[:, None], y))(
        rng.integers(0, 3, 500)
    ),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_found_where_nothing_is_wrong(name, seed):
    findings = examine_data(HEALTHY[name](np.random.default_rng(seed)), seed=seed)
    assert [finding for finding in findings if finding.severity != "note"] == []
    assert {"kind", "start"} <= {finding.key for finding in findings}
    assert "leak" not in {finding.key for finding in findings}


def test_the_digits_are_healthy():
    findings = examine_data("digits")
    assert {finding.key for finding in findings} == {"kind", "drift", "start"}  # they are ordered by writer
    assert all(finding.severity == "note" for finding in findings)


@pytest.mark.parametrize(("name", "seed"), [("mnist", 0), ("fashion_mnist", 1)])
def test_slices_of_real_pictures_are_healthy(name, seed, data_root):
    findings = examine_data(name, data_options={"limit": 800, "seed": seed}, seed=seed)
    assert [finding for finding in findings if finding.severity != "note"] == []


def test_ground_truth_is_healthy_and_not_drawn_whole(monkeypatch):
    monkeypatch.setattr(sample, "GENERATED_ROWS", 600)
    findings = {finding.key: finding for finding in examine_data("dsprites")}
    assert all(finding.severity == "note" for finding in findings.values())
    assert "737,280 + 10,000 + 10,000" in findings["kind"].measured
    assert "shared_grid" in findings
    assert findings["start"].command.startswith("vaekit train vae dsprites --latents ")


@pytest.mark.parametrize(("dimension", "size"), [(1, 1500), (2, 1500), (5, 3000)])
def test_the_intrinsic_dimension_is_found(dimension, size):
    """Uniform points of a cube, turned into ten dimensions: to 3 standard errors, and 4 % for its borders."""
    rng = np.random.default_rng(dimension)
    turned = np.linalg.qr(rng.normal(size=(10, 10)))[0][:dimension]
    points = rng.uniform(size=(size, dimension)) @ turned
    found = nearest(points, points, apart=False)
    assert found is not None
    estimate = two_nn(found)
    assert estimate == pytest.approx(dimension, rel=3 / (0.9 * size) ** 0.5 + 0.04)


@pytest.mark.parametrize("dimension", [1, 3])
def test_near_copies_are_as_rare_as_is_said(dimension):
    """P(d_1 / d_K < r) = 1 - (1 - r^d)^(K - 1) for points without borders, here of a torus."""
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, (2000, dimension))
    points = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    found = nearest(points, points, apart=False)
    assert found is not None
    r = 0.02 ** (1 / dimension)
    expected = 1 - (1 - r**dimension) ** (NEAREST - 1)
    seen = float((found.distance[:, 0] / found.distance[:, -1] < r).mean())
    assert seen == pytest.approx(expected, abs=4 * (expected * (1 - expected) / 1000) ** 0.5)
    limit = closeness(dimension, 2000)
    assert 2000 * (NEAREST - 1) * limit**dimension == pytest.approx(1e-3)
    assert not (found.distance[:, 0] / found.distance[:, -1] < limit).any()


def test_neighbours_are_exact_where_they_are_close():
    rng = np.random.default_rng(0)
    points = 1e3 + rng.normal(size=(60, 4))
    queries = points[:5] + 1e-7
    found = nearest(queries, points, apart=True)
    assert found is not None
    brute = np.sort(np.linalg.norm(queries[:, None] - points, axis=2), axis=1)[:, :NEAREST]
    np.testing.assert_allclose(found.distance, brute, rtol=1e-6)
    assert found.index[:, 0].tolist() == list(range(5))
    assert nearest(queries, points[:8], apart=True) is None


def test_two_halves_of_one_thing_are_not_told_apart():
    """The area has the law of Mann and Whitney: none of 40 sets is said to differ."""
    z = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        told = tell_apart(rng.normal(size=(400, 6)), np.arange(400) % 2 == 0, seed)
        assert told is not None
        assert not told.differs
        z.append((told.auc - 0.5) / told.deviation)
    assert abs(np.mean(z)) < 4 / 40**0.5
    assert 0.7 < np.std(z) < 1.35
    rng = np.random.default_rng(0)
    x, late = rng.normal(size=(400, 6)), np.arange(400) >= 200
    x[late, 2] *= 3  # a variance, not a mean
    told = tell_apart(x, late, 0)
    assert told is not None
    assert told.differs


def test_the_spread_of_known_variances():
    """Variances 4, 4, 1, 1: participation 10^2 / 34; three directions hold 90 %, four 95 % and more."""
    rows = np.concatenate([sign * np.diag([2.0, 2.0, 1.0, 1.0]) for sign in (1, -1)])
    spread = spread_of(rows, None)
    assert spread is not None
    assert spread.participation == pytest.approx(100 / 34)
    assert spread.most == 4
    assert latents_for(spread, 4) == 3  # one less than there are dimensions
    assert spread_of(np.ones((5, 3)), None) is None
