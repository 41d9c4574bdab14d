"""A Gaussian over pictures whose precision has a sparse Cholesky factor (Dorta et al. 2018)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vaekit.distributions.lean import SampleShape, Symmetric, sum_event
from vaekit.distributions.neighbourhood import Neighbourhood
from vaekit.distributions.normal import HALF_LOG_2PI

AT_ONCE = 1 << 24
"""Numbers that are solved for together where the variance is asked for: bounds its memory."""


class SparsePrecisionNormal(Symmetric):
    """N(x; mean, (L L^T)^-1), L lower triangular, l_ij != 0 only where i = j or i is a later neighbour of j.

    log p(x) = sum_j ln l_jj - 1/2 |u|^2 - D/2 ln 2pi,   u = L^T (x - mean),
    u_j = l_jj r_j + sum_k l_(j + o_k) j r_(j + o_k),   r = x - mean,

    over the later neighbours j + o_k of element j, in O(D K) and without a matrix. The entries of *column* j
    are stored at element j: then u gathers residuals and no weights. Given all later residuals, r_j has the
    mean -1 / l_jj sum_k l_(j + o_k) j r_(j + o_k) and the precision l_jj^2.

    A draw solves L^T e = u by back-substitution in O(D K), front by front (see `Neighbourhood.tables`).

    Args:
        mean: (*batch, *event).
        log_diagonal: ln l_jj, broadcastable to `mean`.
        weights: l_(j + o_k) j at element j, (*batch, K, *event), or without batch axes; a weight whose
            neighbour lies outside the picture counts nowhere.
        neighbourhood: the pattern; K is its length.

    Dorta et al., Structured Uncertainty Prediction Networks, CVPR 2018, https://arxiv.org/abs/1802.07079
    """

    def __init__(
        self, mean: Tensor, log_diagonal: Tensor, weights: Tensor, neighbourhood: Neighbourhood
    ) -> None:
        super().__init__(mean, len(neighbourhood.event))
        self.log_diagonal = log_diagonal
        self.weights = weights
        self.neighbourhood = neighbourhood

    def whiten(self, value: Tensor) -> Tensor:
        """u = L^T (x - mean), which is N(0, I) under this distribution: (*sample, *batch, *event)."""
        return self._upper(value - self.loc)

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats."""
        noise = self.recall(value)
        noise = self.whiten(value) if noise is None else noise
        squares = sum_event(noise.square(), self.event_dims)
        return self._log_det - 0.5 * squares - HALF_LOG_2PI * self.event_shape.numel()

    def entropy(self) -> Tensor:
        """D/2 ln 2pi e - sum_j ln l_jj, (*batch)."""
        return (HALF_LOG_2PI + 0.5) * self.event_shape.numel() - self._log_det

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """mean + e, L^T e = u, u ~ N(0, I)."""
        shape = self._extended_shape(sample_shape)
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.remember(self.loc + self._solve(noise), noise)

    @property
    def variance(self) -> Tensor:
        """Diagonal of (L L^T)^-1, (*batch, *event): exact, at the cost of D solves for every distribution."""
        shape, event = self.shape, self.event_shape
        ones = torch.eye(event.numel(), dtype=self.loc.dtype, device=self.loc.device)
        total = torch.zeros_like(self.loc)
        for rows in ones.split(max(1, AT_ONCE // shape.numel())):
            units = rows.view(len(rows), *[1] * len(self.batch_shape), *event).expand(-1, *shape)
            total = total + self._solve(units).square().sum(0)
        return total

    @property
    def stddev(self) -> Tensor:
        """Square root of `variance`."""
        return self.variance.sqrt()

    @property
    def factor(self) -> Tensor:
        """L as a dense matrix, (*batch, D, D), elements in the order of memory."""
        count = self.event_shape.numel()
        later, _, _ = self.neighbourhood.tables(self.loc.device)
        columns = torch.arange(count, device=self.loc.device)
        diagonal = self.log_diagonal.exp().expand(self.shape).flatten(-self.event_dims)
        weights = self.weights.expand(*self.batch_shape, len(self.neighbourhood), *self.event_shape)
        # one row more, which takes what lies outside
        dense = self.loc.new_zeros(*self.batch_shape, count + 1, count)
        dense[..., later, columns] = weights.flatten(-self.event_dims)
        dense[..., columns, columns] = diagonal
        return dense[..., :count, :]

    @property
    def precision_matrix(self) -> Tensor:
        """L L^T as a dense matrix, (*batch, D, D)."""
        return self.factor @ self.factor.mT

    @property
    def covariance_matrix(self) -> Tensor:
        """(L L^T)^-1 as a dense matrix, (*batch, D, D)."""
        return torch.cholesky_inverse(self.factor)

    @property
    def _log_det(self) -> Tensor:
        """sum_j ln l_jj, (*batch)."""
        return sum_event(self.log_diagonal.expand_as(self.loc), self.event_dims)

    def _upper(self, residual: Tensor) -> Tensor:
        """L^T r."""
        total = self.log_diagonal.exp() * residual
        columns = self.weights.unbind(-self.event_dims - 1)
        for weight, neighbour in zip(columns, self.neighbourhood.later(residual), strict=True):
            total = torch.addcmul(total, weight, neighbour)
        return total

    def _solve(self, noise: Tensor) -> Tensor:
        """e = L^-T u, with a gradient to u and to L."""
        factor = self.log_diagonal.detach(), self.weights.detach(), self.neighbourhood
        found = substitute(noise.detach(), *factor, transposed=True)
        if not torch.is_grad_enabled():
            return found
        # de = L^-T (du - dL^T e): what is left over is zero, and so is what it adds
        left: Tensor = _Carry.apply(noise - self._upper(found), *factor)  # type: ignore[no-untyped-call]
        return found + left


class _Carry(torch.autograd.Function):
    """Nothing, with the gradient of L^-T u: L^-1 g."""

    @staticmethod
    def forward(
        ctx: Any, noise: Tensor, log_diagonal: Tensor, weights: Tensor, neighbourhood: Neighbourhood
    ) -> Tensor:
        ctx.save_for_backward(log_diagonal, weights)
        ctx.neighbourhood = neighbourhood
        return torch.zeros_like(noise)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        log_diagonal, weights = ctx.saved_tensors
        solved = substitute(gradient, log_diagonal, weights, ctx.neighbourhood, transposed=False)
        return solved, None, None, None


def substitute(
    values: Tensor, log_diagonal: Tensor, weights: Tensor, neighbourhood: Neighbourhood, transposed: bool
) -> Tensor:
    """Solve L^T e = v (`transposed`, from the last element to the first) or L e = v, without a gradient.

    Args:
        values: v, (*lead, *event).
        log_diagonal: ln l_jj, with fewer or as many leading axes.
        weights: (*lead, K, *event), with fewer or as many leading axes.
        neighbourhood: the pattern.
        transposed: which of the two.
    """
    axes = len(neighbourhood.event)
    lead = values.shape[:-axes]
    later, earlier, fronts = neighbourhood.tables(values.device)
    # elements first: a front then is a set of whole rows
    inverse = _elements_first(
        (-log_diagonal).exp().expand(*log_diagonal.shape[:-axes], *neighbourhood.event), axes, 0, lead
    )
    columns = _elements_first(weights, axes, 1, lead)
    columns = torch.cat([columns, columns.new_zeros(len(columns), 1, *columns.shape[2:])], 1)
    right = _elements_first(values, axes, 0, lead)
    # one row more, which stays zero: what lies outside
    found = torch.cat([torch.zeros_like(right), right.new_zeros(1, *right.shape[1:])])
    number = torch.arange(len(neighbourhood), device=values.device).unsqueeze(-1)
    for front in reversed(fronts) if transposed else fronts:
        joined = (later if transposed else earlier)[:, front]
        known = (columns[number, front if transposed else joined] * found[joined]).sum(0)
        found[front] = (right[front] - known) * inverse[front]
    return found[:-1].movedim(0, -1).reshape(values.shape)


def _elements_first(values: Tensor, axes: int, more: int, lead: torch.Size) -> Tensor:
    """(*own, [K,] *event) -> ([K,] D, *ones, *own), to broadcast against (D, *lead)."""
    flat = values.flatten(-axes)
    own = flat.shape[: flat.dim() - 1 - more]
    flat = flat.reshape(*[1] * (len(lead) - len(own)), *flat.shape)
    return flat.movedim(tuple(range(-1 - more, 0)), tuple(range(1 + more))).contiguous()
