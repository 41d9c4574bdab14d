"""Gaussian conditionals for vectors: posteriors, and priors that depend on a context."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.conditionals.parts import MakeNetwork, Shape, run, split, stacked
from vaekit.distributions import CholeskyNormal, DiagonalNormal, LowRankNormal, RankOnePrecisionNormal

LOG_STD_RANGE = (-8.0, 4.0)


class Gaussian(nn.Module):
    """context -> N(mean, diag(s^2)), both from one network; its head is ln s, clamped to [-8, 4].

    Args:
        network: builds the network that returns mean and ln s.
        event: event shape, (n,) for a latent vector.
    """

    def __init__(self, network: MakeNetwork, event: Shape) -> None:
        super().__init__()
        self.event = tuple(event)
        self.network = network(stacked(self.event, 2))

    def forward(self, *context: Tensor) -> DiagonalNormal:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        mean, log_std = split(run(self.network, *context), self.event, 2)
        return DiagonalNormal(mean, log_std.clamp(*LOG_STD_RANGE), len(self.event))


class CholeskyGaussian(nn.Module):
    """context -> N(mean, L L^T); the network returns mean and the n(n+1)/2 entries of L.

    The diagonal of L is exp(head), the head clamped to [-8, 4]; the rest is used as it is.
    """

    def __init__(self, network: MakeNetwork, event: Shape) -> None:
        super().__init__()
        self.n = _vector(event)
        self.network = network((self.n + self.n * (self.n + 1) // 2,))
        # the diagonal first, then what is below it: the order of the network's output
        diagonal = torch.arange(self.n)
        rows, columns = torch.tril_indices(self.n, self.n, offset=-1)
        self.register_buffer("rows", torch.cat([diagonal, rows]), persistent=False)
        self.register_buffer("columns", torch.cat([diagonal, columns]), persistent=False)
        self.rows: Tensor
        self.columns: Tensor

    def forward(self, *context: Tensor) -> CholeskyNormal:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        output = run(self.network, *context)
        mean, log_diagonal, below = output.split([self.n, self.n, output.shape[-1] - 2 * self.n], dim=-1)
        log_diagonal = log_diagonal.clamp(*LOG_STD_RANGE)
        factor = output.new_zeros(*mean.shape, self.n)
        factor[..., self.rows, self.columns] = torch.cat([log_diagonal.exp(), below], dim=-1)
        return CholeskyNormal(mean, factor, log_diagonal)


class LowRankGaussian(nn.Module):
    """context -> N(mean, diag(d) + U U^T) with U of rank r; heads: mean, ln sqrt(d), U / sqrt(r)."""

    def __init__(self, network: MakeNetwork, event: Shape, rank: int = 1) -> None:
        super().__init__()
        self.n = _vector(event)
        if not 1 <= rank <= self.n:
            raise ValueError(f"`rank` is {rank}; expected 1 to {self.n}, the number of latents")
        self.rank = rank
        self.network = network((self.n * (2 + rank),))

    def forward(self, *context: Tensor) -> LowRankNormal:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        output = run(self.network, *context)
        mean, log_std, directions = output.split([self.n, self.n, self.n * self.rank], dim=-1)
        directions = directions.unflatten(-1, (self.n, self.rank)) * self.rank**-0.5
        return LowRankNormal(mean, 2 * log_std.clamp(*LOG_STD_RANGE), directions)


class RankOneGaussian(nn.Module):
    """context -> N(mean, C), C^-1 = diag(d) + u u^T: the posterior of the DLGM; heads: mean, -ln d / 2, u."""

    def __init__(self, network: MakeNetwork, event: Shape) -> None:
        super().__init__()
        self.n = _vector(event)
        self.network = network((3 * self.n,))

    def forward(self, *context: Tensor) -> RankOnePrecisionNormal:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        mean, log_std, direction = run(self.network, *context).chunk(3, dim=-1)
        return RankOnePrecisionNormal(mean, -2 * log_std.clamp(*LOG_STD_RANGE), direction)


def _vector(event: Shape) -> int:
    if len(event) != 1:
        raise ValueError(f"`event` is {event}; a Gaussian with correlations needs a vector event (n,)")
    return event[0]
