"""Pictures of pixels: originals beside reconstructions, traversals, a decoded plane."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.data.restore import assemble
from vaekit.data.spec import Spec
from vaekit.report.codes import Codes
from vaekit.report.parts import Figure, Picture
from vaekit.report.walks import STEPS, repeated, walk_plan, walk_words

_LARGEST_TILE = 96
_BUDGET = {1: 400_000, 3: 180_000}  # elements of a grid by channels: keeps the file small
_STRIP = 440  # CSS pixels: two strips beside each other


@dataclass(frozen=True)
class Pixels:
    """How the data of a set become pictures.

    Args:
        spec: the data.
        shape: (channels, height, width) of a picture.
        low, high: what is black and what is white.
        assemble: (x, c) -> whole pictures, where a datum is a part of one.
    """

    spec: Spec
    shape: tuple[int, int, int]
    low: float
    high: float
    assemble: Callable[[Tensor, Tensor | None], Tensor]

    @classmethod
    def of(cls, spec: Spec, x: Tensor | None = None) -> Pixels | None:
        """For the data of a spec, or None if they are no pictures; `x` sets the range of real data."""
        low, high = 0.0, 1.0
        if spec.kind == "categorical":
            high = float((spec.levels or 2) - 1)
        elif spec.kind in ("real", "count") and x is not None:
            low, high = float(x.min()), float(x.max())
        if spec.is_image:
            return cls(spec, (spec.shape[0], spec.shape[1], spec.shape[2]), low, high, lambda x, c: x)
        if spec.picture is not None and len(spec.picture) == 3 and spec.picture[0] in (1, 3):

            def whole(x: Tensor, c: Tensor | None) -> Tensor:
                return x if c is None else assemble(spec, x, c)

            return cls(spec, (spec.picture[0], spec.picture[1], spec.picture[2]), low, high, whole)
        return None

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of a picture in the report."""
        shrink = min(1.0, _LARGEST_TILE / max(self.shape[1:]))
        return max(1, round(self.shape[1] * shrink)), max(1, round(self.shape[2] * shrink))

    @property
    def zoom(self) -> int:
        """CSS pixels for a pixel: a picture is about 52 to 96 of them wide."""
        return max(1, math.ceil(52 / self.tile[1]))

    def columns(self, most: int, width: int = 760) -> int:
        """How many pictures fit beside each other."""
        return max(1, min(most, width // (self.tile[1] * self.zoom + 4)))

    def room(self) -> int:
        """How many pictures a grid may hold."""
        height, width = self.tile
        return max(6, _BUDGET[self.shape[0]] // (self.shape[0] * height * width))

    def values(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Data as pictures (N, channels, height, width) in [0, 1]."""
        whole = self.assemble(x, c).detach().float().reshape(len(x), *self.shape)
        whole = ((whole - self.low) / ((self.high - self.low) or 1.0)).clamp(0, 1).cpu()
        if self.spec.sound is not None:
            whole = whole.flip(2)  # low tones at the bottom, where people look for them
        if tuple(whole.shape[2:]) != self.tile:
            whole = torch.nn.functional.interpolate(whole, self.tile, mode="area")
        return whole

    def grid(
        self,
        tiles: Tensor,
        columns: int,
        alt: str,
        *,
        pairs: bool = False,
        label: str = "",
        widest: int = 912,
        apart: Collection[int] = (),
    ) -> Picture:
        """Pictures row by row, with transparent gaps.

        `pairs` sets every second row off from the next, `apart` these columns off from those to their left.
        """
        from PIL import Image

        count, channels, height, width = tiles.shape
        rows = -(-count // columns)
        gap = max(1, round(4 / self.zoom))
        tops = [row * (height + gap) + (row // 2 * 2 * gap if pairs else 0) for row in range(rows)]
        wider = [sum(column >= one for one in apart) for column in range(columns)]
        lefts = [column * (width + gap) + 3 * gap * wider[column] for column in range(columns)]
        canvas = torch.zeros(channels + 1, tops[-1] + height, lefts[-1] + width, dtype=torch.uint8)
        for number, tile in enumerate((tiles * 255).round().to(torch.uint8)):
            top, left = tops[number // columns], lefts[number % columns]
            canvas[:channels, top : top + height, left : left + width] = tile
            canvas[channels, top : top + height, left : left + width] = 255
        image = Image.fromarray(canvas.permute(1, 2, 0).contiguous().numpy())
        buffer = io.BytesIO()
        image.save(buffer, format="PNG", optimize=True)
        shown = min(widest, canvas.shape[2] * self.zoom)
        return Picture(alt=alt, png=buffer.getvalue(), label=label, width=shown, crisp=self.zoom > 1)

    @property
    def remark(self) -> str:
        """What was done to the values, if anything."""
        said = []
        if self.tile != tuple(self.shape[1:]):
            said.append(
                f"pictures of {self.shape[1]}x{self.shape[2]} are shrunk to {self.tile[0]}x{self.tile[1]}"
            )
        if self.spec.sound is not None:
            said.append("low tones are at the bottom, time runs to the right")
        if self.spec.kind in ("real", "count"):
            said.append(f"black is {self.low:.4g}, white is {self.high:.4g}")
        return f" {'; '.join(said).capitalize()}." if said else ""


@torch.no_grad()
def reconstructions(pixels: Pixels, codes: Codes, held: str) -> Figure:
    """Held-out pictures, each above what comes back from its posterior mean."""
    columns = min(pixels.columns(12), len(codes.means))
    rows = max(1, min(3, len(codes.means) // columns, pixels.room() // (2 * columns)))
    chosen = slice(0, columns * rows)
    context = codes.context(chosen)
    original = pixels.values(codes.batch["x"][chosen], context)
    rebuilt = pixels.values(codes.decode(codes.means[chosen], context).mean, context)
    lines = [
        part for pair in zip(original.split(columns), rebuilt.split(columns), strict=True) for part in pair
    ]
    alt = (
        f"{len(original)} {held} pictures in rows, each row above the row of their reconstructions; "
        f"the mean absolute difference of a pixel is {float((original - rebuilt).abs().mean()):.3f} of the "
        "range."
    )
    return Figure(
        key="reconstructions",
        title="Reconstructions",
        how="Upper rows are data the model never trained on, the rows below are what it makes of them: what "
        "differs is what the latents do not carry.",
        pictures=(pixels.grid(torch.cat(lines), columns, alt, pairs=True),),
        caption=f"{len(original)} of the {held} data; the mean of the likelihood at the posterior "
        f"mean.{pixels.remark}",
    )


@torch.no_grad()
def traversals(pixels: Pixels, codes: Codes) -> Figure:
    """One strip for every latent, as it goes through its range while the others stand still."""
    most = max(3, min(10, pixels.room() // STEPS))
    strips = []
    steps, chosen = walk_plan(codes, most)
    for column, values in chosen:
        tiles = pixels.values(
            codes.walk(0, column, values), repeated(codes.context(slice(0, 1)), len(values))
        )
        use = "" if codes.rates is None else f" · {float(codes.rates[column]):.2f} nats"
        change = float((tiles[0] - tiles[-1]).abs().mean())
        alt = (
            f"Latent {codes.labels[column]} from \u22123 to +3 standard deviations: the first and the last "
            f"picture differ by {change:.3f} of the range on average."
        )
        idle = "" if bool(codes.active[column]) else " · not in use"
        label = f"{codes.labels[column]}{use}{idle}"
        strips.append(pixels.grid(tiles, len(steps), alt, label=label, widest=_STRIP))
    return Figure(
        key="traversals",
        title="What each latent does",
        how="Each strip moves one latent from low to high and leaves the others alone: what changes along "
        "the strip is what this latent means to the decoder.",
        pictures=tuple(strips),
        caption=walk_words(codes, len(chosen)) + pixels.remark,
    )


@torch.no_grad()
def plane(pixels: Pixels, codes: Codes) -> Figure:
    """A map of two latents: the picture decoded at every place of a regular grid."""
    side = max(5, min(17, math.isqrt(pixels.room()), pixels.columns(17)))
    middle, reach = codes.draws.mean(0), 2.5 * codes.draws.std(0)
    ticks = torch.linspace(-1, 1, side, device=middle.device)
    up, across = torch.meshgrid(ticks.flip(0), ticks, indexing="ij")
    places = middle + torch.stack([across.reshape(-1), up.reshape(-1)], dim=1) * reach
    context = repeated(codes.context(slice(0, 1)), len(places))
    tiles = pixels.values(codes.decode(places, context).mean, context)
    first, second = codes.labels
    given = "" if context is None else ", under the condition of one held-out datum"
    return Figure(
        key="plane",
        title="The latent plane, decoded",
        how="Every place of the plane shows the picture that the decoder makes there: neighbours should "
        "change into each other without a jump.",
        pictures=(
            pixels.grid(tiles, side, f"{side} by {side} pictures, decoded on a grid of the two latents."),
        ),
        caption=f"{first} to the right, {second} upwards, 2.5 standard deviations of the aggregate posterior "
        f"each way; likelihood means{given}.{pixels.remark}",
    )
