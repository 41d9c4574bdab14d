"""From stored values to the float32 that a network sees: scaling, dynamic binarisation, hidden pixels."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.data.spec import Spec


@lru_cache(maxsize=16)
def _byte_thresholds(levels: int) -> tuple[Tensor, Tensor]:
    """For each grey level v: integer and fractional part of 256 v / (levels - 1), the last as 255 + 1."""
    scaled = torch.arange(levels, dtype=torch.float64) * 256 / (levels - 1)
    whole = scaled.floor().clamp_(max=255)
    return whole.to(torch.uint8), (scaled - whole).float()


def bernoulli(grey: Tensor, levels: int, generator: torch.Generator) -> Tensor:
    """Binary pixels that are on with probability v / (levels - 1).

    Args:
        grey: stored levels v, any shape, uint8 in 0..levels-1; or probabilities, floating point in [0, 1].
        levels: number of grey levels (2 to 256); not used for probabilities.
        generator: on the device of `grey`.

    Returns:
        {0, 1} in float32, the shape of `grey`.
    """
    if grey.dtype != torch.uint8:
        return torch.rand(grey.shape, generator=generator, device=grey.device).lt_(grey)
    if grey.device.type != "cpu":
        uniform = torch.rand(grey.shape, generator=generator, device=grey.device)
        return uniform.lt_(grey.float().div_(levels - 1))
    # One random byte r decides nearly every pixel: on if r < a, off if r > a, where a + f = 256 v / (levels -
    # 1); for r = a, one pixel in 256, the fraction f decides. This is exact, and about three times as fast as
    # a float a pixel.
    whole, fraction = _byte_thresholds(levels)
    flat = grey.reshape(-1)
    edge = flat if levels == 256 else whole.index_select(0, flat.int())
    words = torch.empty((flat.numel() + 7) // 8, dtype=torch.int64).random_(
        -(2**63), None, generator=generator
    )
    random = words.view(torch.uint8)[: flat.numel()]
    on = random.lt(edge).view(torch.uint8).float()  # a cast from bool itself is six times slower
    tied = torch.from_numpy(np.flatnonzero(random.eq(edge).numpy()))  # torch's nonzero likewise
    on[tied] = torch.rand(tied.shape, generator=generator).lt_(fraction[flat[tied].int()])
    return on.view(grey.shape)


class Decoder(NamedTuple):
    """How one set's stored values become `x` and, for hidden pixels, `c`.

    Args:
        spec: of the set.
        binarise: whether stored values are grey levels, or probabilities, of pixels to be drawn anew every
            time.
        visible: number of elements, the last ones of each stored datum, that are the condition instead of
            `x`.
    """

    spec: Spec
    binarise: bool = False
    visible: int = 0

    def __call__(self, stored: Tensor, generator: torch.Generator | None) -> Batch:
        """Decode `stored`, (B, ...), which is not changed; the generator is needed for `binarise` alone."""
        spec = self.spec
        if self.binarise:
            if generator is None:
                raise ValueError("dynamic binarisation needs a `generator`")
            x = bernoulli(stored, spec.levels or 256, generator)
        elif spec.kind == "unit" and stored.dtype == torch.uint8:
            x = stored.float().div_((spec.levels or 256) - 1)
        else:
            x = stored.float()
        if not self.visible:
            return {"x": x.view(-1, *spec.shape)}
        hidden = x.shape[1] - self.visible
        context = spec.context or (self.visible,)
        return {"x": x[:, :hidden].reshape(-1, *spec.shape), "c": x[:, hidden:].reshape(-1, *context)}
