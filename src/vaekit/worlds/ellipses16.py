"""ELLIPSES16: a grey ellipse on 16 x 16 pixels, with residuals that run along it. Their covariance is known.

x = mu + e,  e ~ N(0, S),
S_ij = 0.04 mu_i mu_j exp(-1/2 [(d_along / 5)^2 + (d_across / 0.7)^2]) + 0.001 [i = j],

where d_along and d_across are the distances of pixels i and j along the long axis of the ellipse and across
it. The setting is that of the ellipses in Dorta et al. 2018, arXiv 1802.07079, whose constants are not known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaekit.worlds.sprites16 import SHAPES, SIDE, render

EVENT = (1, SIDE, SIDE)
STRENGTH, ALONG, ACROSS, NOISE = 0.04, 5.0, 0.7, 1e-3
_AT_ONCE = 100  # covariance matrices in memory


class Ellipses(NamedTuple):
    """Pictures `x` (N, 1, 16, 16), their means, and the angles (N,) that their covariances follow from."""

    x: Tensor
    mean: Tensor
    angle: Tensor


def covariance(mean: Tensor, angle: Tensor) -> Tensor:
    """S of every picture: (N, 1, 16, 16), (N,) -> (N, 256, 256), in the precision of the means."""
    grid = torch.meshgrid(*(torch.arange(n, dtype=mean.dtype) for n in EVENT[1:]), indexing="ij")
    down, right = (axis.flatten().unsqueeze(1) - axis.flatten() for axis in grid)
    cos, sin = (f(angle.to(mean.dtype)).view(-1, 1, 1) for f in (torch.cos, torch.sin))
    along, across = (cos * right + sin * down) / ALONG, (cos * down - sin * right) / ACROSS
    level = mean.flatten(1)
    joint = STRENGTH * level.unsqueeze(2) * level.unsqueeze(1) * (-0.5 * (along**2 + across**2)).exp()
    return joint + NOISE * torch.eye(level.shape[1], dtype=mean.dtype)


def ellipses16(n: int, seed: int) -> Ellipses:
    """Centres in 6.5..9.5, scales (half the axes are 1.2 and 0.7 of it) in 4..6, angles in 0..pi."""
    rng = np.random.default_rng(seed)
    factors = np.stack(
        [
            np.full(n, SHAPES.index("ellipse"), dtype=np.float64),
            rng.uniform(6.5, 9.5, n),
            rng.uniform(6.5, 9.5, n),
            rng.uniform(4, 6, n),
            rng.uniform(0, np.pi, n),
        ],
        1,
    )
    mean, angle = torch.from_numpy(render(factors)), torch.from_numpy(factors[:, 4])
    noise = torch.from_numpy(rng.standard_normal((n, SIDE * SIDE, 1), dtype=np.float32))
    residual = torch.cat(
        [
            torch.linalg.cholesky(covariance(*part)) @ u
            for *part, u in zip(*(t.split(_AT_ONCE) for t in (mean, angle, noise)), strict=True)
        ]
    )
    return Ellipses(mean + residual.view_as(mean), mean, angle)
