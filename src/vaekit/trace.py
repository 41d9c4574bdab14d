"""A plain record of one forward pass. It does not know which model made it, nor who will judge it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.distributions import Distribution

from vaekit.data.batch import Batch

__all__ = ["Batch", "Latent", "Observed", "Trace"]


@dataclass(frozen=True, slots=True)
class Latent:
    """One latent variable of a trace.

    Args:
        value: the draw, (*axes, *event).
        q: the distribution that it was drawn from (the posterior).
        p: its prior, given the other latents.
        chained: whether `q` depends on another latent's draw. Estimators that cut the posterior's parameters
            out of the graph (STL, DReG) are only right where it does not.
        closed: whether KL(q || p) with the other draws held still is this latent's share of the rate. It is
            not where `p` depends on a draw that was made from this one, as in a chain inferred bottom-up.
    """

    value: Tensor
    q: Distribution
    p: Distribution
    chained: bool = False
    closed: bool = True


@dataclass(frozen=True, slots=True)
class Observed:
    """One observed variable of a trace: the data and its likelihood given the latents."""

    value: Tensor
    p: Distribution


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened in one pass.

    Args:
        batch: the data as they came.
        latents: name -> (value, q, p).
        observed: name -> (value, p).
        axes: names of the leading axes of latent values: "batch", before it perhaps "y", before that perhaps
            "sample". Along "y" a label is enumerated; the latent of that name holds its classes. Values that
            lack an axis broadcast from the right.
        branches: further passes that were asked for by name, such as "prior", where the latents are drawn
            from their prior instead of their posterior.
        whole: where this is the pass of one process over its share of a batch, what is known of the pass over
            the whole batch: the batch and the latents. Terms that say `gathers = True` judge it instead.
        weights: q(y|x) of every class, (y, batch), where the trace has the axis "y".
        predicted: name -> (value, p) of what a discriminative part says of the data. It is no part of
            p(x, z), and of no likelihood; a value that nobody knows is zero everywhere.
        shared: what several terms work out on this pass and share, see `terms.once`. A trace that is made
            from this one by `dataclasses.replace` starts with nothing shared.
    """

    batch: Batch
    latents: dict[str, Latent]
    observed: dict[str, Observed]
    axes: tuple[str, ...] = ("batch",)
    branches: dict[str, Trace] = field(default_factory=dict)
    whole: Trace | None = field(default=None, kw_only=True)
    weights: Tensor | None = None
    predicted: dict[str, Observed] = field(default_factory=dict)
    shared: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
