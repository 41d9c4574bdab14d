"""The latents of a trained model as a data set, drawn anew at every visit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from vaekit.data.batch import Batch, Data, Splits, mix, noise_seed, take_seed
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError, nearest
from vaekit.models import Model, levels_of
from vaekit.randomness import quiet

_ENCODING = 4  # keeps this stream apart from those of the data themselves


@final
class Encoded:
    """z ~ q(z|x) for every datum x: what a later stage trains on (Dai and Wipf 2019, arXiv 1903.05789).

    A draw and not the mean: with the means a second stage would see the unused dimensions of the first as
    constants. Codes of a quantised latent are indices 0 .. K-1. Labels come along as they are.

    The content of a batch is a pure function of the data, the model's weights, the seed, the epoch and the
    number of the batch, as for all data.

    Args:
        data: what is encoded.
        model: encodes; it is used in eval mode and left as it was.
        latent: name of the latent that becomes `x`.
        given: name of the latent that becomes the condition `c`, if any.

    Raises:
        UnsupportedError: if the model has no such latent.
    """

    def __init__(self, data: Data, model: Model, latent: str, given: str | None = None) -> None:
        names = list(model.names)
        for name in (latent, given):
            if name is not None and name not in names:
                raise UnsupportedError(f"the model has no latent {name!r}{nearest(name, names)}")
        self.data, self.model, self.latent, self.given = data, model, latent, given
        self.spec = self._spec()

    def _spec(self) -> Spec:
        """The spec of the codes, as one datum shows it."""
        of, one = self.data.spec, self.take([0])
        levels = levels_of(self.model, self.latent)
        return Spec(
            f"{of.name}.{self.latent}",
            tuple(one["x"].shape[1:]),
            "real" if levels is None else "categorical",
            of.size,
            levels=levels,
            classes=of.classes,
            class_names=of.class_names,
            labelled=of.labelled,
            theta=of.theta,
            context=tuple(one["c"].shape[1:]) if "c" in one else None,
            note=f"draws of q({self.latent}|x)" if levels is None else f"codes {self.latent} of x",
        )

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"Encoded({self.spec.name!r}, {len(self)} x {self.spec.shape}, {self.spec.kind})"

    def _encode(self, batch: Batch, seed: int) -> Batch:
        with quiet(self.model, batch["x"].device, mix(_ENCODING, seed)):
            codes = self.model.encode(batch, sample=True)
        found = {"x": codes[self.latent].float()}
        for name in ("y", "theta"):
            if name in batch:
                found[name] = batch[name]
        if self.given is not None:
            found["c"] = codes[self.given].float()
        elif "c" in batch:
            found["c"] = batch["c"]
        return found

    def batches(
        self,
        size: int,
        *,
        seed: int,
        epoch: int = 0,
        start: int = 0,
        shuffle: bool = True,
        device: torch.device | str = "cpu",
    ) -> Iterator[Batch]:
        """One epoch of batches; see `vaekit.data.Data.batches`."""
        source = self.data.batches(size, seed=seed, epoch=epoch, start=start, shuffle=shuffle, device=device)
        for number, batch in enumerate(source, start):
            yield self._encode(batch, noise_seed(seed, epoch, number))

    def take(self, index: Tensor | Sequence[int], *, seed: int = 0) -> Batch:
        """The codes of the data of the given numbers, in this order."""
        batch = self.data.take(index, seed=seed)
        home = next((p.device for p in self.model.parameters()), torch.device("cpu"))
        return self._encode({name: value.to(home) for name, value in batch.items()}, take_seed(seed))


def encoded_splits(splits: Splits, model: Model, latent: str | None, given: str | None = None) -> Splits:
    """The codes of training, validation and test data; the data themselves where no latent is named."""
    if latent is None:
        return splits
    parts = [Encoded(part, model, latent, given) for part in (splits.train, splits.valid, splits.test)]
    for part in parts[1:]:
        part.spec = replace(parts[0].spec)
    return Splits(*parts)
