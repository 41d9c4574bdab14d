"""From the name of a set, a path or an array to training, validation and test data."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from vaekit.data.batch import Data, Splits
from vaekit.data.catalogue import ENTRIES, key_of
from vaekit.data.fields import LAWS, fields_like, load_fields
from vaekit.data.ground import ground_truth_of, load_ground_truth, named_by
from vaekit.data.labels import known_labels
from vaekit.data.named import read_named
from vaekit.data.pairs import paired
from vaekit.data.prepare import Treatment, nature_of, quadrant_order
from vaekit.data.raw import Binarise, Original, Raw, check_size, integer_labels, read
from vaekit.data.spec import Kind, Pairs, Spec
from vaekit.data.splitting import Context, Prepared, prepare
from vaekit.errors import UserError, arguments_of

MEMORY = 2 << 30
"""Bytes above which a file or a folder is streamed from disk instead of kept in memory."""


def load(
    source: Original,
    *,
    size: int | None = None,
    channels: int | None = None,
    binarise: Binarise = "auto",
    context: Context = "none",
    seed: int = 0,
    limit: int | None = None,
    labels: str | ArrayLike | None = None,
    drop: Sequence[str] = (),
    labelled: int | None = None,
    labelled_seed: int = 0,
    kind: Kind | None = None,
    standardise: bool = True,
    spacing: int | None = None,
    placements: int | None = None,
    pairs: Pairs | None = None,
    memory: int = MEMORY,
) -> Splits:
    """Training, validation and test data of a named set, a file, a folder of pictures, or an array.

    Official test sets are kept, and validation data are a seeded part of the training set. Without an
    official split, a seeded tenth each is for validation and test. Nothing is rescaled without being said in
    `spec.note`. Ground truth (dSprites, XYSquares, ...) trains on its whole grid of factors, as is usual;
    validation and test are seeded samples of it.

    Args:
        source: a name of `vaekit list data` (write ./mnist for a folder of such a name); a path to .npy, .npz
            (`x`, `y`, `c`), .csv, .tsv, .parquet or a folder of pictures; an array or tensor (N, ...); or a
            tuple (x, y) or (x, y, c).
        size: side in pixels that images get: pictures by central square and Lanczos, arrays averaged by area.
        channels: 1 (grey) or 3 (colour).
        binarise: "dynamic" draws pixels with the grey level as probability, anew in every training batch and
            once for validation and test; "threshold" sets those of at least one half; "none" keeps the
            values; "auto" is dynamic for digits, mnist and omniglot, none for all others.
        context: what the condition `c` is: nothing (or the `c` of the source), the label as one-hot vector,
            or the visible quadrants of the picture, with `x` the pixels that are to be predicted.
        seed: of the split.
        limit: keep only the first so many data of each split, for quick tries (of ground truth a random
            sample).
        labels: name of the label column of a table, or the labels (N,) themselves; -1 stands for a label that
            is unknown.
        drop: names of columns of a table that are left out; they may hold anything.
        labelled: number of training data that keep their label, equally many of every class, or their
            parameters theta; those of all others are hidden. Validation and test data keep theirs.
        labelled_seed: of that choice.
        kind: what the values are; inferred by default. Values that contradict it are refused. Binary ground
            truth may be taken as unit or real, and unit as real.
        standardise: subtract from each column of a real table (each channel of darcy) its training mean and
            divide by its standard deviation; the constants are kept in the spec.
        spacing: pixels between neighbouring places of a square in xysquares and its relatives; squares closer
            than their size overlap.
        placements: places of a square along each axis.
        pairs: give every datum of ground truth a partner, in which this many factors are drawn anew and all
            others are the same; "uniform" draws their number for each pair, 1 to all but one.
        memory: bytes above which a file or folder is streamed from disk.

    Raises:
        UserError: for data, a file or an option that cannot be used.

    >>> splits = load("digits")
    >>> splits.spec.shape, splits.spec.kind, len(splits.train), len(splits.valid), len(splits.test)
    ((1, 8, 8), 'binary', 1437, 180, 180)
    """
    found = prepared(
        source, size=size, channels=channels, binarise=binarise, context=context, seed=seed, limit=limit,
        labels=labels, drop=drop, labelled=labelled, labelled_seed=labelled_seed, kind=kind,
        standardise=standardise, spacing=spacing, placements=placements, pairs=pairs, memory=memory,
    )  # fmt: skip
    return found if isinstance(found, Splits) else found.splits(memory)


def prepared(
    source: Original,
    *,
    size: int | None,
    channels: int | None,
    binarise: Binarise,
    context: Context,
    seed: int,
    limit: int | None,
    labels: str | ArrayLike | None,
    drop: Sequence[str],
    labelled: int | None,
    labelled_seed: int,
    kind: Kind | None,
    standardise: bool,
    spacing: int | None,
    placements: int | None,
    pairs: Pairs | None,
    memory: int,
) -> Prepared | Splits:
    """A set that was read and split, before its data are built; of a generated set, the data themselves.

    Takes the arguments of `load`.

    Raises:
        UserError: see `load`.
    """
    _check_options(binarise, context, kind, limit)
    if labelled is None and labelled_seed:
        raise UserError(f"`labelled_seed` is {labelled_seed}, but no labels are hidden: give `labelled` too")
    name = _known(source)
    if name is not None and ENTRIES[name].factors:
        _refuse_drop(drop, name)
        if labels is not None or labelled is not None or context == "labels":
            raise UserError(
                f"{name} has factors, no labels; expected no `labels`, no `labelled` and another `context`"
            )
        if pairs is not None and context != "none":
            raise UserError(
                f"partners are whole pictures; got `pairs` {pairs!r} and `context` {context!r}: leave one out"
            )
        splits = load_ground_truth(
            name, _path(source), spacing=spacing, placements=placements, size=size, channels=channels,
            binarise=binarise, context=context, seed=seed, limit=limit, kind=kind,
        )  # fmt: skip
        if pairs is None:
            return splits
        with arguments_of(f"the data options of {name}"):
            return paired(splits, ground_truth_of(splits), pairs)
    if pairs is not None:
        raise UserError(
            f"`pairs` is {pairs!r}, but {name or 'this source'} has no known factors that two data could "
            "share: leave it out, or take ground truth, such as dsprites"
        )
    if spacing is not None or placements is not None:
        raise UserError("`spacing` and `placements` are for xysquares and its relatives: leave them out")
    if name in LAWS:
        _refuse_drop(drop, name)
        return load_fields(
            name, size, channels, context, seed, limit, kind, labels, binarise, labelled, labelled_seed,
            standardise,
        )  # fmt: skip
    raw = _read(name, source, size, channels, labels, memory, drop)
    return prepare(
        raw, binarise=binarise, context=context, seed=seed, limit=limit, labelled=labelled,
        labelled_seed=labelled_seed, kind=kind, standardise=standardise,
    )  # fmt: skip


def _refuse_drop(drop: Sequence[str], name: str) -> None:
    if drop:
        raise UserError(f"{name} has no named columns; got `drop` = {tuple(drop)}: leave it out")


def load_like(
    source: Original,
    spec: Spec,
    *,
    size: int | None = None,
    channels: int | None = None,
    labels: str | ArrayLike | None = None,
    limit: int | None = None,
    memory: int = MEMORY,
) -> Data:
    """All data of a source, treated as the set of a known spec was: size, scaling, kind, conditions.

    Of a set with an official split it is the test set. Columns of a table are found by their names. Folders
    of pictures and named sets get the size and channels of the spec; an array must have them, or be told to.

    Args:
        source: as for `load`.
        spec: of the data that a model was trained on.
        size, channels: as for `load`.
        labels: as for `load`.
        limit: only the first so many data.
        memory: as for `load`.

    Raises:
        UserError: if the data do not fit the spec.
    """
    _check_options("auto", "none", None, limit)
    name = _known(source)
    picture = spec.picture or spec.shape
    task: Context = "none" if spec.quadrants is None else _QUADRANTS[spec.quadrants]
    if name is not None and ENTRIES[name].factors:
        if labels is not None:
            raise UserError(f"{name} has factors, no labels; expected no `labels`")
        kind = None if spec.kind == "binary" else spec.kind
        found = load_ground_truth(name, _path(source), context=task, limit=limit, kind=kind).train
        _same_shape(found.spec, spec)
        return found
    if name in LAWS:
        return fields_like(name, spec, limit)
    image = len(picture) == 3 and picture[0] in (1, 3)
    square = picture[1] if image and picture[1] == picture[2] else None
    if name is not None or (isinstance(source, str | Path) and Path(source).expanduser().is_dir()):
        size, channels = size or square, channels or (picture[0] if image else None)
    raw = _read(name, source, size, channels, labels, memory, only=spec.columns)
    raw = raw.test or raw
    if spec.columns is not None and raw.columns is not None:
        _select_columns(raw, spec.columns)
    if raw.shape != picture:
        raise UserError(f"{raw.name} holds data of shape {raw.shape}; expected {picture}, as in {spec.name}")
    nature = nature_of(raw, spec.kind, spec.binarised or "none")
    if spec.levels and spec.kind in ("unit", "categorical") and (nature.levels or 0) > spec.levels:
        raise UserError(f"{raw.name} holds {nature.levels} levels; expected {spec.levels}, as in {spec.name}")
    if raw.y is not None:
        _match_classes(raw, spec)
    rows = np.arange(len(raw.x), dtype=np.int64)[:limit]
    levels = spec.levels if spec.kind == "categorical" else nature.levels
    labelled = known_labels(raw.y, rows)
    known = replace(spec, name=raw.name, size=len(rows), levels=levels, labelled=labelled, pairs=None)
    one_hot = spec.context is not None and spec.quadrants is None and raw.c is None
    order, visible = (
        (None, 0) if spec.quadrants is None else quadrant_order(raw.name, picture, spec.quadrants)
    )
    return Treatment(known, nature, order, visible, one_hot).build(raw, rows, train=False, memory=memory)


_QUADRANTS: dict[int, Context] = {1: "quadrant1", 2: "quadrant2", 3: "quadrant3"}


def _check_options(binarise: str, context: str, kind: str | None, limit: int | None) -> None:
    for option, value, choices in (
        ("binarise", binarise, get_args(Binarise)),
        ("context", context, get_args(Context)),
        ("kind", kind, (None, *get_args(Kind))),
    ):
        if value not in choices:
            raise UserError(
                f"`{option}` is {value!r}; expected one of {', '.join(str(c) for c in choices if c)}"
            )
    if limit is not None and limit < 1:
        raise UserError(f"`limit` is {limit}; expected 1 or more data in each split")


def _known(source: Original) -> str | None:
    """The catalogued name that `source` is, or whose published file it is; None for something else.

    Raises:
        UserError: for a string that is neither a name nor an existing path, with the nearest name.
    """
    if isinstance(source, Path):
        return named_by(source) if source.expanduser().is_file() else None
    if not isinstance(source, str):
        return None
    if (name := key_of(source)) is not None:
        return name
    if (published := named_by(Path(source))) is not None and Path(source).expanduser().is_file():
        return published
    if not Path(source).expanduser().exists():
        near = difflib.get_close_matches(source.lower(), ENTRIES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(
            f"no data {source!r}: {hint}expected one of {', '.join(ENTRIES)}, or the path of a file or folder"
        )
    return None


def _path(source: Original) -> Path | None:
    """The published file that `source` is, or None if it is the name of a set."""
    found = Path(source).expanduser() if isinstance(source, str | Path) else None
    return found if found is not None and named_by(found) is not None else None


def _read(
    name: str | None,
    source: Original,
    size: int | None,
    channels: int | None,
    labels: str | ArrayLike | None,
    memory: int,
    drop: Sequence[str] = (),
    only: Sequence[str] | None = None,
) -> Raw:
    if name is None:
        raw = read(source, size=size, channels=channels, labels=labels, memory=memory, drop=drop, only=only)
    elif labels is not None:
        raise UserError(f"`{name}` has labels of its own; expected no `labels`")
    else:
        _refuse_drop(drop, name)
        check_size(size, channels)
        raw = read_named(name, size=size, channels=channels)
    if raw.y is not None:
        raw.y, raw.class_names = integer_labels(raw.y, len(raw.x), raw.name, raw.class_names)
    return raw


def _select_columns(raw: Raw, columns: tuple[str, ...]) -> None:
    """Bring the columns of a table into the order of a spec."""
    have = raw.columns or ()
    if missing := [name for name in columns if name not in have]:
        raise UserError(
            f"{raw.name} has no column {missing[0]!r}; expected the columns {', '.join(columns[:20])}"
        )
    if not isinstance(raw.x, np.ndarray):
        raise TypeError("a table is an array")
    raw.x = raw.x[:, [have.index(name) for name in columns]]
    raw.columns, raw.shape = columns, (len(columns),)


def _match_classes(raw: Raw, spec: Spec) -> None:
    """Number the labels as the spec does; labels that it does not know are refused."""
    if raw.y is None or spec.classes is None:
        raw.y = None
        return
    if raw.class_names is not None and spec.class_names is not None and raw.class_names != spec.class_names:
        if strange := [name for name in raw.class_names if name not in spec.class_names]:
            raise UserError(
                f"{raw.name} has the label {strange[0]!r}; expected one of {', '.join(spec.class_names[:20])}"
            )
        numbers = np.array([spec.class_names.index(name) for name in raw.class_names])
        raw.y = np.where(raw.y < 0, raw.y, numbers[raw.y])
    if int(raw.y.max()) >= spec.classes:
        raise UserError(f"{raw.name} has the label {int(raw.y.max())}; expected 0..{spec.classes - 1}")


def _same_shape(found: Spec, spec: Spec) -> None:
    if found.shape != spec.shape or spec.kind != found.kind:
        raise UserError(
            f"{found.name} holds {found.kind} data of shape {found.shape}; expected {spec.kind} data "
            f"of shape "
            f"{spec.shape}, as in {spec.name}"
        )
