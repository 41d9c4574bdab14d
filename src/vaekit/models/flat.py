"""One group of latents between the data and the prior: x -> z -> x, with an optional condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.models.draws import context_of, draw, draw_prior, encoded, placed, reject_branches
from vaekit.models.model import Model
from vaekit.trace import Batch, Latent, Observed, Trace


class Flat(Model):
    """Latents that are independent of each other given x: q(z|x) = prod_l q(z_l|x), p(z) = prod_l p(z_l).

    With one latent this is the VAE; with a condition c the conditional VAE, q(z|x,c), p(z|c), p(x|z,c); with
    several, the DLGM of Rezende et al., whose layers add noise that is inferred from x.

    Args:
        posterior: conditional of (x[, c]), or one per latent.
        prior: conditional of ([c]), or one per latent.
        likelihood: conditional of (z_1, ..., z_L[, c]).

    Latents are named `z`, or `z1` ... `zL` from the data upwards.
    """

    def __init__(
        self,
        posterior: nn.Module | Sequence[nn.Module],
        prior: nn.Module | Sequence[nn.Module],
        likelihood: nn.Module,
    ) -> None:
        super().__init__()
        posteriors = [posterior] if isinstance(posterior, nn.Module) else list(posterior)
        priors = [prior] if isinstance(prior, nn.Module) else list(prior)
        if len(posteriors) != len(priors):
            raise ValueError(
                f"got {len(posteriors)} posteriors and {len(priors)} priors; expected one prior each"
            )
        self.names = ("z",) if len(priors) == 1 else tuple(f"z{i + 1}" for i in range(len(priors)))
        self.posteriors = nn.ModuleList(posteriors)
        self.priors = nn.ModuleList(priors)
        self.likelihood = likelihood

    def forward(self, batch: Batch, samples: int | None = None, branches: Sequence[str] = ()) -> Trace:
        """One pass.

        Args:
            batch: `x` (B, *event) and, in a conditional model, `c` (B, *context).
            samples: None for one draw without a sample axis, or S for latents of shape (S, B, n).
            branches: "prior" adds a pass whose latents come from the prior p(z|c); "draws" adds such latents
                without decoding them.
        """
        trace = self.infer(batch, samples, branches)
        self._observe(trace)
        if "prior" in branches:
            self._observe(trace.branches["prior"])
        return trace

    def infer(self, batch: Batch, samples: int | None = None, branches: Sequence[str] = ()) -> Trace:
        """The same pass without decoding."""
        reject_branches(branches, ("prior", "draws"))
        x, context = batch["x"], context_of(batch)
        axes = ("batch",) if samples is None else ("sample", "batch")
        latents: dict[str, Latent] = {}
        for name, posterior, prior in zip(self.names, self.posteriors, self.priors, strict=True):
            q = posterior(x, *context)
            latents[name] = Latent(draw(q, samples), q, prior(*context))
        trace = Trace(batch, latents, {}, axes)
        for branch in branches:
            drawn = {}
            for name, latent in latents.items():
                drawn[name] = Latent(draw_prior(latent.p, len(x), samples), latent.p, latent.p)
            trace.branches[branch] = Trace(batch, drawn, {}, axes)
        return trace

    def _observe(self, trace: Trace) -> None:
        values = (latent.value for latent in trace.latents.values())
        p = self.likelihood(*values, *context_of(trace.batch))
        trace.observed["x"] = Observed(trace.batch["x"], p)

    def posterior(self, batch: Batch) -> dict[str, Distribution]:
        """Latent name -> q(z_l|x[, c]), with batch shape (B,)."""
        arguments = (batch["x"], *context_of(batch))
        return {name: q(*arguments) for name, q in zip(self.names, self.posteriors, strict=True)}

    @torch.no_grad()
    def encode(self, batch: Batch, sample: bool = False) -> dict[str, Tensor]:
        """Latent name -> (B, n): the posterior means, or one draw each; code numbers of discrete latents."""
        found = self.posterior(batch)
        return {name: encoded(q, q.sample() if sample else q.mean) for name, q in found.items()}

    def decode(self, values: Mapping[str, Tensor], context: Tensor | None = None) -> Distribution:
        """p(x | latents): latents that are not given stand at the mean of their prior.

        Args:
            values: latent name -> (n, *event), or code numbers as `encode` gives them.
            context: (n, *context) in a conditional model.
        """
        given = () if context is None else (context,)
        rows = next(iter((*values.values(), *given))).shape[0]  # not `len`: an exported graph keeps it open
        filled = []
        for name, posterior, prior in zip(self.names, self.posteriors, self.priors, strict=True):
            value = values.get(name)
            if value is None:
                p = prior(*given)
                value = p.mean.expand(rows, *p.event_shape)
            filled.append(placed(posterior, value))
        return self.likelihood(*filled, *given)  # type: ignore[no-any-return]  # nn.Module returns Any

    @torch.no_grad()
    def generate(self, n: int, context: Tensor | None = None) -> Distribution:
        """p(x|z) for n draws of z from the prior: take its `mean`, or `sample()` it.

        Args:
            n: number of draws.
            context: (n, *context) in a conditional model.
        """
        given = () if context is None else (context,)
        drawn = [draw_prior(prior(*given), n, None) for prior in self.priors]
        return self.likelihood(*drawn, *given)  # type: ignore[no-any-return]  # nn.Module returns Any

    @torch.no_grad()
    def draw_latents(self, n: int, context: Tensor | None = None) -> dict[str, Tensor]:
        """Latent name -> n draws from the prior, (n, *event); code numbers of discrete latents."""
        given = () if context is None else (context,)
        priors = [prior(*given) for prior in self.priors]
        return {name: encoded(p, draw_prior(p, n, None)) for name, p in zip(self.names, priors, strict=True)}
