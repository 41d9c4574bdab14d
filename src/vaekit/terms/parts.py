"""What terms are made of: densities of a trace, and the one place that knows its axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.distributions import kl_divergence

from vaekit.distributions import DiagonalNormal, StandardNormal, detached, kl_between, kl_per_dimension
from vaekit.errors import UnsupportedError
from vaekit.trace import Latent, Trace

T = TypeVar("T")


class Term(Protocol):
    """Trace -> one value per datum, (batch,), in nats; or one value, if the term couples the batch.

    A term that couples the batch (its value for a datum depends on the others) says so by an attribute
    `couples_batch = True`. It is refused where a batch is cut into pieces (accumulation), because the values
    of the pieces do not add up to that of the whole.

    A coupled term may also say `gathers = True`: it reads nothing of a trace but latents and named axes, and
    accepts a trace whose latents (values and parameters of `q`, along the axis "batch") were gathered from
    several processes. Without it, data-parallel training refuses the term.
    """

    def __call__(self, trace: Trace) -> Tensor:
        """The values."""
        ...


def per_datum(values: Tensor, trace: Trace, kept: int = 0) -> Tensor:
    """Mean over "sample", expectation under q(y|x) over "y": `([sample,] [y,] batch)` -> `(batch,)`.

    Values that lack the first axes are the same along them. The last `kept` axes, such as the dimensions of a
    latent, are no axes of the trace and stay as they are.

    Raises:
        UnsupportedError: if the trace has an axis that this does not fit.
    """
    if trace.axes == ("batch",) or values.dim() - kept <= 1:
        return values
    for axis in trace.axes[kept - values.dim() : -1]:
        if axis == "sample":
            values = values.mean(0)
        elif axis == "y" and trace.weights is not None:
            weights = trace.weights.reshape(*trace.weights.shape, *(1 for _ in range(kept)))
            values = (weights * values).sum(0)
        else:
            raise UnsupportedError(
                "this term knows the axes 'sample', 'y' (with weights) and 'batch'; the trace has "
                f"{trace.axes}: use a term made for them"
            )
    return values


def once(trace: Trace, key: Hashable, make: Callable[[Trace], T]) -> T:
    """What several terms of one objective need of a pass: made at the first call, kept as long as the trace.

    Args:
        trace: the pass.
        key: what it is, with everything that it depends on beside the trace.
        make: works it out.
    """
    # a player who rests is judged without gradients: what it leaves has no graph for those who move
    place = key, torch.is_grad_enabled()
    if place not in trace.shared:
        trace.shared[place] = make(trace)
    found: T = trace.shared[place]
    return found


def given_data(trace: Trace) -> dict[str, Latent]:
    """The latents of a trace, if each is drawn given the data alone: then they are one code side by side.

    Raises:
        UnsupportedError: if one depends on another, if there is none, or if the trace has an axis beside
            "sample" and "batch".
    """
    if trace.axes not in (("batch",), ("sample", "batch")):
        raise UnsupportedError(
            f"the codes of a batch are compared along the axis 'batch'; the trace has {trace.axes}: use a "
            "model without further axes"
        )
    for name, latent in trace.latents.items():
        if latent.chained:
            raise UnsupportedError(
                f"the posterior of latent {name!r} is given another latent, so that its draws are no code of "
                "the data alone: use a model whose latents are independent given x"
            )
    if not trace.latents:
        raise UnsupportedError("the trace has no latent, so there are no codes to compare")
    return trace.latents


def log_likelihood(trace: Trace) -> Tensor:
    """log p(x|z) over all observed variables, (*axes), nats."""
    total: Tensor | None = None
    for observed in trace.observed.values():
        value = observed.p.log_prob(observed.value)
        total = value if total is None else total + value
    if total is None:
        raise UnsupportedError("the trace has no observed variable, so there is no likelihood")
    return total


def log_ratio(trace: Trace, cut: bool = False) -> Tensor | float:
    """log p(z) - log q(z|x) at the drawn z over all latents, (*axes), nats.

    Args:
        trace: the pass.
        cut: whether q's parameters are cut out of the graph (sg[phi] in log q), as STL and DReG ask.
    """
    total: Tensor | float = 0.0
    for name, latent in trace.latents.items():
        if cut and latent.chained:
            raise UnsupportedError(
                f"the posterior of latent {name!r} depends on another latent's draw, where cutting its "
                'parameters would also cut that path: use gradient="plain"'
            )
        q = detached(latent.q) if cut else latent.q
        total = total + latent.p.log_prob(latent.value) - q.log_prob(latent.value)
    return total


def log_weight(trace: Trace, cut: bool = False) -> Tensor:
    """log w = log p(x, z) - log q(z|x), ([sample,] batch), nats: its mean of exponentials is the evidence.

    An enumerated label is summed out exactly, log sum_y p(y) w_y over the classes that it can have, and never
    drawn: q(y|x) has no part in it. Of a datum whose label is known, only that class remains.
    """
    if "y" not in trace.axes:
        return log_likelihood(trace) + log_ratio(trace, cut)
    return log_class_weight(trace, cut).logsumexp(trace.axes.index("y"))


def log_class_weight(trace: Trace, cut: bool = False) -> Tensor:
    """log p(y) + log p(x, z|y) - log q(z|x, y) of every class, ([sample,] y, batch), nats.

    Of a datum whose label is known, every other class has a weight of 0 (its logarithm is -inf).
    """
    label = trace.latents["y"]
    rest = {name: latent for name, latent in trace.latents.items() if name != "y"}
    weights = log_likelihood(trace) + log_ratio(replace(trace, latents=rest), cut)
    weights = weights + label.p.log_prob(label.value)
    known = trace.batch.get("y")
    if known is None:
        return weights
    excluded = (known >= 0) & (label.value.argmax(-1) != known)
    return weights.masked_fill(excluded, -math.inf)


def divergence(latent: Latent) -> Tensor:
    """KL(q || p) in closed form, (*axes) or (batch,), nats.

    Raises:
        UnsupportedError: if no closed form is known.
    """
    if not latent.closed:
        raise UnsupportedError(
            "the prior of this latent depends on a draw that was made from it, so that its share of the rate "
            'is no KL divergence: use Rate("sample")'
        )
    try:
        return kl_divergence(latent.q, latent.p)
    except NotImplementedError:
        raise UnsupportedError(
            f"no closed form is known for KL({type(latent.q).__name__} || {type(latent.p).__name__}): "
            'use Rate("sample")'
        ) from None


def rate_per_dimension(latent: Latent) -> Tensor | None:
    """What each dimension of a latent adds to the rate, (*axes, *event), nats; None where it is no such sum.

    KL(q_k || p_k), where q and p are independent Gaussians. Where the prior hangs on a draw that was made
    from this latent, that is no share of the rate: there it is log q_k - log p_k at the draw, whose mean is.
    A correlated posterior, or a prior that is a mixture or a flow, has no such parts.

    Args:
        latent: of a trace.
    """
    q, p = latent.q, latent.p
    if not isinstance(q, DiagonalNormal) or not isinstance(p, DiagonalNormal | StandardNormal):
        return None
    if latent.closed:
        return kl_per_dimension(q) if isinstance(p, StandardNormal) else kl_between(q, p)
    # every element an event of its own
    own, prior = DiagonalNormal(q.loc, q.log_std, 0), DiagonalNormal(p.mean, p.stddev.log(), 0)
    return own.log_prob(latent.value) - prior.log_prob(latent.value)
