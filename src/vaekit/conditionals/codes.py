"""A posterior that quantises to the nearest code of a learned codebook, and the uniform prior over codes.

The protocol of data-parallel training: a module with an attribute `statistics`, a list of names of its
buffers, gathers in them, while it trains, sums over the data of a step. Whoever trains on several processes
adds these buffers over the processes before `after_step`, which then moves every copy of the codebook alike
and clears them. Over the pieces of an accumulated step they add up by themselves.
"""

from __future__ import annotations

from math import prod
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from vaekit import distributions
from vaekit.checks import number, whole
from vaekit.conditionals.parts import MakeNetwork, Shape, run
from vaekit.distributions.codes import embedded
from vaekit.pooling import chosen

Learning = Literal["ema", "gradient"]
"""ema: codes are running averages of what is assigned to them. gradient: codes are parameters, moved by
`terms.CodebookLoss`."""


class Quantised(nn.Module):
    """context -> the nearest of K codes at every position; the network returns vectors to be quantised.

    Codebook by running averages, with n_j the number of vectors of a step assigned to code j:
    N_j <- g N_j + (1 - g) n_j,  m_j <- g m_j + (1 - g) sum of those vectors,  e_j = m_j / N_j.
    Both averages start at zero, so that the ratio is free of the bias of their start; a code that is not used
    stays where it is. They move in `after_step`, and in training alone.

    A code whose share of use falls below `restart` / K takes the place of a vector of the batch at random; so
    do all of them in the first step. With restart = 0 no code is moved so, and they start as normal draws.

    Args:
        network: builds the network that returns z_e.
        event: (D, *positions), such as (64, 7, 7): the code's own axis first, as channels are.
        codes: K.
        learning: how the codes are learned.
        decay: g, of the running averages of use and place.
        restart: share of the mean use below which a code starts anew.

    Raises:
        ValueError: for fewer than two codes, or an event without positions.
    """

    def __init__(
        self,
        network: MakeNetwork,
        event: Shape,
        codes: int = 512,
        learning: Learning = "ema",
        decay: float = 0.99,
        restart: float = 0.05,
    ) -> None:
        super().__init__()
        if len(event) < 2:
            raise ValueError(
                f"`event` is {tuple(event)}; expected (dimensions of a code, positions), such as (64, 7, 7)"
            )
        if learning not in get_args(Learning):
            raise ValueError(f"`learning` is {learning!r}; expected one of {', '.join(get_args(Learning))}")
        self.event = tuple(event)
        self.codes = whole("codes", codes, least=2)
        self.decay = number("decay", decay, least=0, most=1)
        self.restart = number("restart", restart, least=0, most=1)
        if self.decay == 1:
            raise ValueError("`decay` is 1, with which the codes never move; expected less than 1")
        self.network = network(self.event)
        table = torch.randn(codes, self.event[0])
        if learning == "gradient":
            self.codebook: Tensor = nn.Parameter(table)
        else:
            self.register_buffer("codebook", table)
        self.learning = learning
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros_like(table))
        self.register_buffer("weight", torch.zeros(()))
        self.register_buffer("step_counts", torch.zeros(codes), persistent=False)
        self.register_buffer("step_sums", torch.zeros_like(table), persistent=False)
        self.register_buffer("candidates", torch.zeros_like(table), persistent=False)
        self.counts: Tensor
        self.sums: Tensor
        self.weight: Tensor
        self.step_counts: Tensor
        self.step_sums: Tensor
        self.candidates: Tensor
        self.statistics = ["step_counts", "step_sums", "candidates"]

    @property
    def positions(self) -> Shape:
        """Shape of the map of codes."""
        return self.event[1:]

    def forward(self, *context: Tensor) -> distributions.Quantised:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        z_e = run(self.network, *context)
        axis = -len(self.event)
        rows = z_e.detach().movedim(axis, -1)
        codes = self.nearest(rows)
        z_q = self.embed(codes)
        if self.training and torch.is_grad_enabled():
            self._gather(rows.reshape(-1, self.event[0]), codes.flatten())
        return distributions.Quantised(z_e, z_q, codes.unsqueeze(axis), self.codes, len(self.event))

    @torch.no_grad()
    def nearest(self, vectors: Tensor) -> Tensor:
        """Number of the nearest code: (*lead, D) -> (*lead) int64; the first of equally near ones.

        argmin_j |z - e_j|^2 = argmin_j |e_j|^2 / 2 - z . e_j, in full precision: in half precision the
        rounding is larger than the distance between codes.
        """
        with torch.autocast(vectors.device.type, enabled=False):
            book = self.codebook
            norms = 0.5 * book.square().sum(1)
            flat = vectors.reshape(-1, book.shape[1])
            return torch.addmm(norms, flat, book.mT, alpha=-1).argmin(1).view(vectors.shape[:-1])

    def embed(self, codes: Tensor) -> Tensor:
        """Vectors of codes, (*lead, *positions) int64 -> (*lead, D, *positions)."""
        return embedded(codes, self.codebook, len(self.positions))

    @torch.no_grad()
    def _gather(self, vectors: Tensor, codes: Tensor) -> None:
        """Add a pass to the sums of the step: vectors (N, D), codes (N,)."""
        self.step_counts.index_add_(0, codes, torch.ones_like(codes, dtype=self.step_counts.dtype))
        self.step_sums.index_add_(0, codes, vectors)
        if not self.restart:
            return
        self.candidates.copy_(chosen(vectors, self.codes))

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the codes to the running averages of what was assigned to them; restart those out of use."""
        # a step in which nothing was quantised changes nothing
        passed = (self.step_counts.sum() > 0).to(self.weight.dtype)
        share = (1 - self.decay) * passed
        started = self.weight > 0
        self.counts.lerp_(self.step_counts, share)
        self.sums.lerp_(self.step_sums, share)
        self.weight.lerp_(torch.ones_like(self.weight), share)
        if self.learning == "ema":
            used = self.counts > _UNUSED * self.weight
            average = self.sums / torch.where(used, self.counts, 1.0).unsqueeze(1)
            self.codebook.copy_(torch.where(used.unsqueeze(1), average, self.codebook))
        if self.restart:
            mean = self.counts.mean()
            dead = ((self.counts < self.restart * mean) | ~started) & (passed > 0)
            row = dead.unsqueeze(1)
            self.codebook.copy_(torch.where(row, self.candidates, self.codebook))
            self.counts.copy_(torch.where(dead, mean, self.counts))
            self.sums.copy_(torch.where(row, self.candidates * mean, self.sums))
        for name in self.statistics:
            getattr(self, name).zero_()

    def extra_repr(self) -> str:
        """The arguments that the network does not show."""
        return (
            f"event={self.event}, codes={self.codes}, learning={self.learning!r}, decay={self.decay}, "
            f"restart={self.restart}"
        )


_UNUSED = 1e-5  # mean uses a step below which an average says nothing any more (eps in the papers' code)


class UniformCodes(nn.Module):
    """p(k) = 1/K at every position, over the codes of a posterior; its draws are vectors of the codebook.

    Args:
        posterior: whose codebook it is.
    """

    def __init__(self, posterior: Quantised) -> None:
        super().__init__()
        # in a tuple, where nn.Module does not see it: the codebook stands once in the state of the model
        self._posterior = (posterior,)
        self.event = posterior.event

    def forward(self, *context: Tensor) -> distributions.UniformCodes:
        """A distribution without batch axes."""
        [posterior] = self._posterior
        return distributions.UniformCodes(posterior.codebook, posterior.positions)


def refuse_more_codes_than_vectors(codes: int, positions: Shape, size: int) -> None:
    """Refuse a codebook that the training set cannot fill.

    Raises:
        ValueError: if there are more codes than the data have vectors to be quantised.
    """
    vectors = size * prod(positions)
    if codes > vectors:
        raise ValueError(
            f"`codes` is {codes}, but {size} training data with {prod(positions)} positions each give "
            f"{vectors} vectors: some codes could never be used; take at most {vectors}"
        )
