"""CLUSTER64: ten binary prototypes of 64 bits, seen through 5 % noise. The exact likelihood is known.

log p(x) = logsumexp_c sum_d [log 0.95 where x_d = P_cd, log 0.05 elsewhere] - log 10.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaekit.data.arrays import ArrayData, Splits
from vaekit.data.spec import Spec

CLASSES, BITS, NOISE = 10, 64, 0.05
TEST_NLL = 15.117
"""Mean of -log p(x) over the test set, nats; the population value is 15.008."""


def prototypes() -> Tensor:
    """P, (10, 64), zeros and ones."""
    return torch.from_numpy(_prototypes().astype(np.float64))


def _prototypes() -> NDArray[np.bool_]:
    return np.random.default_rng(0).random((CLASSES, BITS)) < 0.5


def generate(n: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw x, (n, 64) zeros and ones, and the class y of each, (n,)."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, n)
    x = _prototypes()[y] ^ (rng.random((n, BITS)) < NOISE)
    return x.astype(np.uint8), y


def log_evidence(x: Tensor) -> Tensor:
    """Exact log p(x): (B, 64) -> (B,), nats, in float64."""
    flips = torch.cdist(x.double(), prototypes(), p=1)
    table = flips * math.log(NOISE) + (BITS - flips) * math.log1p(-NOISE)
    return table.logsumexp(-1) - math.log(CLASSES)


def cluster64(n_train: int = 20_000) -> Splits:
    """The data: seed 1 for training, seed 2 for the 1,000 test data, seed 3 for 1,000 more to validate on."""
    spec = Spec(
        "cluster64",
        (BITS,),
        "binary",
        n_train,
        classes=CLASSES,
        note="10 random prototypes, each bit flipped with probability 0.05",
    )

    def part(n: int, seed: int) -> ArrayData:
        x, y = generate(n, seed)
        return ArrayData(spec, x=torch.from_numpy(x), y=torch.from_numpy(y))

    return Splits(part(n_train, 1), part(1000, 3), part(1000, 2))
