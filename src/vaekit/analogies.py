"""Style and content analogies: the style z of one picture, drawn with the content y of every class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.errors import UnsupportedError
from vaekit.models import LabelMarginal, Model
from vaekit.pictures import grid
from vaekit.randomness import quiet
from vaekit.trace import Batch


@dataclass(frozen=True)
class Analogies:
    """What data would be, had they another class.

    Args:
        x: the data, (B, *event).
        y: their class: the label, or the most probable class where there is none, (B,) int64.
        decoded: means of p(x|y,z) with the z of the datum, for every class y, (B, C, *event).
    """

    x: Tensor
    y: Tensor
    decoded: Tensor

    def picture(self) -> Tensor:
        """A row for every datum: itself, then the classes 0 .. C-1; bytes (channels, height, width).

        Raises:
            ValueError: if the data are no images.
        """
        rows = torch.cat([self.x.unsqueeze(1), self.decoded], 1)
        return grid(rows.flatten(0, 1), rows.shape[1])


@torch.no_grad()
def analogies(model: Model, batch: Batch, *, below: Model | None = None, latent: str = "z") -> Analogies:
    """z = E q(z|x, y) with the datum's own label y, then the mean of p(x|y', z) for every class y'.

    Args:
        model: sums over labels (`LabelMarginal`).
        batch: `x` (B, *event) and, where they are known, labels `y` (B,).
        below: in M1+M2, the model M1 whose latents `model` is of: x is encoded by it first, and decoded last.
        latent: the name of these latents.

    Raises:
        UnsupportedError: if the model has no label to change.

    References:
        Semi-Supervised Learning with Deep Generative Models. Kingma, Rezende, Mohamed, Welling, 2014,
        arXiv 1406.5298, figure 1.
    """
    if not isinstance(model, LabelMarginal):
        raise UnsupportedError(
            f"{type(model).__name__} has no label to change: analogies are for models that sum over labels, "
            "such as m2 and the stage of m1_m2"
        )
    x, classes = batch["x"], model.classes
    with quiet(model, x.device, 0):
        inside = batch if below is None else {**batch, "x": below.encode(batch)[latent]}
        codes = model.encode(inside)
        y = codes.pop("y")
        repeated = {name: value.repeat_interleave(classes, 0) for name, value in codes.items()}
        every = torch.eye(classes, dtype=y.dtype, device=y.device).repeat(len(x), 1)
        decoded = model.decode({**repeated, "y": every}).mean
        if below is not None:
            decoded = below.decode({latent: decoded}).mean
    return Analogies(x, y.argmax(-1), decoded.unflatten(0, (len(x), classes)))
