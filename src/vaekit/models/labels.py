"""Labels that are sometimes known: the label is a latent, and every class is tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.conditionals import ClassFrequencies
from vaekit.distributions import OneHot
from vaekit.errors import UnsupportedError
from vaekit.models.draws import reject_branches
from vaekit.models.model import Classifier, Model
from vaekit.trace import Batch, Latent, Observed, Trace


class LabelMarginal(Model, Classifier):
    """p(x, y, z) = p(y) p(x, z|y) and q(y, z|x) = q(y|x) q(z|x, y), for any model with a condition (M2).

    L(x, y) = E_q(z|x,y)[log p(x|y,z) + log p(z|y) - log q(z|x,y)] + log p(y),
    U(x) = sum_y q(y|x) L(x, y) + H(q(y|x))  (Kingma et al. 2014, equations 6 and 7).

    The sum over y is taken by enumeration: the inner model runs with c = every class as a leading axis "y"
    of the trace, with noise of its own for each, and `Trace.weights` holds q(y|x). Where the label is known,
    q is one-hot. Distortion plus Rate is then -L(x, y) where it is known and -U(x) where it is not; known,
    unknown and mixed in one batch.

    `batch["y"]` (B,) holds classes 0 .. C-1, and -1 where the label is unknown; without it all are unknown.
    Metrics and validation withhold it. The latent `y` is a one-hot vector (C,).

    Args:
        model: takes a condition of shape (classes,) in each of its posteriors.
        classifier: q(y|x), conditional of x that ends in a `OneHot`.
        classes: C.
        prior: p(y), a conditional of nothing that ends in a `OneHot`; uniform if nothing is said.
    """

    withheld = ("y",)

    def __init__(
        self, model: Model, classifier: nn.Module, classes: int, prior: nn.Module | None = None
    ) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError(f"`classes` is {classes}; expected at least 1")
        if "y" in model.names:
            raise ValueError("the inner model has a latent named 'y' already: labels are not nested")
        self.model = model
        self.classifier = classifier
        self.classes = self.passes = classes
        self.prior = ClassFrequencies(classes) if prior is None else prior
        self.names = (*model.names, "y")
        self.register_buffer("every", torch.eye(classes), persistent=False)
        self.every: Tensor

    @property
    def likelihood(self) -> nn.Module:  # type: ignore[override]  # the inner model's, and saved with it
        """p(x|y,z)."""
        return self.model.likelihood

    def forward(self, batch: Batch, samples: int | None = None, branches: Sequence[str] = ()) -> Trace:
        """One pass for every class.

        Args:
            batch: `x` (B, *event) and, where there are any, labels `y` (B,).
            samples: None for latents (C, B, n), or S for latents of shape (S, C, B, n).
            branches: there are none.
        """
        reject_branches(branches, ())
        if "c" in batch:
            raise UnsupportedError(
                "the label takes the place of the condition, but the batch brings a condition `c`: leave "
                "`context` out of the data options"
            )
        x = batch["x"]
        guess = self.classifier(x)
        labels = self._labels(batch)
        q = OneHot.certain(labels, guess.logits)
        value = self.every.unsqueeze(1)  # (C, 1, C) beside (B, *event): nothing is copied
        inner: Trace = self.model({"x": x, "c": value}, samples)
        axes = ("y", "batch") if samples is None else ("sample", "y", "batch")
        lead = torch.Size((self.classes, len(x)) if samples is None else (samples, self.classes, len(x)))
        for name, latent in inner.latents.items():
            if latent.value.shape[: len(lead)] != lead:
                raise UnsupportedError(
                    f"latent {name!r} has shape {tuple(latent.value.shape)}; expected {tuple(lead)} first, a "
                    "draw for every class: give its posterior the condition"
                )
        latents = {**inner.latents, "y": Latent(value.expand(*lead[-2:], -1), q, self.prior())}
        return replace(
            inner,
            batch=batch,
            latents=latents,
            axes=axes,
            weights=q.probs.mT,
            predicted={"y": Observed(labels, guess)},
        )

    def _labels(self, batch: Batch) -> Tensor:
        """One-hot vectors, zero where the label is unknown, (B, C)."""
        y = batch.get("y")
        if y is None:
            return self.every.new_zeros(batch["x"].shape[0], self.classes)
        every = torch.arange(self.classes, device=self.every.device)
        return (y.unsqueeze(1) == every).to(self.every.dtype)

    @torch.no_grad()
    def classify(self, batch: Batch) -> Tensor:
        """q(y|x), (B, C), whatever labels the batch brings."""
        found: Tensor = self.classifier(batch["x"]).probs
        return found

    def posterior(self, batch: Batch) -> dict[str, Distribution]:
        """Latent name -> q(z|x,y) at the known label or the most probable one, and q(y|x)."""
        q = OneHot.certain(self._labels(batch), self.classifier(batch["x"]).logits)
        return {**self.model.posterior({"x": batch["x"], "c": q.mode}), "y": q}

    @torch.no_grad()
    def encode(self, batch: Batch, sample: bool = False) -> dict[str, Tensor]:
        """Latent name -> (B, n): first y, one-hot, the known label or the most probable one; then z given y.

        With `sample` an unknown label is drawn from q(y|x), and z from q(z|x,y).
        """
        q = OneHot.certain(self._labels(batch), self.classifier(batch["x"]).logits)
        y = q.sample() if sample else q.mode
        return {**self.model.encode({"x": batch["x"], "c": y}, sample), "y": y}

    def decode(self, values: Mapping[str, Tensor], context: Tensor | None = None) -> Distribution:
        """p(x|y,z): a latent that is not given stands at its prior's mean, also the label.

        Args:
            values: latent name -> (n, *event); y is one-hot, (n, C), or any mixture of classes.
            context: the label, (n, C), if `values` do not hold it.
        """
        rest = {name: value for name, value in values.items() if name != "y"}
        if "y" in values:
            if context is not None:
                raise ValueError("the label is given twice, as latent `y` and as `context`: leave one out")
            context = values["y"]
        if context is None:
            context = self.prior().mean.expand(next(iter(rest.values())).shape[0], -1)
        return self.model.decode(rest, context)

    @torch.no_grad()
    def generate(self, n: int, context: Tensor | None = None) -> Distribution:
        """p(x|y,z) for n draws of y from p(y) and z from p(z|y).

        Args:
            n: number of draws.
            context: labels, (n, C) one-hot, in place of draws of y.
        """
        y = self.prior().sample(torch.Size((n,))) if context is None else context
        return self.model.generate(n, y)

    @torch.no_grad()
    def draw_latents(self, n: int, context: Tensor | None = None) -> dict[str, Tensor]:
        """Latent name -> n draws of y from p(y), or the given labels, and of z from p(z|y)."""
        y = self.prior().sample(torch.Size((n,))) if context is None else context
        return {**self.model.draw_latents(n, y), "y": y}
