"""The rate, taken apart: information, total correlation and dimension-wise divergence, estimated in a batch.

With the aggregate posterior q(z) = 1/N sum_n q(z|x_n) over the N training data (Chen et al. 2018, eq. 2):

    E_n KL(q(z|x_n) || p(z)) = I_q(z; n) + KL(q(z) || prod_k q(z_k)) + [KL(prod_k q(z_k) || p(z))].

In a batch of B data, q(z_i) is estimated by sum_j W_ij q(z_i|x_j), and so is each q(z_ik), with the same W:

    mws       W_ij = 1/(N B): minibatch weighted sampling. Over batches of x_i and others, drawn freely, its
              expectation is (q(z|x_i) + (B - 1) q(z)) / (N B): too small by about N, with too much of the own
              datum. The factor adds constants to the parts, which gradients do not see: of the values, the
              sum alone has a meaning.
    mss       W_ii = 1/N; (N - M)/(N M) for one j, here the next one, and 1/M for the others, M = B - 1:
              minibatch stratified sampling. E[sum_j W_ij q(z|x_j)] = q(z) over batches without replacement.
    balanced  W_ii = 1/N; (N - 1)/(N (B - 1)) for all others: as unbiased, of less variance, and exact where
              the batch is the whole set.

The logarithm of an estimate is biased by its variance, the less the more data are in a batch. Rows of `mss`
and `balanced` sum to one, so a batch of one is all there is: q(z) = q(z|x), and the rate stands in the
dimension-wise part alone. The three parts sum to log q(z|x) - log p(z) whatever the weights.

Public implementations put 1/N into the first column instead of on the diagonal (rtqichen/beta-tcvae, pull
request 1), which is biased.

R. T. Q. Chen, X. Li, R. Grosse, D. Duvenaud, Isolating Sources of Disentanglement in Variational
Autoencoders, NeurIPS 2018, https://arxiv.org/abs/1802.04942, section 3 and appendix C
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from vaekit.checks import known, whole
from vaekit.distributions import DiagonalNormal
from vaekit.distributions.normal import HALF_LOG_2PI
from vaekit.errors import UnsupportedError
from vaekit.terms.parts import given_data, once, per_datum
from vaekit.trace import Latent, Trace

Sampling = Literal["mws", "mss", "balanced"]


class Densities(NamedTuple):
    """log q(z|x), log q(z) and sum_k log q(z_k) at the drawn z: each (*axes), nats."""

    posterior: Tensor
    aggregate: Tensor
    product: Tensor


@dataclass(frozen=True)
class Aggregate:
    """How the aggregate posterior is estimated in a batch; it is worked out once for all terms of a trace.

    Time and memory go with B^2 times the number of latent dimensions.

    Args:
        size: N, the number of training data. A batch of more data than that is taken for the whole set.
        sampling: the weights W.

    Raises:
        UnsupportedError: on a trace whose posteriors are no independent diagonal Gaussians given x.
    """

    size: int
    sampling: Sampling = "mss"

    def __post_init__(self) -> None:
        whole("size", self.size)
        known("sampling", self.sampling, Sampling)

    def __call__(self, trace: Trace) -> Densities:
        """The densities, from the first term that asks."""
        return once(trace, self, self._estimate)

    def _estimate(self, trace: Trace) -> Densities:
        latents = independent_gaussians(trace)
        value = torch.cat([latent.value for latent, _ in latents], -1)
        mean = torch.cat([q.loc for _, q in latents], -1)
        log_std = torch.cat([q.log_std.expand_as(q.loc) for _, q in latents], -1)
        pairs = pair_log_densities(value, mean, log_std)
        weights = log_weights(len(mean), self.size, self.sampling, like=mean)
        posterior = sum(q.log_prob(latent.value) for latent, q in latents)
        assert isinstance(posterior, Tensor)  # there is a latent
        return Densities(posterior, _mixed(pairs.sum(0), weights), _mixed(pairs, weights).sum(0))


class _Part(ABC):
    """A part of the rate: it reads an estimate of q(z), which couples the latents of the batch."""

    couples_batch = True
    gathers = True

    def __init__(self, aggregate: Aggregate) -> None:
        self.aggregate = aggregate

    @abstractmethod
    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""


class Information(_Part):
    """Index-code mutual information, E[log q(z|x) - log q(z)]: one value per datum, nats.

    Args:
        aggregate: the estimate of q(z).
    """

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        found = self.aggregate(trace)
        return per_datum(found.posterior - found.aggregate, trace)


class TotalCorrelation(_Part):
    """KL(q(z) || prod_k q(z_k)) as E[log q(z) - sum_k log q(z_k)]: one value per datum, nats.

    Args:
        aggregate: the estimate of q(z).
    """

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        found = self.aggregate(trace)
        return per_datum(found.aggregate - found.product, trace)


class DimensionWise(_Part):
    """KL(prod_k q(z_k) || p(z)) as E[sum_k log q(z_k) - log p(z)]: one value per datum, nats.

    It is the sum of KL(q(z_k) || p(z_k)) where the prior is a product, such as N(0, I).

    Args:
        aggregate: the estimate of q(z).
    """

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        value = self.aggregate(trace).product
        for name, latent in trace.latents.items():
            if latent.p.batch_shape:
                raise UnsupportedError(
                    f"the prior of latent {name!r} differs from datum to datum, so that q(z) has no prior to "
                    "be compared with: use a model with one prior"
                )
            value = value - latent.p.log_prob(latent.value)
        return per_datum(value, trace)


def independent_gaussians(trace: Trace) -> list[tuple[Latent, DiagonalNormal]]:
    """The latents of a trace with their posteriors, which factorise over latents and dimensions given x.

    Raises:
        UnsupportedError: if they do not.
    """
    found = []
    for name, latent in given_data(trace).items():
        if not isinstance(latent.q, DiagonalNormal) or latent.q.event_dims != 1:
            raise UnsupportedError(
                f"the posterior of latent {name!r} is a {type(latent.q).__name__}; this needs diagonal "
                "Gaussians: use a model with a diagonal Gaussian posterior"
            )
        found.append((latent, latent.q))
    return found


def pair_log_densities(value: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log q(z_ik|x_jk) of every draw under every posterior, dimension by dimension.

    Args:
        value: z, (*lead, I, n).
        mean: of the posteriors, (J, n).
        log_std: of the posteriors, (J, n).

    Returns:
        (n, *lead, I, J), nats: the dimensions stand first, so that sums over j are over neighbours in memory.
    """
    place = (mean.shape[-1], *(1 for _ in value.shape[:-1]), len(mean))
    scale = (math.sqrt(0.5) * (-log_std).exp()).mT
    z = value.movedim(-1, 0).contiguous().unsqueeze(-1)
    # ((z - mean) / s)^2 / 2 in one pass over the pairs and its square
    deviation = torch.addcmul(-(mean.mT * scale).view(place), z, scale.contiguous().view(place))
    return -(log_std.mT + HALF_LOG_2PI).reshape(place) - deviation.square()


def log_weights(rows: int, size: int, sampling: Sampling, like: Tensor) -> Tensor | float:
    """ln W of a batch: (rows, rows) in the dtype and on the device of `like`; a number where all are equal.

    Args:
        rows: B.
        size: N; no fewer than the rows are taken for it.
        sampling: which weights.
        like: says dtype and device.
    """
    if sampling == "mws":
        return -math.log(size * rows)
    if rows == 1:
        return 0.0
    size, others = max(size, rows), rows - 1
    share = 1 / others if sampling == "mss" else (size - 1) / (size * others)
    weights = like.new_full((rows, rows), math.log(share))
    if sampling == "mss":
        # the one other datum that makes up for the share of the own: the next, and the first for the last
        weights.diagonal(1).fill_(math.log((size - others) / (size * others)))
        weights.diagonal(1 - rows).fill_(math.log((size - others) / (size * others)))
    weights.diagonal().fill_(-math.log(size))
    return weights


def _mixed(densities: Tensor, weights: Tensor | float) -> Tensor:
    """log sum_j W_ij q_ij: (..., I, J) -> (..., I)."""
    if isinstance(weights, float):
        return densities.logsumexp(-1) + weights
    return (densities + weights).logsumexp(-1)
