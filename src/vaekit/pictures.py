"""Many pictures in one: grids as PNG files."""

from __future__ import annotations

import io
import math

import torch
from torch import Tensor

_SMALLEST = 48  # pixels: smaller pictures are enlarged by a whole factor, so that they can be seen
_GAP = 2
_GROUND = 255  # white between the pictures


def grid(pictures: Tensor, columns: int | None = None) -> Tensor:
    """Pictures row by row on a white ground.

    Args:
        pictures: (N, channels, height, width) with 1 or 3 channels, values in [0, 1].
        columns: pictures in a row; by default as many as rows.

    Returns:
        Bytes, (channels, height, width).

    Raises:
        ValueError: for another shape.
    """
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3) or len(pictures) == 0:
        raise ValueError(f"`pictures` has shape {tuple(pictures.shape)}; expected (N, 1 or 3, height, width)")
    count, channels, height, width = pictures.shape
    factor = max(1, math.ceil(_SMALLEST / max(height, width)))
    across = columns or math.ceil(math.sqrt(count))
    across = min(across, count)
    down = math.ceil(count / across)
    height, width = height * factor, width * factor
    whole = torch.full(
        (channels, down * (height + _GAP) + _GAP, across * (width + _GAP) + _GAP), _GROUND, dtype=torch.uint8
    )
    tiles = (pictures.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    tiles = tiles.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    for number, tile in enumerate(tiles):
        top = _GAP + number // across * (height + _GAP)
        left = _GAP + number % across * (width + _GAP)
        whole[:, top : top + height, left : left + width] = tile
    return whole


def png(picture: Tensor) -> bytes:
    """A PNG file from bytes (channels, height, width)."""
    from PIL import Image

    pixels = picture.permute(1, 2, 0).contiguous().numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, format="PNG")
    return buffer.getvalue()
