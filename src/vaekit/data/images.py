"""Images as arrays: the order of their axes, their size, their channels. Imports no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaekit.errors import UserError

Array = NDArray[Any]
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's conversion to grey


def channels_first(shape: tuple[int, ...], name: str) -> tuple[tuple[int, ...], tuple[int, ...] | None, str]:
    """(shape of one datum, permutation of the stored axes or None, note) for an array of this shape.

    (N, H, W) gets one channel; (N, H, W, 1 or 3) is turned channels first; (N, 1 or 3, H, W), tables (N,
    columns) and everything with more axes stay.

    Raises:
        UserError: for an array without data, without columns, or with one axis only.
    """
    if len(shape) < 2:
        remedy = "give a table of one column as (N, 1)"
        raise UserError(
            f"{name} has shape {shape}; expected one datum per row, as (N, columns) or (N, H, W); {remedy}"
        )
    if shape[0] == 0:
        raise UserError(f"{name} is empty: its shape is {shape}; expected rows of data")
    if min(shape) < 1:
        raise UserError(f"{name} has shape {shape}; expected data with one element or more")
    if len(shape) == 3:
        return (1, *shape[1:]), None, ""
    if len(shape) == 4 and shape[1] not in (1, 3) and shape[3] in (1, 3):
        return (shape[3], shape[1], shape[2]), (0, 3, 1, 2), "turned from channels last to channels first"
    return shape[1:], None, ""


def _overlap(before: int, after: int) -> NDArray[np.float32]:
    """(after, before) weights of an average by area: the share of every old pixel in every new one."""
    edges = np.arange(after + 1) * (before / after)
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(before)[None]
    share = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
    weights: NDArray[np.float32] = (share / share.sum(axis=1, keepdims=True)).astype(np.float32)
    return weights


def area_resize(x: Array, size: int) -> Array:
    """Images (N, C, H, W) averaged by area to (N, C, size, size); bytes stay bytes, rounded.

    A new pixel is the mean of the old ones under it, each weighted by the area that they share.
    """
    rows, columns = _overlap(x.shape[2], size), _overlap(x.shape[3], size)
    result = np.empty((*x.shape[:2], size, size), np.uint8 if x.dtype == np.uint8 else np.float32)
    for begin in range(0, len(x), 1024):
        mean = rows @ x[begin : begin + 1024].astype(np.float32) @ columns.T
        result[begin : begin + 1024] = np.rint(mean) if x.dtype == np.uint8 else mean
    return result


def to_channels(x: Array, channels: int) -> Array:
    """Images (N, C, H, W) as grey (channels = 1, by luma) or as colour (3, grey repeated)."""
    if x.shape[1] == channels:
        return x
    if channels == 3:
        return np.repeat(x, 3, axis=1)
    result = np.empty((len(x), 1, *x.shape[2:]), np.uint8 if x.dtype == np.uint8 else np.float32)
    for begin in range(0, len(x), 1024):
        grey = np.einsum("nchw,c->nhw", x[begin : begin + 1024], _LUMA)[:, None]
        result[begin : begin + 1024] = np.rint(grey) if x.dtype == np.uint8 else grey
    return result


def hidden_first(height: int, width: int, channels: int, quadrants: int) -> tuple[NDArray[np.int64], int]:
    """Order of the elements of a flat picture, hidden ones first, and the number of visible ones.

    Visible are the bottom-left quadrant (1), the left half (2), all but the bottom-right quadrant (3); both
    parts keep the order of the picture, channels first, then rows.

    References:
        Learning Structured Output Representation using Deep Conditional Generative Models. Sohn, Lee, Yan,
        2015, section 5.1; quadrants as in the `cvae` example of pyro-ppl/pyro.
    """
    bottom = np.arange(height)[:, None] >= height // 2
    left = np.arange(width)[None] < width // 2
    visible = {1: bottom & left, 2: left & (bottom | ~bottom), 3: left | ~bottom}[quadrants]
    flat = np.broadcast_to(visible, (channels, height, width)).reshape(-1)
    order = np.argsort(flat, kind="stable").astype(np.int64)
    count = int(flat.sum())
    if count in (0, flat.size):
        raise UserError(f"pictures of {height}x{width} have no quadrants; expected 2x2 pixels or more")
    return order, count
