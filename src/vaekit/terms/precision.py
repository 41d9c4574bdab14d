"""A prior on how precisely a Gaussian likelihood may predict."""

from __future__ import annotations

import math

from torch import Tensor

from vaekit.checks import number
from vaekit.distributions import DiagonalNormal, SparsePrecisionNormal, sum_event
from vaekit.errors import UnsupportedError
from vaekit.terms.parts import per_datum
from vaekit.trace import Trace


class PrecisionPrior:
    """-sum_j log Gamma(l_jj^2; a, b) of the precisions that a likelihood predicts, one value per datum, nats.

    log Gamma(p; a, b) = (a - 1) ln p - b p + a ln b - ln Gamma(a), for the precision l_jj^2 of each element
    given its later neighbours (of each element, where the likelihood is diagonal). Beside a likelihood it
    makes the estimate one of maximum posterior density: a residual r gives the precision
    (a - 1/2) / (b + r^2 / 2) instead of 1 / r^2, which has no bound where an element never varies. In the
    decomposition of Bartlett the squared diagonal of the factor of a Wishart matrix is Gamma distributed.

    Args:
        shape: a.
        rate: b.
        observed: name of the observed variable.

    Raises:
        ValueError: if a <= 1/2, where there is no largest density, or b <= 0.
    """

    def __init__(self, shape: float, rate: float, observed: str = "x") -> None:
        self.shape = number("shape", shape, above=0.5)
        self.rate = number("rate", rate, above=0)
        self.observed = observed

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        p = trace.observed[self.observed].p
        if isinstance(p, SparsePrecisionNormal):
            root = p.log_diagonal
        elif isinstance(p, DiagonalNormal):
            root = -p.log_std
        else:
            raise UnsupportedError(
                f"a prior on precisions needs a Gaussian likelihood; got {type(p).__name__}: take "
                "`StructuredGaussian` or `PixelGaussian`"
            )
        elements = 2 * (self.shape - 1) * root - self.rate * (2 * root).exp()
        constant = self.shape * math.log(self.rate) - math.lgamma(self.shape)
        density = sum_event(elements.expand_as(p.loc), p.event_dims) + constant * p.event_shape.numel()
        return -per_datum(density, trace)
