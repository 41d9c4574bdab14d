"""What a latent is told by ground-truth parameters that are known of some data.

A batch brings `theta` (batch, P), NaN where it is unknown; a batch without it knows none. Terms are zero
where theta is unknown. As with labels (`Classification`), an objective takes the mean over a batch in which
known data stand as often as they do in the set, so that a weight a of the mean over known data is
a N / N_known.

Jacobsen and Duraisamy 2022 (arXiv 2109.07399): what is learned from a field alone is known up to a rotation
of the latents; theta of about one datum in a hundred decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.checks import known
from vaekit.distributions import DiagonalNormal
from vaekit.errors import UnsupportedError
from vaekit.terms.parts import per_datum
from vaekit.trace import Trace

Closeness = Literal["squared", "density"]
"""squared: |E_q[z] - theta|^2. density: -log q(theta|x), nats."""


class Told:
    """How far q(z|x) is from the known parameters, one value per datum; 0 where they are unknown.

    squared: |E_q[z] - theta|^2, in units of theta.   density: -log q(z = theta|x), nats.

    The first P dimensions of the latent stand for theta, in this order; others are free.

    Args:
        closeness: which of the two.
        latent: name of the latent, or None for the first one, nearest to the data.
    """

    def __init__(self, closeness: Closeness = "squared", latent: str | None = None) -> None:
        known("closeness", closeness, Closeness)
        self.closeness, self.latent = closeness, latent

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        given = parameters_of(trace)
        if given is None:
            return _zero(trace)
        theta, told = given
        name = self.latent or next(iter(trace.latents))
        q = trace.latents[name].q
        if len(q.event_shape) != 1 or q.event_shape[0] < theta.shape[-1]:
            raise UnsupportedError(
                f"latent {name!r} has shape {tuple(q.event_shape)}; expected a vector of {theta.shape[-1]} "
                "or more dimensions, one for each known parameter: take more latents"
            )
        if self.closeness == "squared":
            mean: Tensor = q.mean
            distance = (mean[..., : theta.shape[-1]] - theta).square().sum(-1)
        elif isinstance(q, DiagonalNormal):  # the other dimensions are integrated out
            few = slice(theta.shape[-1])
            log_std = q.log_std[..., few] if q.log_std.dim() else q.log_std
            distance = -DiagonalNormal(q.loc[..., few], log_std).log_prob(theta)
        elif q.event_shape == theta.shape[-1:]:
            distance = -q.log_prob(theta)
        else:
            raise UnsupportedError(
                f"-log q(theta|x) of {theta.shape[-1]} of {q.event_shape.numel()} latents needs a diagonal "
                f'Gaussian; got {type(q).__name__}: take as many latents, or closeness "squared"'
            )
        return per_datum(torch.where(told, distance, 0), trace)


class ToldDecoder:
    """-log p(x|z = theta) where theta is known, one value per datum, nats; 0 where it is not.

    It costs a second pass of the decoder. Other latents stand at the mean of their prior.

    Args:
        decode: of the model, whose likelihood is borrowed; see `Model.decode`.
        latent: name of the latent, which has as many dimensions as there are parameters.
    """

    def __init__(
        self, decode: Callable[[Mapping[str, Tensor], Tensor | None], Distribution], latent: str = "z"
    ) -> None:
        self.decode, self.latent = decode, latent

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        given = parameters_of(trace)
        if given is None:
            return _zero(trace)
        theta, told = given
        p = self.decode({self.latent: theta}, trace.batch.get("c"))
        return torch.where(told, -p.log_prob(trace.batch["x"]), 0)


def parameters_of(trace: Trace) -> tuple[Tensor, Tensor] | None:
    """theta, (batch, P), zero where it is unknown, and whether it is known, (batch,); None without any."""
    theta = trace.batch.get("theta")
    if theta is None:
        return None
    value = next(iter(trace.latents.values())).value
    unknown = theta.isnan()
    return theta.masked_fill(unknown, 0).to(value.dtype), ~unknown[:, 0]


def _zero(trace: Trace) -> Tensor:
    x = trace.batch["x"]
    return x.new_zeros(len(x))
