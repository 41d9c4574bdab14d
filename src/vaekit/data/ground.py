"""Ground truth by name, for training, for measures and for studies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from vaekit.data import files
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Data, Splits
from vaekit.data.catalogue import ENTRIES
from vaekit.data.factors import FactorData, Stored
from vaekit.data.grids import GridData, grid_splits
from vaekit.data.pairs import PairData
from vaekit.data.prepare import Nature, treat
from vaekit.data.raw import Raw
from vaekit.data.spec import Kind, Spec
from vaekit.data.sprites import VARIANTS, Sprites, SpriteVariant, scream_picture
from vaekit.errors import UserError, arguments_of, nearest

_IN_MEMORY = 2 << 30  # bytes of pictures that may be cut into quadrants


def ground_truth(
    name: str,
    *,
    path: str | Path | None = None,
    spacing: int | None = None,
    placements: int | None = None,
) -> FactorData:
    """Data that are made from known factors, by name; `vaekit list data` says which there are.

    Sets that are not drawn come from the files of their authors, which are looked up in $VAEKIT_DATA, then in
    the cache. dSprites and its variants are taken from the published file where it is there, and else drawn;
    nine of the 64,834 images that could be compared differ, by one pixel.

    Args:
        name: of the set.
        path: the file or folder, where it is not in its place; of "scream_dsprites" the picture.
        spacing: pixels between neighbouring places of a square; below its size (8 in xysquares) they overlap.
        placements: places along each axis.

    Raises:
        UserError: for an unknown name, an option that the set does not have, or files that are not there or
            broken.

    >>> data = ground_truth("xysquares", spacing=4)
    >>> data.grid
    Grid({'x_R': 8, 'y_R': 8, 'x_G': 8, 'y_G': 8, 'x_B': 8, 'y_B': 8})
    """
    known = [key for key, entry in ENTRIES.items() if entry.factors]
    key = name.lower().replace("-", "_")
    if key not in known:
        raise UserError(f"there is no ground truth {name!r}{nearest(key, known)}")
    entry = ENTRIES[key]
    if path is not None and entry.brought is None:
        raise UserError(f"{key} is drawn from its rule; got `path` = {str(path)!r}: leave it out")
    options = {"spacing": spacing, "placements": placements}
    for option, value in options.items():
        if value is not None and option not in entry.options:
            raise UserError(f"{key} has no `{option}`; got {value}: leave it out")
    given = None if path is None else Path(path).expanduser()
    if given is not None and not given.exists():
        raise UserError(f"{given} does not exist; expected the published files of {key}")
    with arguments_of(f"the options of {key}"):
        if entry.brought is None:
            return _drawn(key, **options)
        return _sprites(key, given) if key.endswith("dsprites") else _read(key, given or files.brought(key))


def ground_truth_of(data: Data | Splits) -> FactorData:
    """The ground truth that data were taken from, such as the data of a run.

    Raises:
        UserError: if their factors are not known.
    """
    part = data.train if isinstance(data, Splits) else data
    if isinstance(part, PairData):
        return part.world
    if isinstance(part, GridData):
        return part.source
    if isinstance(part, ArrayData) and part.factors is not None:
        try:
            return Stored(part)
        except ValueError as error:
            raise UserError(f"{part.spec.name} is no ground truth: {error}") from None
    raise UserError(f"{part.spec.name} has no known factors; expected ground truth, such as dsprites")


def named_by(path: Path) -> str | None:
    """The set whose published file has the name of this one."""
    for name, entry in ENTRIES.items():
        if entry.brought is not None and entry.brought.file == path.name and path.suffix != ".jpg":
            return name
    return None


def load_ground_truth(
    name: str,
    path: Path | None = None,
    *,
    spacing: int | None = None,
    placements: int | None = None,
    size: int | None = None,
    channels: int | None = None,
    binarise: str = "auto",
    context: str = "none",
    seed: int = 0,
    limit: int | None = None,
    kind: Kind | None = None,
) -> Splits:
    """Ground truth to train on; see `vaekit.data.load`.

    Raises:
        UserError: for an option that these images do not have.
    """
    source = ground_truth(name, path=path, spacing=spacing, placements=placements)
    there = source.spec.shape
    if size not in (None, there[1]) or channels not in (None, there[0]):
        raise UserError(
            f"{name} holds images of {there[1]}x{there[2]} with {there[0]} channels; got `size` = {size}, "
            f"`channels` = {channels}: leave them out"
        )
    if binarise not in ("auto", "none"):
        raise UserError(f"{name} is taken as it is; got `binarise` = {binarise!r}: leave it out")
    splits = grid_splits(source, seed=seed, limit=limit)
    spec = _as_kind(splits.spec, kind)
    parts = [part for part in (splits.train, splits.valid, splits.test) if isinstance(part, GridData)]
    if context != "none":
        return _quadrants(parts, context, spec)
    sprites = source.sprites if isinstance(source, SpriteVariant) else source
    if limit is None and isinstance(sprites, Sprites):
        sprites.whole()  # all of it will be seen: drawn at once it takes a fraction of the time
    return Splits(*(GridData(part.source, part.points, spec) for part in parts))


def _as_kind(spec: Spec, kind: Kind | None) -> Spec:
    """The same values as a wider kind: {0, 1} lies in [0, 1], and both among the real numbers."""
    if kind in (None, spec.kind):
        return spec
    wider: dict[Kind, tuple[Kind, ...]] = {"binary": ("unit", "real"), "unit": ("real",)}
    choices = wider.get(spec.kind, ())
    if kind is None or kind not in choices:
        expected = " or ".join((spec.kind, *choices))
        raise UserError(f"{spec.name} holds {spec.kind} values; got `kind` = {kind!r}: expected {expected}")
    levels = {"binary": 2, "unit": spec.levels}[spec.kind] if kind == "unit" else None
    return replace(spec, kind=kind, levels=levels)


def _quadrants(parts: list[GridData], context: str, spec: Spec) -> Splits:
    """A prediction task, whose data are kept in memory as bytes."""
    top = {"binary": 1, "unit": 255}.get(spec.kind)
    if parts[0].source.noisy or top is None or (spec.kind == "unit" and spec.levels != 256):
        raise UserError(f"{spec.name} is not made of fixed bytes; got `context` = {context!r}: leave it out")
    if len(parts[0]) * spec.dimensions > _IN_MEMORY:
        raise UserError(
            f"{spec.name} with `context` = {context!r} is kept in memory: give `limit`, such as 50000"
        )
    raws = []
    for part in parts:
        batches = list(part.batches(1000, seed=0, shuffle=False))
        x = torch.cat([batch["x"].mul_(top).round_().byte() for batch in batches])
        factors = torch.cat([batch["factors"] for batch in batches])
        raw = Raw(spec.name, x.numpy(), factors=factors.numpy())
        raw.arrange(None, None)
        raw.notes = []
        raws.append(raw)
    nature = Nature(spec.kind, spec.levels, np.dtype(np.uint8))
    rows = [np.arange(len(part), dtype=np.int64) for part in parts]
    made = treat(raws[0], rows[0], nature, context=context, standardise=False, notes=[spec.note])
    made = replace(made, spec=replace(made.spec, factors=spec.factors))
    return Splits(
        *(made.build(raw, r, train=False, memory=_IN_MEMORY) for raw, r in zip(raws, rows, strict=True))
    )


def _drawn(name: str, *, spacing: int | None, placements: int | None) -> FactorData:
    from vaekit.data.squares import Object, Squares
    from vaekit.worlds import mini_sprites, mini_xy

    if name == "mini_sprites":
        return mini_sprites()
    if name == "mini_xy":
        return mini_xy()
    if name in ("xyobject", "xyobject_shaded"):
        return Object(name, spacing=2 if spacing is None else spacing, shaded=name == "xyobject_shaded")
    return Squares(
        name,
        spacing=spacing,
        placements=placements,
        channels=1 if name == "xy_single_square" else 3,
        columns=name == "xcolumns",
    )


def _sprites(name: str, path: Path | None) -> FactorData:
    from vaekit.data.originals import read_dsprites

    picture = None
    if name == "scream_dsprites":
        picture, path = scream_picture(path or files.brought(name)), None
    file = path or files.find_brought("dsprites")
    sprites: FactorData = Sprites() if file is None else read_dsprites(file)
    if name == "dsprites":
        return sprites
    return SpriteVariant(sprites, VARIANTS[name], picture)


def _read(name: str, path: Path) -> FactorData:
    from vaekit.data import originals, resized

    if name == "smallnorb":
        return resized.read_smallnorb(path)
    if name == "cars3d":
        return resized.read_cars3d(path)
    if name == "shapes3d":
        return originals.read_shapes3d(path)
    return originals.read_mpi3d(path, name)
