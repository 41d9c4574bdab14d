"""dSprites without its file: the published images, drawn again from their five factors.

A sprite is a polygon: its outline at scale 1 is rotated by -theta, scaled and moved to its centre; vertices
    are
rounded to 1/256 pixel, as a graphics card does; a pixel is on where its centre lies inside by the even-odd
rule, without smoothing. With the pixel rows as 64-bit words the even-odd fill is one exclusive-or per
crossing: a crossing at column k flips all pixels from k to the right edge.

Of the 64,834 distinct published images that are at hand for comparison, 64,825 are equal bit for bit and 9
differ in one pixel (rounding of the renderer that drew the originals).

References:
    dSprites: Disentanglement testing Sprites dataset. Matthey, Higgins, Hassabis, Lerchner, 2017.
    https://github.com/google-deepmind/dsprites-dataset
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FACTORS: dict[str, int] = {"shape": 3, "scale": 6, "orientation": 40, "position_x": 32, "position_y": 32}
"""Factor name -> number of values; an index runs over the grid with the last factor fastest."""

SIDE = 64
COUNT = 3 * 6 * 40 * 32 * 32
_OUTLINES = 3 * 6 * 40
_RADIUS = 9.6
_SUBPIXEL = 256.0
_VERTICES = 150

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@cache
def _outlines() -> Floats:
    """Vertices of all outlines around the origin: (shape * scale * orientation, vertex, xy), y pointing down.

    Shapes with fewer vertices repeat their last one; an edge of no height crosses no row.
    """
    square = _RADIUS * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    t = 2 * np.pi * np.arange(100) / 100
    ellipse = np.stack((1.33 * _RADIUS * np.cos(t), _RADIUS * np.sin(t) / 1.33), axis=1)
    t = 2 * np.pi * np.arange(_VERTICES) / _VERTICES
    up = (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 14.5 + 0.15
    heart = _RADIUS * np.stack((np.sin(t) ** 3, -up), axis=1)
    shapes = np.stack(
        [np.concatenate((s, np.repeat(s[-1:], _VERTICES - len(s), 0))) for s in (square, ellipse, heart)]
    )
    theta = 2 * np.pi * np.arange(40) / 39
    cos, sin = np.cos(theta), np.sin(theta)
    rotation = np.stack((np.stack((cos, sin), 1), np.stack((-sin, cos), 1)), 1)  # (orientation, row, column)
    scale = 0.5 + 0.1 * np.arange(6)
    turned: Floats = np.einsum("oij,svj->sovi", rotation, shapes)
    return (scale[None, :, None, None, None] * turned[:, None]).reshape(_OUTLINES, _VERTICES, 2)


def _placed(vertices: Floats, position: NDArray[Any]) -> Floats:
    """One coordinate of the vertices, moved to `position` in 0..31 and rounded to the sub-pixel grid."""
    return np.rint((vertices + (16 + 32 * position / 31)) * _SUBPIXEL) / _SUBPIXEL


class _Crossings(NamedTuple):
    """Where edges cross the centre lines of pixel rows, sorted by row of an image."""

    group: Integers
    edge: Integers
    down: Floats  # from the first vertex of the edge to the centre line
    height: Floats  # from the first vertex of the edge to the second
    start: Integers  # first crossing of each row that has any
    row: Integers  # group * SIDE + row, for each of `start`


def _crossings(y: Floats) -> _Crossings:
    """All (image, edge, row) with y < centre for exactly one end of the edge. `y`: (group, vertex)."""
    after = np.roll(y, -1, axis=1)
    low = np.floor(np.minimum(y, after) - 0.5).astype(np.int64) + 1
    count = np.floor(np.maximum(y, after) - 0.5).astype(np.int64) + 1 - low
    group, edge = np.nonzero(count)
    each = count[group, edge]
    first = np.cumsum(each) - each
    row = np.arange(each.sum()) + np.repeat(low[group, edge] - first, each)
    group, edge = np.repeat(group, each), np.repeat(edge, each)
    order = np.argsort(group * SIDE + row, kind="stable")
    group, edge, row = group[order], edge[order], row[order]
    key = group * SIDE + row
    start = np.flatnonzero(np.diff(key, prepend=-1))
    begin = y[group, edge]
    return _Crossings(group, edge, row + 0.5 - begin, after[group, edge] - begin, start, key[start])


_RIGHT_OF = np.array([(1 << SIDE) - (1 << k) for k in range(SIDE + 1)], dtype=np.uint64)  # bit k is column k


def _fill(x: Floats, width: Floats, crossings: _Crossings) -> NDArray[np.uint64]:
    """Words of the rows `crossings.row`. `x`, `width` of the crossed edges: (..., crossing)."""
    # The product is exact (both factors are multiples of 1/256), so ties at pixel centres stay ties.
    cut = np.ceil(x + crossings.down * width / crossings.height - 0.5).astype(np.int64)
    flips = _RIGHT_OF[np.clip(cut, 0, SIDE)]
    words: NDArray[np.uint64] = np.bitwise_xor.reduceat(flips, crossings.start, axis=-1)
    return words


def _bytes(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Words as bytes: (image, 64) -> (image, 512); bit k of byte j is pixel 8 j + k, row by row."""
    return words.astype("<u8", copy=False).view(np.uint8).reshape(-1, SIDE * SIDE // 8)


def factors_of(index: ArrayLike) -> Integers:
    """Factor values of grid points: (N,) -> (N, 5), in the order of `FACTORS`."""
    return np.stack(np.unravel_index(_checked(index), tuple(FACTORS.values())), axis=1).astype(np.int64)


def index_of(factors: ArrayLike) -> Integers:
    """Grid points of factor values: (N, 5) -> (N,), the inverse of `factors_of`."""
    columns = tuple(np.asarray(factors, dtype=np.int64).T)
    return np.array(np.ravel_multi_index(columns, tuple(FACTORS.values())), dtype=np.int64)


def _checked(index: ArrayLike) -> Integers:
    values = np.asarray(index)
    if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):
        raise TypeError(f"`index` has shape {values.shape} and type {values.dtype}; expected integers (N,)")
    if values.size and not (values.min() >= 0 and values.max() < COUNT):
        wrong = values[(values < 0) | (values >= COUNT)][0]
        raise ValueError(f"`index` holds {wrong}; expected values in 0..{COUNT - 1}")
    return values.astype(np.int64)


