"""A chain of latents: x -> z1 -> ... -> zL upwards, zL -> ... -> z1 -> x downwards (Burda et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.models.draws import context_of, draw, draw_prior, reject_branches
from vaekit.models.hierarchy import Hierarchy
from vaekit.trace import Batch, Latent, Observed, Trace


class Chain(Hierarchy):
    """q(z|x) = q(z1|x) prod_l q(z_l|z_{l-1}),  p(x,z) = p(x|z1) prod_l p(z_l|z_{l+1}) p(zL).

    Args:
        posteriors: from the data upwards: conditionals of (x[, c]), (z1[, c]), ...
        priors: from the data upwards: conditionals of (z2[, c]), ..., ([c]).
        likelihood: conditional of (z1[, c]).
    """

    def forward(self, batch: Batch, samples: int | None = None, branches: Sequence[str] = ()) -> Trace:
        """One pass; see `Flat.forward`."""
        reject_branches(branches, ())
        context = context_of(batch)
        values: list[Tensor] = []
        posteriors: list[Distribution] = []
        below = batch["x"]
        for level, conditional in enumerate(self.posteriors):
            q = conditional(below, *context)
            # the first level brings in the sample axis, every level above inherits it
            below = draw(q, samples if level == 0 else None)
            values.append(below)
            posteriors.append(q)
        latents: dict[str, Latent] = {}
        for level, (name, prior) in enumerate(zip(self.names, self.priors, strict=True)):
            p = prior(*values[level + 1 : level + 2], *context)
            top = level == len(self.names) - 1
            latents[name] = Latent(values[level], posteriors[level], p, chained=level > 0, closed=top)
        observed = {"x": Observed(batch["x"], self.likelihood(values[0], *context))}
        return Trace(batch, latents, observed, ("batch",) if samples is None else ("sample", "batch"))

    def posterior(self, batch: Batch) -> dict[str, Distribution]:
        """Latent name -> q(z_l|z_l-1) at the mean of the level below, with batch shape (B,)."""
        return {name: q for name, (q, _) in self._upwards(batch, sample=False).items()}

    @torch.no_grad()
    def encode(self, batch: Batch, sample: bool = False) -> dict[str, Tensor]:
        """Latent name -> (B, n): means given the means of the level below, or one ancestral draw."""
        return {name: value for name, (_, value) in self._upwards(batch, sample).items()}

    def _upwards(self, batch: Batch, sample: bool) -> dict[str, tuple[Distribution, Tensor]]:
        context = context_of(batch)
        found = {}
        below = batch["x"]
        for name, conditional in zip(self.names, self.posteriors, strict=True):
            q = conditional(below, *context)
            below = q.sample() if sample else q.mean
            found[name] = q, below
        return found

    def decode(self, values: Mapping[str, Tensor], context: Tensor | None = None) -> Distribution:
        """p(x | latents): a latent that is not given stands at the mean of its prior given the one above."""
        given = () if context is None else (context,)
        rows = next(iter((*values.values(), *given))).shape[0]  # not `len`: an exported graph keeps it open
        above: tuple[Tensor, ...] = ()
        for name, prior in zip(reversed(self.names), reversed(self.priors), strict=True):
            value = values.get(name)
            if value is None:
                mean = prior(*above, *given).mean
                value = mean.expand(rows, *mean.shape[-1:])
            above = (value,)
        return self.likelihood(*above, *given)  # type: ignore[no-any-return]  # nn.Module returns Any

    @torch.no_grad()
    def generate(self, n: int, context: Tensor | None = None) -> Distribution:
        """p(x|z1) for n ancestral draws zL, ..., z1."""
        given = () if context is None else (context,)
        return self.likelihood(self.draw_latents(n, context)[self.names[0]], *given)  # type: ignore[no-any-return]  # nn.Module returns Any

    @torch.no_grad()
    def draw_latents(self, n: int, context: Tensor | None = None) -> dict[str, Tensor]:
        """Latent name -> n ancestral draws, (n, *event)."""
        given = () if context is None else (context,)
        found: dict[str, Tensor] = {}
        above: tuple[Tensor, ...] = ()
        for name, prior in zip(reversed(self.names), reversed(self.priors), strict=True):
            found[name] = draw_prior(prior(*above, *given), n, None)
            above = (found[name],)
        return {name: found[name] for name in self.names}
