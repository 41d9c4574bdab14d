"""SPRITES16: a square, an ellipse or a triangle on 16 x 16 pixels, with known factors.

With (u, v) the rotated offset from the centre divided by the scale s:
square d = max(|u|, |v|) - 0.85; ellipse d = sqrt((u/1.2)^2 + (v/0.7)^2) - 1;
triangle d = max(0.866 u + 0.5 v, -0.866 u + 0.5 v, -v) - 0.6;  pixel = sigmoid(-d s / 0.35).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from vaekit.data.arrays import ArrayData, Splits
from vaekit.data.spec import Spec

SIDE = 16
FACTORS = ("shape", "x", "y", "scale", "angle")
SHAPES = ("square", "ellipse", "triangle")


def draw_factors(n: int, seed: int | tuple[int, ...]) -> NDArray[np.float64]:
    """Factors at random, (n, 5): shape 0..2, centre x and y in 5..10, scale in 2.5..4.5, angle in 0..pi/2."""
    rng = np.random.default_rng(seed)
    columns = [
        rng.integers(0, len(SHAPES), n).astype(np.float64),
        rng.uniform(5, 10, n),
        rng.uniform(5, 10, n),
        rng.uniform(2.5, 4.5, n),
        rng.uniform(0, np.pi / 2, n),
    ]
    return np.stack(columns, 1)


def render(factors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Grey pictures in (0, 1), (N, 1, 16, 16), of factors (N, 5) in the order of `FACTORS`."""
    shape, cx, cy, scale, angle = (column[:, None, None] for column in factors.T)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    across, down = columns - cx, rows - cy
    u = (np.cos(angle) * across + np.sin(angle) * down) / scale
    v = (np.cos(angle) * down - np.sin(angle) * across) / scale
    square = np.maximum(np.abs(u), np.abs(v)) - 0.85
    ellipse = np.hypot(u / 1.2, v / 0.7) - 1
    triangle = np.maximum(np.maximum(0.866 * u + 0.5 * v, -0.866 * u + 0.5 * v), -v) - 0.6
    distance = np.choose(shape.astype(np.int64), [square, ellipse, triangle])
    grey: NDArray[np.float32] = (1 / (1 + np.exp(distance * scale / 0.35))).astype(np.float32)
    return grey[:, None]


def sprites16(n_train: int = 10_000, seed: int = 0, n_valid: int = 1000, n_test: int = 1000) -> Splits:
    """The data, binarised anew in every batch; `y` is the shape.

    Args:
        n_train: number of training data.
        seed: of the factors; the three parts do not share their draws.
        n_valid: number of validation data.
        n_test: number of test data.
    """
    spec = Spec(
        "sprites16",
        (1, SIDE, SIDE),
        "binary",
        n_train,
        classes=len(SHAPES),
        note="grey pictures of one shape each, binarised anew in every batch",
    )

    def part(n: int, number: int) -> ArrayData:
        factors = draw_factors(n, (seed, number))
        labels = torch.from_numpy(factors[:, 0].astype(np.int64))
        return ArrayData(spec, x=torch.from_numpy(render(factors)), y=labels, binarise=True)

    return Splits(part(n_train, 0), part(n_valid, 1), part(n_test, 2))
