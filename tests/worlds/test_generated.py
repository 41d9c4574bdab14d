"""CLUSTER64 and SPRITES16."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vaekit.worlds import cluster64, sprites16
from vaekit.worlds.cluster64 import TEST_NLL, generate, log_evidence, prototypes
from vaekit.worlds.sprites16 import draw_factors, render


def test_cluster64_has_the_published_likelihood():
    x, y = generate(1000, 2)
    nll = -float(log_evidence(torch.from_numpy(x)).mean())
    assert abs(nll - 15.117) < 5e-4
    assert TEST_NLL == 15.117
    splits = cluster64()
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (20_000, 1000, 1000)
    batch = splits.test.take(range(1000))
    assert torch.equal(batch["x"], torch.from_numpy(x).float())
    assert torch.equal(batch["y"], torch.from_numpy(y))
    assert splits.spec.kind == "binary"
    assert splits.spec.classes == 10
    assert splits.spec.shape == (64,)


def test_cluster64_parts_differ():
    splits = cluster64(1000)
    first = [part.take([0, 1, 2])["x"] for part in (splits.train, splits.valid, splits.test)]
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])
    assert not torch.equal(first[1], first[2])


def test_cluster64_evidence_is_the_mixture():
    p = prototypes()
    assert p.shape == (10, 64)
    x = torch.randint(2, (6, 64)).double()
    chance = 0.95 * p + 0.05 * (1 - p)
    table = (x[:, None] * chance.log() + (1 - x[:, None]) * (1 - chance).log()).sum(-1)
    torch.testing.assert_close(log_evidence(x), table.logsumexp(-1) - math.log(10))


def test_cluster64_evidence_near_the_population_value():
    x, _ = generate(50_000, 11)
    entropy = -(0.05 * math.log(0.05) + 0.95 * math.log(0.95))
    assert abs(math.log(10) + 64 * entropy - 15.008) < 5e-4
    assert abs(-float(log_evidence(torch.from_numpy(x)).mean()) - 15.008) < 0.1


def test_sprites16_pixel_by_pixel():
    """The vectorised pictures against the definition, one pixel at a time."""
    factors = draw_factors(9, 4)
    factors[:, 0] = np.arange(9) % 3
    pictures = render(factors)
    assert pictures.shape == (9, 1, 16, 16)
    for picture, (shape, cx, cy, s, angle) in zip(pictures, factors, strict=True):
        for row, column in ((7, 7), (3, 9), (0, 15), (10, 4)):
            dx, dy = column - cx, row - cy
            u = (math.cos(angle) * dx + math.sin(angle) * dy) / s
            v = (-math.sin(angle) * dx + math.cos(angle) * dy) / s
            d = [
                max(abs(u), abs(v)) - 0.85,
                math.sqrt((u / 1.2) ** 2 + (v / 0.7) ** 2) - 1,
                max(0.866 * u + 0.5 * v, -0.866 * u + 0.5 * v, -v) - 0.6,
            ][int(shape)]
            assert abs(picture[0, row, column] - 1 / (1 + math.exp(d * s / 0.35))) < 1e-6


def test_sprites16_factors():
    factors = draw_factors(5000, 0)
    assert set(factors[:, 0]) == {0.0, 1.0, 2.0}
    limits = [(5, 10), (5, 10), (2.5, 4.5), (0, math.pi / 2)]
    for column, (low, high) in zip(factors[:, 1:].T, limits, strict=True):
        assert low <= column.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < column.max() <= high
    assert np.array_equal(factors, draw_factors(5000, 0))
    assert not np.array_equal(factors, draw_factors(5000, 1))


def test_sprites16_splits():
    splits = sprites16(n_train=300, seed=5, n_valid=50, n_test=40)
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (300, 50, 40)
    batch = splits.train.take(range(300))
    assert batch["x"].shape == (300, 1, 16, 16)
    assert set(batch["x"].unique().tolist()) == {0.0, 1.0}
    grey = render(draw_factors(300, (5, 0)))
    mean = torch.stack([splits.train.take(range(300), seed=s)["x"] for s in range(60)]).mean(0)
    assert abs(float((mean - torch.from_numpy(grey)).mean())) < 0.002  # drawn anew, right on average
    assert not torch.equal(batch["x"], splits.train.take(range(300), seed=1)["x"])
    other = sprites16(n_train=300, seed=6, n_valid=50, n_test=40)
    assert not torch.equal(other.train.take(range(300))["y"], batch["y"])
    assert not torch.equal(splits.train.take(range(40))["y"], splits.test.take(range(40))["y"])
    assert splits.spec.size == 300


@pytest.mark.parametrize("n", [1, 3])
def test_sprites16_of_few(n):
    assert len(sprites16(n, n_valid=1, n_test=1).train) == n
