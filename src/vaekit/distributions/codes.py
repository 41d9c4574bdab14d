"""Latents that are numbers of codes: quantised vectors, and the uniform prior over their code maps."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.distributions import register_kl
from torch.nn import functional

from vaekit.distributions.lean import Lean, SampleShape
from vaekit.errors import UnsupportedError


class Discrete(Lean, ABC):
    """A distribution whose draws stand for code numbers, which is what a model encodes data as.

    `levels` is the number of codes, K: they go from 0 to K - 1.
    """

    levels: int

    @abstractmethod
    def codes_of(self, value: Tensor) -> Tensor:
        """The code numbers, int64, behind a draw or the mean."""


class Quantised(Discrete):
    """All mass on the code nearest to what an encoder says: z_q = e_k, k = argmin_j |z_e - e_j|.

    A draw is the straight-through value z_e + sg[z_q - z_e]: its value is z_q, and its gradient goes to z_e
    as if nothing had been quantised (van den Oord et al. 2017, arXiv 1711.00937, section 3.2).

    Args:
        z_e: the encoder's output, (*batch, D, *positions).
        z_q: the nearest codes, of the same shape; it may carry a gradient to the codebook.
        index: their numbers, (*batch, 1, *positions), int64.
        levels: K, the number of codes.
        event_dims: number of event axes, the code's own axis D included.
    """

    def __init__(self, z_e: Tensor, z_q: Tensor, index: Tensor, levels: int, event_dims: int) -> None:
        super().__init__(event_dims)
        self.z_e = z_e
        self.z_q = z_q
        self.index = index
        self.levels = levels

    @property
    def shape(self) -> torch.Size:
        """(*batch, D, *positions)."""
        return self.z_e.shape

    @property
    def codes(self) -> Tensor:
        """Numbers of the codes, (*batch, *positions), int64."""
        return self.index.squeeze(-self.event_dims)

    @property
    def positions(self) -> int:
        """Number of codes in one draw."""
        return self.event_shape[1:].numel()

    def codes_of(self, value: Tensor) -> Tensor:
        """The codes: every draw has the same."""
        return self.codes

    @property
    def mean(self) -> Tensor:
        """z_q, (*batch, D, *positions)."""
        return self.z_q

    @property
    def mode(self) -> Tensor:
        """z_q, (*batch, D, *positions)."""
        return self.z_q

    @property
    def variance(self) -> Tensor:
        """Zeros."""
        return torch.zeros_like(self.z_q)

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """z_e + sg[z_q - z_e], repeated; summed so that the value is z_q to the last bit."""
        straight = self.z_q.detach() + (self.z_e - self.z_e.detach())
        return straight.expand(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Refuse: a quantised latent has no density.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(
            "a quantised latent has no density, so that importance sampling has nothing to weigh: take the "
            "bound `elbo`, whose rate is ln K for every position under the uniform prior, or score the codes "
            "by a prior trained on them (recipe code_prior)"
        )


class UniformCodes(Discrete):
    """Every code with the same probability 1/K at every position, all independent; no batch axes.

    Args:
        codebook: (K, D).
        positions: shape of the map of codes, such as (7, 7).
    """

    has_rsample = False

    def __init__(self, codebook: Tensor, positions: tuple[int, ...]) -> None:
        super().__init__(1 + len(positions))
        self.codebook = codebook
        self.levels = len(codebook)
        self.positions = torch.Size(positions)

    @property
    def shape(self) -> torch.Size:
        """(D, *positions): there are no batch axes."""
        return torch.Size((self.codebook.shape[1], *self.positions))

    def codes_of(self, value: Tensor) -> Tensor:
        """The numbers of the codes whose vectors these are, (*lead, *positions), int64."""
        flat = value.movedim(-1 - len(self.positions), -1)
        # the fast way by inner products would round: two codes may lie close together
        apart = torch.cdist(flat.flatten(0, -2), self.codebook, compute_mode="donot_use_mm_for_euclid_dist")
        return apart.argmin(-1).view(flat.shape[:-1])

    @property
    def mean(self) -> Tensor:
        """The mean of the codebook at every position, (D, *positions)."""
        place = (-1, *(1 for _ in self.positions))
        return self.codebook.mean(0).view(place).expand(self.shape)

    @torch.no_grad()
    def sample(self, sample_shape: SampleShape = ()) -> Tensor:
        """Vectors of codes drawn uniformly, (*sample, D, *positions)."""
        lead = torch.Size(sample_shape)
        codes = torch.randint(self.levels, (*lead, *self.positions), device=self.codebook.device)
        return embedded(codes, self.codebook, len(self.positions))

    def log_prob(self, value: Tensor) -> Tensor:
        """Refuse: what is drawn are vectors, and their density is not finite.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(
            "vectors of a codebook have probabilities, no density, so that importance sampling has nothing "
            "to weigh: the rate under this prior is ln K for every position, in closed form"
        )


def embedded(codes: Tensor, codebook: Tensor, position_dims: int) -> Tensor:
    """Vectors of codes: (*lead, *positions) int64 -> (*lead, D, *positions)."""
    return functional.embedding(codes, codebook).movedim(-1, -1 - position_dims)


@register_kl(Quantised, UniformCodes)
def _kl_quantised_uniform(q: Quantised, p: UniformCodes) -> Tensor:
    """positions * ln K: one code has all mass under q, and 1/K under p; (*batch)."""
    return q.z_e.new_full((), q.positions * math.log(p.levels)).expand(q.batch_shape)
