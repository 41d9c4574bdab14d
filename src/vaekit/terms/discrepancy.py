"""Maximum mean discrepancy between codes and draws from the prior.

    MMD^2(q, p) = E k(z, z') + E k(v, v') - 2 E k(z, v),   z, z' ~ q(z),  v, v' ~ p(z),

estimated without bias by means over pairs, those of a point with itself left out (the U-statistic of Gretton
et al. 2012, JMLR 13, lemma 6): so the estimate can be below zero, and is zero on average where q = p. With
these pairs (the V-statistic, equation 5 there) it is a squared distance of two samples: never below zero,
zero for a sample and itself, and too large by about 2 (k(0) - E k)/B on average. Kernels are sums over scales
s of a function of u = |a - b|^2 / (2 n s), n the number of dimensions; two draws of N(0, I) are at
|a - b|^2 = 2 n on average, u = 1/s:

    imq  1 / (1 + u): inverse multiquadratic, C / (C + |a - b|^2) with C = 2 n s
    rbf  exp(-u): Gaussian of variance n s

I. Tolstikhin, O. Bousquet, S. Gelly, B. Schoelkopf, Wasserstein Auto-Encoders, ICLR 2018,
https://arxiv.org/abs/1711.01558, algorithm 2
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from vaekit.checks import known, number
from vaekit.errors import UnsupportedError
from vaekit.terms.parts import given_data
from vaekit.trace import Trace

Kernel = Literal["imq", "rbf"]

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""The scales of Tolstikhin et al."""


class MMD:
    """Squared maximum mean discrepancy of q(z) and p(z): one value for the batch.

    The prior is drawn anew at every call, as many times as there are data. With a sample axis every draw of
    the batch is compared by itself, and the values are averaged. A batch of one has no pair, so that nothing
    can be said without bias: its value is zero and holds no gradient.

    Args:
        kernel: imq or rbf.
        scales: s of the kernels that are summed.
        biased: whether pairs of a point with itself count.

    Raises:
        UnsupportedError: on a trace whose prior differs from datum to datum.
    """

    couples_batch = True
    gathers = True

    def __init__(
        self, kernel: Kernel = "imq", scales: Sequence[float] = SCALES, biased: bool = False
    ) -> None:
        known("kernel", kernel, Kernel)
        if isinstance(scales, int | float | str) or not len(scales):
            raise ValueError(
                f"`scales` is {scales!r}; expected one positive number or more, such as (0.5, 1.0, 2.0)"
            )
        self.kernel: Kernel = kernel
        self.scales = tuple(number(f"scales[{i}]", scale, above=0) for i, scale in enumerate(scales))
        self.biased = biased

    def __call__(self, trace: Trace) -> Tensor:
        """()."""
        codes, draws = [], []
        for name, latent in given_data(trace).items():
            if latent.p.batch_shape:
                raise UnsupportedError(
                    f"the prior of latent {name!r} differs from datum to datum, so that the codes of a batch "
                    "have no prior to be compared with: use a model with one prior"
                )
            lead = latent.value.shape[: len(trace.axes)]
            codes.append(latent.value)
            draws.append(latent.p.rsample(lead) if latent.p.has_rsample else latent.p.sample(lead))
        found, drawn = torch.cat(codes, -1), torch.cat(draws, -1)
        return squared_mmd(found, drawn, self.kernel, self.scales, self.biased).mean()


def squared_mmd(
    a: Tensor, b: Tensor, kernel: Kernel, scales: Sequence[float], biased: bool = False
) -> Tensor:
    """MMD^2 of two samples: (*lead, A, n), (*lead, B, n) -> (*lead).

    The U-statistic, zeros where A or B is one, or the V-statistic where it may be biased.
    """
    first, second = a.shape[-2], b.shape[-2]
    left_out = 0 if biased else 1  # pairs of a point, the one with itself
    if min(first, second) <= left_out:
        return 0 * (a.sum((-2, -1)) + b.sum((-2, -1)))
    found = similarities(torch.cat([a, b], -2), kernel, scales)
    weights = found.new_full((first + second, first + second), -1 / (first * second))
    weights[:first, :first] = 1 / (first * (first - left_out))
    weights[first:, first:] = 1 / (second * (second - left_out))
    if not biased:
        weights.fill_diagonal_(0)
    return (found * weights).sum((-2, -1))


def similarities(points: Tensor, kernel: Kernel, scales: Sequence[float]) -> Tensor:
    """Sum over scales of k(a, b), for all pairs: (*lead, N, n) -> (*lead, N, N)."""
    squares = points.square().sum(-1)
    distances = squares.unsqueeze(-1) + squares.unsqueeze(-2) - 2 * points @ points.mT
    base = distances.clamp(min=0) / (2 * points.shape[-1])  # rounding may leave a distance below zero
    kernels = (s / (s + base) if kernel == "imq" else (-base / s).exp() for s in scales)
    found = next(kernels)
    for other in kernels:
        found = found + other
    return found
