"""What a term owes to the objective that takes its mean."""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.terms import Term
from vaekit.testing.select import select
from vaekit.testing.words import close, require
from vaekit.trace import Trace


def check_term(term: Term, trace: Trace) -> None:
    """Check a term on a trace: one value per datum, of that datum alone, averaged over the sample axis.

    A term that draws random numbers draws the same ones in every call here.

    Args:
        term: if it couples the batch, it says so by `couples_batch = True` and may return one value.
        trace: of two data or more, best in float64; with a sample axis, if the term needs one.

    Raises:
        AssertionError: naming the contract that it breaks.
    """
    name = type(term).__name__

    def judge(some: Trace) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return term(some)

    values = judge(trace)
    data = len(trace.batch["x"])
    require(data > 1, f"check_term needs a trace of two data or more; got {data}")
    require(bool(values.isfinite().all()), f"{name} is not finite: {values}")
    couples = bool(getattr(term, "couples_batch", False))
    shapes = ((data,), ()) if couples else ((data,),)
    hint = "" if couples else "; a term that couples the batch says so by `couples_batch = True`"
    require(
        tuple(values.shape) in shapes,
        f"{name} returned shape {tuple(values.shape)}; expected {' or '.join(map(str, shapes))}{hint}",
    )
    if not couples:
        everyone = torch.arange(data)
        twice = judge(select(trace, "batch", everyone.repeat(2)))
        require(
            close(twice, values.repeat(2)),
            f"{name} changes when the batch is repeated: it holds a sum or a mean over the batch",
        )
        for datum in (0, data - 1):
            alone = judge(select(trace, "batch", everyone[datum : datum + 1]))
            require(
                close(alone, values[datum : datum + 1]),
                f"{name} of datum {datum} changes when the others leave: it must say that it couples the "
                "batch by `couples_batch = True`",
            )
    if "sample" in trace.axes:
        draws = next(iter(trace.latents.values())).value.shape[0]
        doubled = judge(select(trace, "sample", torch.arange(draws).repeat_interleave(2)))
        require(
            close(doubled, values),
            f"{name} changes when every draw is there twice: it sums over draws instead of averaging",
        )
