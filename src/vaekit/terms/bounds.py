"""Bounds over several draws: functionals of the log weights, (sample, batch) -> (batch,).

log w_k = log p(x, z_k) - log q(z_k|x),   L_K = E log 1/K sum_k w_k,   L_1 = ELBO <= L_K <= L_K+1 <= log p(x).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from vaekit.errors import UnsupportedError
from vaekit.terms.parts import log_weight
from vaekit.trace import Trace

Gradient = Literal["plain", "stl", "dreg"]


def log_mean_exp(values: Tensor, dim: int = 0) -> Tensor:
    """log 1/K sum_k exp(v_k) along `dim`."""
    return values.logsumexp(dim) - math.log(values.shape[dim])


class ImportanceBound:
    """Minus an importance-weighted bound, one value per datum, nats.

    With S = M K draws in M groups of K: MIWAE(M, K) = 1/M sum_m log 1/K sum_k w_mk; M = 1 is IWAE
    (Burda et al. 2016), K = 1 the ELBO; CIWAE(b) = b ELBO + (1 - b) MIWAE (Rainforth et al. 2018).

    Args:
        groups: M; the number of draws in the trace must be a multiple of it.
        b: weight of the ELBO of the same draws.
        gradient: "plain" differentiates the bound; "stl" cuts q's parameters out of log q (Roeder et al.
            2017; unbiased for K = 1 only); "dreg" is for the player that owns q: sum_k w~_k^2 d log w_k / dz
            dz/dphi with normalised weights w~ (Tucker et al. 2019, arXiv 1810.04152).

    Enumerated labels are summed out within each draw, log 1/K sum_k sum_y p(y) w_ky: q(y|x) has no part in
    the bound, and no gradient from it.

    Warning:
        With "dreg" the value is the bound, but the gradient is right for the posterior's parameters alone:
        give the likelihood and the prior to another player with a "plain" bound.
    """

    def __init__(self, groups: int = 1, b: float = 0.0, gradient: Gradient = "plain") -> None:
        if groups < 1:
            raise ValueError(f"`groups` is {groups}; expected at least 1")
        if not 0 <= b <= 1:
            raise ValueError(f"`b` is {b}; expected a number between 0 (the bound alone) and 1 (the ELBO)")
        if gradient not in ("plain", "stl", "dreg"):
            raise ValueError(f"`gradient` is {gradient!r}; expected plain, stl or dreg")
        self.groups, self.b, self.gradient = groups, b, gradient

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        if trace.axes[0] != "sample":
            raise UnsupportedError(
                f"an importance-weighted bound needs a sample axis; the trace has {trace.axes}: give the "
                "procedure `samples`"
            )
        if "y" in trace.axes and (self.b or self.gradient != "plain"):
            raise UnsupportedError(
                f"`b` is {self.b} and `gradient` is {self.gradient!r}, but the trace enumerates labels, "
                "which are summed within a draw: take b=0 and gradient='plain'"
            )
        weights = log_weight(trace, cut=self.gradient != "plain")
        samples = weights.shape[0]
        if samples % self.groups:
            raise ValueError(f"{samples} draws cannot be put in {self.groups} equal groups")
        grouped = weights.unflatten(0, (self.groups, samples // self.groups))
        bound = log_mean_exp(grouped, dim=1)
        if self.gradient == "dreg":
            squared = grouped.detach().softmax(1).square()
            surrogate = (squared * grouped).sum(1)
            bound = surrogate + (bound - surrogate).detach()
        total = bound.mean(0)
        if self.b:
            total = self.b * weights.mean(0) + (1 - self.b) * total
        return -total


def effective_sample_size(weights: Tensor) -> Tensor:
    """(sum w)^2 / sum w^2 from log weights (sample, batch): (batch,), between 1 and the number of draws."""
    return torch.exp(2 * weights.logsumexp(0) - (2 * weights).logsumexp(0))
