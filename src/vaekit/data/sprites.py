"""dSprites as data: the whole factor grid in bits, or a sample of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import ArrayLike

from vaekit.data import dsprites
from vaekit.data.batch import Splits, shuffled
from vaekit.data.grids import PackedGrid
from vaekit.data.prepare import Nature, Rows, treat
from vaekit.data.raw import Raw
from vaekit.data.spec import Kind, Spec
from vaekit.errors import UserError

_GRID_SAMPLE = 10_000  # grid points for each of validation and test
_ANY = 1 << 62  # arrays that are in memory already have no limit


def load_dsprites(
    size: int | None,
    channels: int | None,
    context: str,
    seed: int,
    limit: int | None,
    kind: Kind | None,
    labels: str | ArrayLike | None,
) -> Splits:
    """The sprites: the whole grid for training, or `limit` random points of it; see `vaekit.data.load`.

    Raises:
        UserError: for an option that these images do not have.
    """
    if size not in (None, dsprites.SIDE) or channels not in (None, 1) or kind not in (None, "binary"):
        raise UserError(
            f"dsprites is drawn as binary images of 64x64 with one channel; got `size` = {size}, "
            f"`channels` = "
            f"{channels}, `kind` = {kind!r}: leave them out"
        )
    if context == "labels" or labels is not None:
        raise UserError("dsprites has factors, no labels; expected no `labels` and another `context`")
    order = shuffled(dsprites.COUNT, seed)
    valid, test = order[-_GRID_SAMPLE:][:limit], order[-2 * _GRID_SAMPLE : -_GRID_SAMPLE][:limit]
    sample = f"validation and test: {len(valid)} grid points each by seed {seed}"
    whole = f"drawn from its rule; training: the whole factor grid, without a split, as is usual; {sample}"
    part = f"drawn from its rule; training: {limit} random grid points by seed {seed}; {sample}"
    if context != "none":
        if limit is None:
            raise UserError(
                f"dsprites with `context` = {context!r} is kept in memory: give `limit`, such as 50000"
            )
        return _dsprites_quadrants((order[:limit], valid, test), context, part)
    spec = Spec(
        "dsprites",
        (1, dsprites.SIDE, dsprites.SIDE),
        "binary",
        dsprites.COUNT if limit is None else min(limit, dsprites.COUNT),
        factors=dict(dsprites.FACTORS),
        note=whole if limit is None else part,
    )
    if limit is None:
        grid = PackedGrid(spec, torch.from_numpy(dsprites.packed_grid()))
        return Splits(grid, grid.subset(torch.from_numpy(valid)), grid.subset(torch.from_numpy(test)))
    parts = (order[:limit], valid, test)
    grids = [
        PackedGrid(spec, torch.from_numpy(dsprites.packed_images(p)), torch.from_numpy(p)) for p in parts
    ]
    return Splits(*grids)


def _dsprites_quadrants(points: tuple[Rows, Rows, Rows], context: str, note: str) -> Splits:
    raws = [Raw("dsprites", dsprites.dsprites_images(p), factors=dsprites.factors_of(p)) for p in points]
    for raw in raws:
        raw.arrange(None, None)
        raw.notes = []
    rows = [np.arange(len(p), dtype=np.int64) for p in points]
    nature = Nature("binary", None, np.dtype(np.uint8))
    made = treat(raws[0], rows[0], nature, context=context, standardise=False, notes=[note])
    made = replace(made, spec=replace(made.spec, factors=dict(dsprites.FACTORS)))
    return Splits(*(made.build(raw, r, train=False, memory=_ANY) for raw, r in zip(raws, rows, strict=True)))
