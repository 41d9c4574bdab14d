"""A small set of binary data and its splits."""

from __future__ import annotations

import pytest
import torch

from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec


@pytest.fixture
def splits() -> Splits:
    generator = torch.Generator().manual_seed(3)
    spec = Spec("toy", (1, 4, 4), "binary", 65, levels=17)
    # two kinds of pictures, so that there is something to learn; grey levels are drawn anew at every visit
    kinds = torch.randint(0, 2, (105, 1, 1, 1), generator=generator)
    grey = (8 + 8 * (2 * kinds - 1) * torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4)).round()
    x = grey.clamp(0, 16).to(torch.uint8)
    held_out = torch.bernoulli(x[65:].float() / 16, generator=generator)
    return Splits(
        ArrayData(spec, x[:65], binarise=True), ArrayData(spec, held_out[:20]), ArrayData(spec, held_out[20:])
    )
