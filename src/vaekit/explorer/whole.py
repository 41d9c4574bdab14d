"""Whole pictures from a model that predicts a part of them: its condition is the other part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.data.prepare import quadrant_order
from vaekit.data.restore import assemble
from vaekit.data.spec import Spec
from vaekit.distributions import PointMass
from vaekit.models import Model
from vaekit.trace import Batch, Trace


def whole_spec(spec: Spec) -> Spec:
    """The spec of the whole pictures, where data are parts of such; else the spec itself."""
    if spec.quadrants is None or spec.picture is None:
        return spec
    return replace(spec, shape=spec.picture, picture=None, quadrants=None)


@final
class Whole(Model):
    """A model of the hidden quadrants of pictures given the visible ones, which shows whole pictures.

    Args:
        model: conditional of the visible pixels.
        spec: of its data.

    Raises:
        ValueError: if the spec is of no such task.
    """

    def __init__(self, model: Model, spec: Spec) -> None:
        super().__init__()
        if spec.quadrants is None or spec.picture is None:
            raise ValueError(f"the data {spec.name!r} are no parts of pictures: expected `quadrants`")
        self.model, self.spec = model, spec
        self.names, self.likelihood = model.names, model.likelihood
        self.withheld, self.passes = model.withheld, model.passes
        order, _ = quadrant_order(spec.name, spec.picture, spec.quadrants)
        self.register_buffer("hidden", torch.from_numpy(order[: spec.dimensions].copy()), persistent=False)

    hidden: Tensor

    def _part(self, batch: Batch) -> Batch:
        """The hidden pixels of whole pictures."""
        return {**batch, "x": batch["x"].flatten(1)[:, self.hidden]}

    def _joined(self, p: Distribution, context: Tensor | None) -> PointMass:
        if context is None:
            raise ValueError("`context` is missing: expected the visible pixels")
        return PointMass(assemble(self.spec, p.mean, context), 3)

    def forward(self, batch: Batch, samples: int | None = None, branches: Sequence[str] = ()) -> Trace:
        """The model's own pass over the hidden pixels."""
        return self.model(self._part(batch), samples, branches)  # type: ignore[no-any-return]  # nn.Module returns Any

    def posterior(self, batch: Batch) -> dict[str, Distribution]:
        """The model's own, of the hidden pixels."""
        return self.model.posterior(self._part(batch))

    def encode(self, batch: Batch, sample: bool = False) -> dict[str, Tensor]:
        """The model's own codes of the hidden pixels."""
        return self.model.encode(self._part(batch), sample)

    def decode(self, values: Mapping[str, Tensor], context: Tensor | None = None) -> PointMass:
        """The mean of p(hidden|z, visible) beside what is visible, (n, *picture)."""
        return self._joined(self.model.decode(values, context), context)

    def generate(self, n: int, context: Tensor | None = None) -> PointMass:
        """The same for n draws of z from the prior."""
        return self._joined(self.model.generate(n, context), context)

    def draw_latents(self, n: int, context: Tensor | None = None) -> dict[str, Tensor]:
        """The model's own."""
        return self.model.draw_latents(n, context)
