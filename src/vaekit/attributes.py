"""Visual attribute vectors: what a trained model's latents say of an attribute, and data edited by it.

v = mean of z over the data that have the attribute - mean of z over the data that have not
edited x = decoder(z + strength * v)

Any trained model will do: the latents are the means of its posterior.

    run = vaekit.Run.open("runs/vae_gan-faces-1")
    data = run.data()
    smile = attribute_vector(run.model(), data.train, lambda batch: batch["factors"][:, 31] == 1)
    pictures = edit(run.model(), data.test.take([0, 1, 2]), smile, strength=1.5).mean

A. B. L. Larsen, S. K. Sonderby, H. Larochelle, O. Winther, Autoencoding beyond pixels using a learned
similarity metric, ICML 2016, section 4.2.1, https://arxiv.org/abs/1512.09300
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.data.batch import Data
from vaekit.errors import UnsupportedError
from vaekit.metrics.passes import evaluating, loaded
from vaekit.models import Model
from vaekit.trace import Batch

Has = Callable[[Batch], Tensor]
"""Batch -> which of its data have the attribute, (B,) of truth values."""


def attribute_vector(model: Model, data: Data, has: Has, *, limit: int | None = None) -> dict[str, Tensor]:
    """The mean latents of data with an attribute minus those of data without it.

    Args:
        model: a trained one; its mode and the random streams are left as they were.
        data: with and without the attribute.
        has: says of a batch which data have it, such as `lambda batch: batch["y"] == 3`.
        limit: look at a random subset of this size.

    Returns:
        Latent name -> (*event), float32, on the model's device.

    Raises:
        UnsupportedError: if the latents are codes of a codebook, between which there is no mean.
        TypeError: if `has` does not say yes or no.
        ValueError: if it says so of another number of data, or of none or all of them.
    """
    sums: dict[str, list[Tensor]] = {}
    counts = [0, 0]
    with evaluating(model, seed=0):
        for batch, _ in loaded(data, model, seed=0, limit=limit):
            answer = has(batch)
            if answer.dtype != torch.bool:
                raise TypeError(f"`has` returned {answer.dtype}; expected truth values, such as y == 3")
            if answer.shape != (len(batch["x"]),):
                raise ValueError(
                    f"`has` returned shape {tuple(answer.shape)}; expected ({len(batch['x'])},), one a datum"
                )
            codes = model.encode(batch)
            for side, rows in enumerate((answer, ~answer)):
                counts[side] += int(rows.sum())
                for name, value in codes.items():
                    _continuous(name, value)
                    found = sums.setdefault(name, [value.new_zeros(value.shape[1:], dtype=torch.float64)] * 2)
                    found[side] = found[side] + value[rows].double().sum(0)
    if not all(counts):
        raise ValueError(
            f"{counts[0]} data have the attribute and {counts[1]} have not; expected some of both: look at "
            "`has`, or take more data"
        )
    means = {name: [total / n for total, n in zip(pair, counts, strict=True)] for name, pair in sums.items()}
    return {name: (mine - other).float().clone() for name, (mine, other) in means.items()}


@torch.no_grad()
def edit(model: Model, batch: Batch, vector: Mapping[str, Tensor], strength: float = 1.0) -> Distribution:
    """p(x | z + strength v) at the posterior means z of some data: take its `mean`, or `sample()` it.

    Args:
        model: a trained one, in eval mode.
        batch: `x` (B, *event), and `c` in a conditional model, which stays as it is.
        vector: latent name -> v, as `attribute_vector` gives it; latents that it lacks stay as they are.
        strength: how far to go; below zero takes the attribute away.

    Raises:
        ValueError: for a latent that the model has not, or a vector of another shape.
        UnsupportedError: if the latents are codes of a codebook.
    """
    codes = model.encode(batch)
    for name, direction in vector.items():
        if name not in codes:
            raise ValueError(f"`vector` moves {name!r}; the model has the latents {', '.join(codes)}")
        value = codes[name]
        _continuous(name, value)
        if direction.shape != value.shape[1:]:
            raise ValueError(
                f"`vector` moves {name!r} by shape {tuple(direction.shape)}; expected "
                f"{tuple(value.shape[1:])}"
            )
        codes[name] = value + strength * direction.to(value)
    return model.decode(codes, batch.get("c"))


def _continuous(name: str, value: Tensor) -> None:
    if not value.is_floating_point():
        raise UnsupportedError(
            f"latent {name!r} holds codes of a codebook, which cannot be added: attributes need a model with "
            "real latents"
        )
