"""A density of the data themselves: no latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.distributions import PointMass
from vaekit.errors import UnsupportedError
from vaekit.models.draws import context_of, draw_prior, reject_branches
from vaekit.models.model import Model
from vaekit.trace import Batch, Observed, Trace


class Explicit(Model):
    """p(x[|c]) with an exact density: a model without latents, whose distortion is -log p(x).

    Args:
        likelihood: conditional of ([c]), such as `conditionals.Autoregressive`.
    """

    def __init__(self, likelihood: nn.Module) -> None:
        super().__init__()
        self.names = ()
        self.likelihood = likelihood

    def forward(self, batch: Batch, samples: int | None = None, branches: Sequence[str] = ()) -> Trace:
        """One pass; with a sample axis the density, which knows no draws, is repeated along it."""
        reject_branches(branches, ())
        x = batch["x"]
        p = self.likelihood(*context_of(batch))
        if samples is None:
            return Trace(batch, {}, {"x": Observed(x, p)})
        repeated = p.expand(torch.Size((samples, len(x))))
        return Trace(batch, {}, {"x": Observed(x, repeated)}, ("sample", "batch"))

    def posterior(self, batch: Batch) -> dict[str, Distribution]:
        """Nothing: there are no latents."""
        return {}

    def encode(self, batch: Batch, sample: bool = False) -> dict[str, Tensor]:
        """Nothing: there are no latents."""
        return {}

    def decode(self, values: Mapping[str, Tensor], context: Tensor | None = None) -> Distribution:
        """Refuse: there is nothing to decode from.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(
            "this model has no latents, so there is nothing to decode or to reconstruct from: use `generate`"
        )

    def draw_latents(self, n: int, context: Tensor | None = None) -> dict[str, Tensor]:
        """Nothing: there are no latents."""
        return {}

    @torch.no_grad()
    def generate(self, n: int, context: Tensor | None = None) -> Distribution:
        """n draws of x, each as a point mass: they are drawn now, not when they are asked for."""
        p = self.likelihood(*(() if context is None else (context,)))
        return PointMass(draw_prior(p, n, None), len(p.event_shape))
