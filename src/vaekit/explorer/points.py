"""Held-out data on the page: small pictures in one sheet, what is known of each, the plane of the map."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data.restore import original_units
from vaekit.data.spec import Spec
from vaekit.explorer.arrays import pack
from vaekit.pictures import png
from vaekit.report.latents import principal
from vaekit.report.pictures import Pixels

SHEET = 1_500_000
"""Bytes of all small pictures together."""

_SIDES = (64, 48, 32, 24, 16)  # pixels of a small picture, as long as the sheet allows
_TRIED = 64  # pictures that tell what all of them will weigh
_FEW = 4  # values of a factor that are told apart by colour, rather than by brightness
_COLUMNS = 24  # columns of a table that points are coloured by
_VALUES = 250_000


def sheet(pixels: Pixels, x: Tensor, context: Tensor | None) -> dict[str, Any] | None:
    """Pictures side by side in one PNG file, as large and as many as fit into `SHEET` bytes.

    Args:
        pixels: how data become pictures.
        x: the data, (N, *shape).
        context: their conditions, where the data are parts of whole pictures.
    """
    whole = pixels.assemble(x, context).detach().float().reshape(len(x), *pixels.shape)
    whole = ((whole - pixels.low) / ((pixels.high - pixels.low) or 1.0)).clamp(0, 1).cpu()
    count = len(whole)
    for side in _SIDES:
        tiles = _shrunk(whole[:_TRIED], side)
        each = len(_sheet(tiles, _across(len(tiles)))) / len(tiles)
        if each * count <= 0.9 * SHEET or side == _SIDES[-1]:
            break
    count = min(count, max(1, int(0.9 * SHEET / each)))
    while count:
        tiles = _shrunk(whole[:count], side)
        whole_sheet = _sheet(tiles, _across(count))
        if len(whole_sheet) <= SHEET:
            return {
                "png": "data:image/png;base64," + base64.b64encode(whole_sheet).decode("ascii"),
                "width": tiles.shape[3],
                "height": tiles.shape[2],
                "across": _across(count),
                "count": count,
            }
        count //= 2
    return None


def _shrunk(pictures: Tensor, side: int) -> Tensor:
    height, width = pictures.shape[2:]
    shrink = min(1.0, side / max(height, width))
    if shrink < 1:
        size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
        pictures = torch.nn.functional.interpolate(pictures, size, mode="area")
    return (pictures * 255).round().to(torch.uint8)


def _across(count: int) -> int:
    return math.ceil(math.sqrt(count))


def _sheet(tiles: Tensor, across: int) -> bytes:
    count, channels, height, width = tiles.shape
    down = -(-count // across)
    canvas = torch.zeros(down * across, channels, height, width, dtype=torch.uint8)
    canvas[:count] = tiles
    whole = canvas.view(down, across, channels, height, width).permute(2, 0, 3, 1, 4)
    return png(whole.reshape(channels, down * height, across * width))


def values(spec: Spec, x: Tensor) -> dict[str, Any]:
    """The first data as numbers, as many as are not too much."""
    rows = max(1, min(len(x), _VALUES // spec.dimensions))
    first = x[:rows]
    return pack(first.round().int() if spec.kind == "categorical" else first.float())


def colours(spec: Spec, batch: dict[str, Tensor]) -> list[dict[str, Any]]:
    """What is known of every datum: its label, its factors, its parameters, its columns.

    Unknown labels are -1, unknown parameters NaN.
    """
    found: list[dict[str, Any]] = []
    y = batch.get("y")
    if y is not None and y.dim() == 1 and bool((y >= 0).any()):
        names = spec.class_labels(int(y.max()) + 1)
        found.append({"name": "label", "kind": "class", "values": pack(y.int()), "names": names})
    if spec.factors and "factors" in batch:
        for column, (name, count) in enumerate(spec.factors.items()):
            level = batch["factors"][:, column]
            if count > _FEW:
                found.append({"name": name, "kind": "number", "values": pack(level.float())})
            elif count > 1:
                numbers = [str(k) for k in range(count)]
                found.append({"name": name, "kind": "class", "values": pack(level.int()), "names": numbers})
    if spec.theta and "theta" in batch:
        for column, name in enumerate(spec.theta):
            found.append({"name": name, "kind": "number", "values": pack(batch["theta"][:, column].float())})
    if spec.columns and len(spec.shape) == 1 and len(spec.columns) <= _COLUMNS:
        rows = original_units(spec, batch["x"].double())
        for column, name in enumerate(spec.columns):
            found.append({"name": name, "kind": "number", "values": pack(rows[:, column].float())})
    return found


def plane(means: Tensor) -> dict[str, Any]:
    """The map: two latents as they are, of more the two principal components of the posterior means.

    Args:
        means: (N, K).
    """
    table = means.double().cpu().numpy()
    size = table.shape[1]
    if size <= 2:
        components, centre = np.eye(2, size), np.zeros(size)
        return _plane("pair" if size == 2 else "pca", [0, 1] if size == 2 else None, components, centre)
    return _plane("pca", None, principal(table)[0], table.mean(0))


def _plane(kind: str, axes: list[int] | None, components: Any, centre: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "axes": axes,
        "components": pack(torch.from_numpy(np.ascontiguousarray(components)).float()),
        "centre": pack(torch.from_numpy(centre).float()),
    }
