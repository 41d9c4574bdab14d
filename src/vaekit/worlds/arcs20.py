"""ARCS20: three arcs of a circle, bent into twenty dimensions, with a little noise.

c uniform on {0, 1, 2}, t = U(0, 1.2) + 2 pi c / 3, s = 1.5 (cos t, sin t);
x = tanh(s W1 + b1) W2 + 0.02 eps, W1 ~ N(0, 1), b1 ~ N(0, 1), W2 ~ N(0, 1/32).

The data lie near a curve, so that a VAE has latents to spare, and its aggregate posterior is far from
Gaussian.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from vaekit.data.arrays import ArrayData, Splits
from vaekit.data.spec import Spec

NOISE = 0.02
DIMENSIONS, HIDDEN = 20, 32


def draw(n: int, seed: int | tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """n points (n, 20) and the arcs that they are on (n,)."""
    fixed = np.random.default_rng(0)
    w1, b1 = fixed.normal(size=(2, HIDDEN)), fixed.normal(size=HIDDEN)
    w2 = fixed.normal(size=(HIDDEN, DIMENSIONS)) / np.sqrt(HIDDEN)
    rng = np.random.default_rng(seed)
    c = rng.integers(0, 3, n)
    t = rng.uniform(0, 1.2, n) + 2 * np.pi * c / 3
    s = 1.5 * np.stack([np.cos(t), np.sin(t)], 1)
    x = np.tanh(s @ w1 + b1) @ w2 + NOISE * rng.normal(size=(n, DIMENSIONS))
    return x.astype(np.float32), c.astype(np.int64)


def arcs20(n_train: int = 20_000, seed: int = 0, n_valid: int = 2000, n_test: int = 4000) -> Splits:
    """The data; `y` is the arc.

    Args:
        n_train: number of training data.
        seed: of the draws; the curve is always the same.
        n_valid: number of validation data.
        n_test: number of test data.
    """
    spec = Spec("arcs20", (DIMENSIONS,), "real", n_train, classes=3)
    parts = []
    for part, n in enumerate((n_train, n_valid, n_test)):
        x, c = draw(n, (seed, 1 + part))
        parts.append(ArrayData(spec, torch.from_numpy(x), torch.from_numpy(c)))
    return Splits(*parts)
