"""The Gaussian likelihood whose residuals are correlated in space."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.checks import number, whole
from vaekit.conditionals.parts import MakeNetwork, Shape, run, soft_floor, stacked
from vaekit.distributions import DiagonalNormal, Neighbourhood, SparsePrecisionNormal
from vaekit.networks.initialise import zero_output_


class StructuredGaussian(nn.Module):
    """context -> N(f(context), (L L^T)^-1), L sparse and lower triangular, from a network of its own.

    One learned scale sigma takes the level of the residuals, and the covariance network their shape, in units
    of sigma: it returns h and w, and ln l_jj = -ln sigma + h_j, l_ij = w_ij / sigma. Its last layer starts at
    zero, so that the first prediction is N(f, sigma^2 I). All standard deviations 1 / l_jj are kept softly
    above exp(-ceiling): an element that is constant in the data has no best variance.

    In the first `start` training steps the covariance network is not asked, and the prediction is
    N(f, sigma^2 I), as it would be if that network stood still.

    Args:
        network: builds both networks, that of the mean and that of the covariance.
        event: (n,) for a line, (channels, height, width) for pictures. Channels are joined at each pixel, not
            across pixels.
        neighbourhood: side of the patch whose elements are joined; see `Neighbourhood`.
        ceiling: largest ln l_jj.
        start: training steps before the covariance network takes part.

    Raises:
        ValueError: if the event, the neighbourhood, the ceiling or the start is none of those allowed.
    """

    def __init__(
        self,
        network: MakeNetwork,
        event: Shape,
        neighbourhood: int = 5,
        ceiling: float = 5.0,
        start: int = 0,
    ) -> None:
        super().__init__()
        self.event = tuple(event)
        self.neighbourhood = Neighbourhood(self.event, neighbourhood)
        self.ceiling = number("ceiling", ceiling)
        self.start = whole("start", start, least=0)
        self.network = network(self.event)
        self.covariance = network(stacked(self.event, 1 + len(self.neighbourhood)))
        zero_output_(self.covariance)
        self.head = nn.Parameter(torch.zeros(()))
        self.steps = 0

    @property
    def log_std(self) -> Tensor:
        """ln sigma."""
        return soft_floor(self.head, -self.ceiling)

    def forward(self, *context: Tensor) -> DiagonalNormal | SparsePrecisionNormal:
        """Context tensors (*lead, ...) -> distribution with batch shape (*lead)."""
        mean = run(self.network, *context)
        if not self.started:
            return DiagonalNormal(mean, self.log_std, len(self.event))
        # (*lead, (1 + K) * channels, ...) -> (*lead, 1 + K, channels, ...)
        heads = run(self.covariance, *context).unflatten(-len(self.event), (-1, self.event[0]))
        axis = -len(self.event) - 1
        diagonal, weights = heads.split([1, len(self.neighbourhood)], axis)
        log_diagonal = -soft_floor(self.head - diagonal.squeeze(axis), -self.ceiling)
        weights = weights * (-self.log_std).exp()
        return SparsePrecisionNormal(mean, log_diagonal, weights, self.neighbourhood)

    # the count is the host's: `forward` must not wait for the device to know whether it has begun
    @property
    def started(self) -> bool:
        """Whether the covariance network takes part."""
        return self.steps >= self.start

    def after_step(self) -> None:
        """One training step further."""
        # not beyond the start: a compiled `forward` would be made anew whenever the number changes
        self.steps = min(self.steps + 1, self.start)

    def get_extra_state(self) -> Tensor:
        """The number of training steps so far, up to the start."""
        return torch.tensor(self.steps, device="cpu")

    def set_extra_state(self, state: Tensor) -> None:
        """Go to a number of training steps."""
        self.steps = int(state.nan_to_num().clamp(0, self.start))  # whatever a file may hold

    def extra_repr(self) -> str:
        """The arguments that the networks do not show."""
        return f"{self.neighbourhood}, ceiling={self.ceiling}, start={self.start}"
