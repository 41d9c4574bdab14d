"""dSprites as ground truth, and what Locatello et al. made of it: colour, noise, a painting behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaekit.data import dsprites
from vaekit.data.factors import FactorData, drawn_by
from vaekit.data.resident import PackedImages
from vaekit.data.spec import Spec
from vaekit.errors import UserError

SIDE = dsprites.SIDE
Manner = Literal["colour", "noise", "scream"]

_SEAM = "orientations 0 and 39 are the same image (0 and 2 pi)"
_SPEC = Spec(
    "dsprites",
    (1, SIDE, SIDE),
    "binary",
    dsprites.COUNT,
    factors=dict(dsprites.FACTORS),
    note=f"drawn from its rule; {_SEAM}",
)


@final
class Sprites(FactorData):
    """dSprites drawn from its rule: an image when it is first asked for, then kept as bits.

    Five factors: shape 3, scale 6, orientation 40, position_x 32, position_y 32; the published sixth, a
    colour of one value, is left out. Orientations 0 and 39 are the same image, so that 18,432 of the 737,280
    images are there twice and orientation cannot be told from all of them.
    """

    def __init__(self) -> None:
        # from numpy, whose zeros take no memory before they are written to
        packed = torch.from_numpy(np.zeros((dsprites.COUNT, SIDE * SIDE // 8), np.uint8))
        self.spec, self.images = _SPEC, PackedImages(_SPEC, packed)
        self.grid = self.images.grid
        self._missing: Tensor | None = torch.ones(dsprites.COUNT, dtype=torch.bool)

    def whole(self) -> PackedImages:
        """All images, drawn at once, which is faster than one by one: 377 MB."""
        if self._missing is not None:
            self.images.packed.copy_(torch.from_numpy(dsprites.packed_grid()))
            self._missing = None
        return self.images

    def to(self, device: torch.device | str) -> PackedImages:
        """All images on a device."""
        return self.whole().to(device)

    def data_of(self, factors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See `FactorData.data_of`."""
        return self.at(self.grid.index_of(self.grid.checked(factors).cpu()))

    def stored(self, index: Tensor) -> Tensor:
        """Bits: (N,) -> (N, 512) uint8."""
        if self._missing is not None and (missing := index[self._missing[index]]).numel():
            new = missing.unique()
            self.images.packed[new] = torch.from_numpy(dsprites.packed_images(new.numpy()))
            self._missing[new] = False
        return self.images.stored(index)

    def decoded(self, stored: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See `PackedImages.decoded`."""
        return self.images.decoded(stored)

    def parts(self, points: Tensor | None) -> tuple[Tensor | None, ...]:
        """The bits, and which points they are of."""
        return (self.whole().packed if points is None else self.stored(points)), points


def original_sprites(packed: NDArray[np.uint8], path: Path, factors: Mapping[str, int]) -> PackedImages:
    """dSprites as published, from the bits of its images."""
    note = f"from {path.name}; the constant factor colour is left out; {_SEAM}"
    spec = replace(_SPEC, size=len(packed), factors=dict(factors), note=note)
    return PackedImages(spec, torch.from_numpy(packed))


def _coloured(sprite: Tensor, generator: torch.Generator) -> Tensor:
    shape = (len(sprite), 3, 1, 1)
    colour = torch.rand(shape, generator=generator, device=generator.device).to(sprite.device)
    return sprite * colour.mul_(0.5).add_(0.5)


def _noisy(sprite: Tensor, generator: torch.Generator) -> Tensor:
    shape = (len(sprite), 3, SIDE, SIDE)
    noise = torch.rand(shape, generator=generator, device=generator.device).to(sprite.device)
    return noise.add_(sprite).clamp_(max=1)


_NOTES: dict[Manner, str] = {
    "colour": "the sprite has a colour drawn from [0.5, 1]^3 at every visit, which is no factor",
    "noise": "the background is uniform noise, drawn at every visit",
    "scream": "the background is a random part of the picture, averaged with a random colour, both drawn at "
    "every visit; the sprite inverts it",
}
VARIANTS: dict[str, Manner] = {
    "color_dsprites": "colour",
    "noisy_dsprites": "noise",
    "scream_dsprites": "scream",
}


@final
class SpriteVariant(FactorData):
    """dSprites in three channels, with something drawn beside the factors at every visit.

    With s the binary sprite and u uniform in [0, 1]:

        colour   x = s c,  c = 1/2 + u/2, one for each image and channel
        noise    x = min(s + u, 1),  u for each pixel and channel
        scream   b = (crop + u)/2, u for each image and channel;  x = b outside, 1 - b on the sprite

    Crops of the picture begin at rows 0 .. H - 65 and columns 0 .. W - 65: the last of either is never seen,
    as in the study.

    Args:
        sprites: the binary images.
        manner: which of the three.
        picture: of "scream", (3, H, W) in [0, 1]; see `scream_picture`.

    Raises:
        ValueError: for "scream" without a picture, or a picture for another.

    References:
        Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations. Locatello
        et al., 2019, arXiv 1811.12359, and `data/ground_truth/dsprites.py` of its disentanglement_lib.
    """

    noisy = True

    def __init__(self, sprites: FactorData, manner: Manner, picture: Tensor | None = None) -> None:
        if (manner == "scream") != (picture is not None):
            raise ValueError(f"`picture` is for `manner` = 'scream', which needs one; got {manner!r}")
        if picture is not None and (len(picture) != 3 or min(picture.shape[1:]) <= SIDE):
            raise ValueError(f"`picture` is {tuple(picture.shape)}; expected 3 x H x W, more than 64 each")
        self.sprites, self.manner, self.picture = sprites, manner, picture
        self.spec = Spec(
            next(name for name, known in VARIANTS.items() if known == manner),
            (3, SIDE, SIDE),
            "unit",
            sprites.spec.size,
            factors=sprites.spec.factors,
            note=f"{sprites.spec.note}; {_NOTES[manner]}",
        )
        self.grid = sprites.grid

    @property
    def device(self) -> torch.device:
        """Where the bits lie."""
        return self.sprites.device

    def to(self, device: torch.device | str) -> SpriteVariant:
        """The same data on another device."""
        picture = None if self.picture is None else self.picture.to(device)
        return SpriteVariant(self.sprites.to(device), self.manner, picture)

    def data_of(self, factors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See `FactorData.data_of`."""
        return self.at(self.grid.index_of(self.grid.checked(factors).to(self.device)), generator)

    def stored(self, index: Tensor) -> Tensor:
        """Bits of the sprites."""
        return self.sprites.stored(index)

    def decoded(self, stored: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See the class."""
        drawn, sprite = drawn_by(generator, self.spec.name), self.sprites.decoded(stored)
        if self.picture is None:
            return (_coloured if self.manner == "colour" else _noisy)(sprite, drawn)
        picture, count = self.picture.to(sprite.device), len(sprite)
        row, column = (
            torch.randint(n - SIDE, (count,), generator=drawn, device=drawn.device).to(sprite.device)
            for n in picture.shape[1:]
        )
        colour = torch.rand((count, 3, 1, 1), generator=drawn, device=drawn.device).to(sprite.device)
        crops = picture.unfold(1, SIDE, 1).unfold(2, SIDE, 1)[:, row, column].transpose(0, 1)
        background = crops.add(colour).div_(2)
        return background.mul_(1 - 2 * sprite).add_(sprite)  # 1 - b where s = 1, and b elsewhere, exactly

    def parts(self, points: Tensor | None) -> tuple[Tensor | None, ...]:
        """The sprites, and the picture behind them."""
        return (*self.sprites.parts(points), self.picture)


def scream_picture(path: Path) -> Tensor:
    """A picture as (3, H, W) in [0, 1], made to fit into 350 x 274 pixels, as the study does.

    Raises:
        UserError: if it cannot be read, or is no more than 64 pixels wide or high then.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.thumbnail((350, 274))
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is no picture that Pillow can read ({error}); replace it") from None
    if min(pixels.shape[:2]) <= SIDE:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise UserError(f"{path} is {size} pixels once it fits 350x274; expected more than 64 each way")
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float().div_(255)
