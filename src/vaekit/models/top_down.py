"""A hierarchy of latents that is inferred from the top: zL -> ... -> z1 -> x in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.models.draws import context_of, draw, draw_prior, encoded, placed, reject_branches
from vaekit.models.hierarchy import Hierarchy
from vaekit.trace import Batch, Latent, Observed, Trace


class TopDown(Hierarchy):
    """q(z|x) = q(zL|x) prod_l q(z_l|x, z_l+1, ..., zL),  p(x,z) = p(x|z) prod_l p(z_l|z_l+1, ..., zL) p(zL).

    Prior and posterior go the same way, so that each KL(q(z_l|x, above) || p(z_l|above)) with the draws above
    held still is that latent's share of the rate, in closed form where one is known. The two-level VampPrior
    model (Tomczak and Welling 2018), the ladder VAE (Sonderby et al. 2016) and VQ-VAE-2 are of this form; in
    a `Chain` the posterior goes upwards instead.

    Latents are named `z1` (nearest the data) ... `zL`. Conditionals may share modules with each other.

    Args:
        posteriors: from the data upwards: conditionals of (h_l, z_l+1, ..., zL[, c]); the last of (h_L[, c]).
            One with an attribute `on_prior` that is true is a conditional of (h_l, p(z_l|above)) instead: it
            starts from the prior of its level, which is made once for both.
        priors: from the data upwards: conditionals of (z_l+1, ..., zL[, c]); the last of ([c]).
        likelihood: conditional of (z1, ..., zL[, c]).
        features: (x[, c]) -> (h_1, ..., h_L), what the levels see of the data: a bottom-up pass that they
            share. Without it every level sees x itself.
    """

    def __init__(
        self,
        posteriors: Sequence[nn.Module],
        priors: Sequence[nn.Module],
        likelihood: nn.Module,
        features: nn.Module | None = None,
    ) -> None:
        super().__init__(posteriors, priors, likelihood)
        self.features = features

    def forward(self, batch: Batch, samples: int | None = None, branches: Sequence[str] = ()) -> Trace:
        """One pass; see `Flat.forward`. The branch "prior" draws every level from its prior."""
        reject_branches(branches, ("prior",))
        x, context = batch["x"], context_of(batch)
        seen = self._seen(x, context)
        above: tuple[Tensor, ...] = ()
        found: dict[str, Latent] = {}
        for level in reversed(range(len(self.names))):
            p = self.priors[level](*above, *context)
            q = self._infer(level, seen[level], above, context, p)
            # the top level brings in the sample axis, every level below inherits it
            value = draw(q, None if above else samples)
            found[self.names[level]] = Latent(value, q, p, chained=bool(above))
            above = (value, *above)
        trace = self._observe(batch, found, above, context, samples)
        if "prior" in branches:
            drawn: dict[str, Latent] = {}
            above = ()
            for level in reversed(range(len(self.names))):
                p = self.priors[level](*above, *context)
                value = self._draw_level(p, len(x), above, samples)
                drawn[self.names[level]] = Latent(value, p, p, chained=bool(above))
                above = (value, *above)
            trace.branches["prior"] = self._observe(batch, drawn, above, context, samples)
        return trace

    def _infer(
        self,
        level: int,
        seen: Tensor,
        above: tuple[Tensor, ...],
        context: tuple[Tensor, ...],
        prior: Distribution | None = None,
    ) -> Distribution:
        conditional = self.posteriors[level]
        if not getattr(conditional, "on_prior", False):
            return conditional(seen, *above, *context)  # type: ignore[no-any-return]  # nn.Module returns Any
        p = self.priors[level](*above, *context) if prior is None else prior
        return conditional(seen, p)  # type: ignore[no-any-return]

    def _seen(self, x: Tensor, context: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if self.features is None:
            return (x,) * len(self.names)
        return self.features(x, *context)  # type: ignore[no-any-return]  # nn.Module returns Any

    def _observe(
        self,
        batch: Batch,
        found: dict[str, Latent],
        values: tuple[Tensor, ...],
        context: tuple[Tensor, ...],
        samples: int | None,
    ) -> Trace:
        axes = ("batch",) if samples is None else ("sample", "batch")
        latents = {name: found[name] for name in self.names}
        return Trace(batch, latents, {"x": Observed(batch["x"], self.likelihood(*values, *context))}, axes)

    @staticmethod
    def _draw_level(p: Distribution, n: int, above: tuple[Tensor, ...], samples: int | None) -> Tensor:
        """Draws of one level: below the top the draws above have brought the leading axes in."""
        if not above or not p.batch_shape:
            return draw_prior(p, n, samples)
        return p.rsample() if p.has_rsample else p.sample()

    def posterior(self, batch: Batch) -> dict[str, Distribution]:
        """Latent name -> q(z_l|x, above) at the means of the levels above, with batch shape (B,)."""
        found = self._downwards(batch, sample=False)
        return {name: found[name][0] for name in self.names}

    @torch.no_grad()
    def encode(self, batch: Batch, sample: bool = False) -> dict[str, Tensor]:
        """Latent name -> (B, n): means given the means of the levels above, or one ancestral draw.

        Discrete latents are given by their code numbers, int64.
        """
        found = self._downwards(batch, sample)
        return {name: encoded(*found[name]) for name in self.names}

    def _downwards(self, batch: Batch, sample: bool) -> dict[str, tuple[Distribution, Tensor]]:
        context = context_of(batch)
        seen = self._seen(batch["x"], context)
        above: tuple[Tensor, ...] = ()
        found: dict[str, tuple[Distribution, Tensor]] = {}
        for level in reversed(range(len(self.names))):
            q = self._infer(level, seen[level], above, context)
            above = (q.sample() if sample else q.mean, *above)
            found[self.names[level]] = q, above[0]
        return found

    def decode(self, values: Mapping[str, Tensor], context: Tensor | None = None) -> Distribution:
        """p(x | latents): a latent that is not given stands at the mean of its prior given those above."""
        given = () if context is None else (context,)
        rows = next(iter((*values.values(), *given))).shape[0]  # not `len`: an exported graph keeps it open
        above: tuple[Tensor, ...] = ()
        for level in reversed(range(len(self.names))):
            value = values.get(self.names[level])
            if value is None:
                p = self.priors[level](*above, *given)
                value = p.mean.expand(rows, *p.event_shape)
            above = (placed(self.posteriors[level], value), *above)
        return self.likelihood(*above, *given)  # type: ignore[no-any-return]  # nn.Module returns Any

    @torch.no_grad()
    def generate(self, n: int, context: Tensor | None = None) -> Distribution:
        """p(x|z) for n ancestral draws zL, ..., z1."""
        given = () if context is None else (context,)
        above = [value for value, _ in self._drawn(n, given)]
        return self.likelihood(*above, *given)  # type: ignore[no-any-return]  # nn.Module returns Any

    @torch.no_grad()
    def draw_latents(self, n: int, context: Tensor | None = None) -> dict[str, Tensor]:
        """Latent name -> n ancestral draws, (n, *event); code numbers of discrete latents."""
        drawn = self._drawn(n, () if context is None else (context,))
        return {name: encoded(p, value) for name, (value, p) in zip(self.names, drawn, strict=True)}

    def _drawn(self, n: int, context: tuple[Tensor, ...]) -> list[tuple[Tensor, Distribution]]:
        """An ancestral draw of every level and its prior, from the data upwards."""
        found: list[tuple[Tensor, Distribution]] = []
        for prior in reversed(self.priors):
            above = tuple(value for value, _ in found)
            p = prior(*above, *context)
            found.insert(0, (self._draw_level(p, n, above, None), p))
        return found
