"""Costs of a reconstruction that are no likelihood."""

from __future__ import annotations

from torch import Tensor

from vaekit.errors import UnsupportedError
from vaekit.terms.parts import per_datum
from vaekit.trace import Trace


class SquaredError:
    """|x - E[x|z]|^2 summed over elements, one value per datum, in the square of the data's unit.

    It needs no density, so that a decoder may return points (`conditionals.Deterministic`).
    """

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        total: Tensor | None = None
        for observed in trace.observed.values():
            squares = (observed.value - observed.p.mean).square()
            event = len(observed.p.event_shape)
            value = squares.flatten(-event).sum(-1) if event else squares
            total = value if total is None else total + value
        if total is None:
            raise UnsupportedError("the trace has no observed variable, so there is nothing to reconstruct")
        return per_datum(total, trace)