def packed_images(index: ArrayLike) -> NDArray[np.uint8]:
    """Images of the given grid points as bits: (N,) -> (N, 512) uint8."""
    points = _checked(index)
    result = np.zeros((len(points), SIDE), dtype=np.uint64)
    for begin in range(0, len(points), 512):  # bounds the memory of the crossings
        part = points[begin : begin + 512]
        outline, where = np.divmod(part, 32 * 32)
        vertices = _outlines()[outline]
        x = _placed(vertices[..., 0], (where // 32)[:, None])
        y = _placed(vertices[..., 1], (where % 32)[:, None])
        c = _crossings(y)
        start = x[c.group, c.edge]
        words = _fill(start, np.roll(x, -1, axis=1)[c.group, c.edge] - start, c)
        result[begin : begin + 512].reshape(-1)[c.row] = words
    return _bytes(result)


def packed_grid() -> NDArray[np.uint8]:
    """All 737,280 images in the order of their index, as bits: (N, 512) uint8, 377 MB."""
    result = np.zeros((_OUTLINES, 32, 32 * SIDE), dtype=np.uint64)  # outline, x, (y, row)
    position = np.arange(32)[:, None]
    for outline, vertices in enumerate(_outlines()):
        # The rows that an edge crosses depend on y alone, so one list of crossings serves 32 positions in x.
        c = _crossings(_placed(vertices[:, 1], position))
        x = _placed(vertices[:, 0], position)
        start = x[:, c.edge]
        result[outline][:, c.row] = _fill(start, np.roll(x, -1, axis=1)[:, c.edge] - start, c)
    return _bytes(result)


def dsprites_images(index: ArrayLike) -> NDArray[np.uint8]:
    """Images of the given grid points.

    Args:
        index: grid points, (N,) integers in 0..737279; see `index_of` for factors.

    Returns:
        Pixels in {0, 1}: (N, 64, 64) uint8, rows from the top.

    Raises:
        ValueError: for an index outside the grid.
    """
    packed = packed_images(index)
    return np.unpackbits(packed, axis=1, bitorder="little").reshape(-1, SIDE, SIDE)
