"""Two data that share most of their factors, each encoded with a look at the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.checks import known
from vaekit.distributions import DiagonalNormal, averaged, geometric_mean, kl_between
from vaekit.errors import UnsupportedError
from vaekit.models.draws import draw, reject_branches
from vaekit.models.flat import Flat
from vaekit.models.model import Model
from vaekit.trace import Batch, Latent, Observed, Trace

Averaging = Literal["gvae", "ml_vae"]
"""gvae: means of the means and of the variances. ml_vae: the normalised geometric mean of both densities."""

_AVERAGES = {"gvae": averaged, "ml_vae": geometric_mean}


def shared_dimensions(divergence: Tensor) -> Tensor:
    """Which dimensions two posteriors are taken to share: those in the lower half of the divergences.

    shared_j = d_j < (min_k d_k + max_k d_k) / 2; where all are equal, none is shared.

    Args:
        divergence: of every dimension, (..., n).

    Returns:
        (..., n) bool.
    """
    threshold = 0.5 * (divergence.amin(-1, keepdim=True) + divergence.amax(-1, keepdim=True))
    return divergence < threshold


def merge(first: DiagonalNormal, second: DiagonalNormal, how: Averaging) -> list[DiagonalNormal]:
    """Both posteriors, with one average for the dimensions that they are taken to share.

    The divergence of a dimension is (KL(q_1 || q_2) + KL(q_2 || q_1)) / 2; no gradient goes through the
    choice.

    Args:
        first, second: q(z|x_1) and q(z|x_2), batch shape (B,), event (n,).
        how: the average.
    """
    with torch.no_grad():
        shared = shared_dimensions(0.5 * (kl_between(first, second) + kl_between(second, first)))
    mean = _AVERAGES[how](first, second)
    return [
        DiagonalNormal(torch.where(shared, mean.loc, own.loc), torch.where(shared, mean.log_std, own.log_std))
        for own in (first, second)
    ]


class Pairwise(Model):
    """A model whose training passes see pairs: posteriors of what two data share are averaged.

    On the branch "partner" it encodes `x` and `partner` of a batch and merges their posteriors (`merge`); the
    trace is that of `x`, its branch that of the partner, both with posteriors that know of the other datum.
    Without this branch it is the model inside, which sees one datum at a time.

    Args:
        model: with one latent, whose posterior is a diagonal Gaussian, and without a condition.
        averaging: of the dimensions that are shared.

    Raises:
        ValueError: for a model with several latents.
    """

    def __init__(self, model: Flat, averaging: Averaging = "gvae") -> None:
        super().__init__()
        if len(model.names) != 1:
            raise ValueError(f"the model has latents {', '.join(model.names)}; expected one")
        known("averaging", averaging, Averaging)
        self.model = model
        self.averaging = averaging
        self.names = model.names

    @property
    def likelihood(self) -> nn.Module:  # type: ignore[override]  # the inner model's, and saved with it
        """p(x|z)."""
        return self.model.likelihood

    def forward(self, batch: Batch, samples: int | None = None, branches: Sequence[str] = ()) -> Trace:
        """One pass over a batch, or over pairs.

        Args:
            batch: `x` (B, *event) and, on the branch, `partner` (B, *event).
            samples: None for one draw without a sample axis, or S for latents of shape (S, B, n).
            branches: "partner", or none.

        Raises:
            UnsupportedError: if partners are asked for and the batch has none.
        """
        reject_branches(branches, ("partner",))
        if not branches:
            found: Trace = self.model(batch, samples)
            return found
        if "partner" not in batch:
            raise UnsupportedError(
                f"the batch has {', '.join(batch)} and no `partner`: train on pairs, see `vaekit.data.paired`"
            )
        x = batch["x"]
        q = self.model.posteriors[0](torch.cat([x, batch["partner"]]))
        if not isinstance(q, DiagonalNormal):
            raise UnsupportedError(
                f"the posterior is a {type(q).__name__}, whose dimensions cannot be averaged one by one: "
                "take a diagonal Gaussian"
            )
        halves = zip(q.loc.chunk(2), q.log_std.chunk(2), strict=True)
        own = [DiagonalNormal(mean, log_std) for mean, log_std in halves]
        first, second = merge(own[0], own[1], self.averaging)
        trace = self._observed(batch, first, samples)
        trace.branches["partner"] = self._observed({"x": batch["partner"]}, second, samples)
        return trace

    def _observed(self, batch: Batch, q: DiagonalNormal, samples: int | None) -> Trace:
        z = draw(q, samples)
        latent = Latent(z, q, self.model.priors[0]())
        observed = {"x": Observed(batch["x"], self.likelihood(z))}
        axes = ("batch",) if samples is None else ("sample", "batch")
        return Trace(batch, {self.names[0]: latent}, observed, axes)

    def infer(self, batch: Batch, samples: int | None = None, branches: Sequence[str] = ()) -> Trace:
        """The same pass without decoding, where there is no branch."""
        return super().infer(batch, samples, branches) if branches else self.model.infer(batch, samples)

    def posterior(self, batch: Batch) -> dict[str, Distribution]:
        """q(z|x) of each datum by itself."""
        return self.model.posterior(batch)

    def encode(self, batch: Batch, sample: bool = False) -> dict[str, Tensor]:
        """Latent name -> (B, n), each datum by itself: the posterior means, or one draw."""
        return self.model.encode(batch, sample)

    def decode(self, values: Mapping[str, Tensor], context: Tensor | None = None) -> Distribution:
        """p(x|z); see `Flat.decode`."""
        return self.model.decode(values, context)

    def generate(self, n: int, context: Tensor | None = None) -> Distribution:
        """p(x|z) for n draws of z from the prior."""
        return self.model.generate(n, context)

    def draw_latents(self, n: int, context: Tensor | None = None) -> dict[str, Tensor]:
        """Latent name -> n draws from the prior, (n, *event)."""
        return self.model.draw_latents(n, context)
