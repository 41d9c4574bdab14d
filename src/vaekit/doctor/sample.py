"""What the doctor looks at: the values as they are stored, in their order, and which split each row is in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from vaekit.data.batch import Data, Splits
from vaekit.data.catalogue import ENTRIES
from vaekit.data.grids import SAMPLE as GRID_SAMPLE
from vaekit.data.grids import GridData
from vaekit.data.ground import ground_truth_of, named_by
from vaekit.data.kinds import pieces
from vaekit.data.loading import load, prepared
from vaekit.data.pairs import PairData
from vaekit.data.pictures import Pictures
from vaekit.data.raw import Raw
from vaekit.data.spec import Spec
from vaekit.data.splitting import Prepared

Array = NDArray[Any]
T = TypeVar("T")

MOST_ROWS = 200_000
MOST_BYTES = 1 << 27
"""Rows, and bytes in all, that are looked at; of larger sets a seeded sample."""
GENERATED_ROWS = 4_000
"""Points of a grid of factors that are looked at: each has to be drawn."""
TRAIN, VALID, TEST = 0, 1, 2
SPLITS = ("training", "validation", "test")


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of a set, as they are stored, with what is known of them.

    Args:
        spec: of the set.
        x: the values in their own type and units, (n, D), channels first.
        split: `TRAIN`, `VALID` or `TEST` of every row, (n,).
        place: number of every row in its file; -1 in a test set with a file of its own, and where rows have
        no order.
        y: labels, (n,), -1 where unknown.
        sizes: number of training, validation and test data of the whole set.
        source: how the set is named on a command line, or None for arrays in memory.
        options: data options that were given.
        generated: whether the data are the points of a grid of known factors.
        given: type of the values that were given, such as float64.
        seed: of everything that the doctor draws.
        known: what was found out of the sample, so that several checks can use it; see `once`.
    """

    spec: Spec
    x: Array
    split: NDArray[np.int8]
    place: NDArray[np.int64]
    y: NDArray[np.int64] | None
    sizes: tuple[int, int, int]
    source: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    generated: bool = False
    given: str = ""
    seed: int = 0
    known: dict[Callable[[Sample], Any], Any] = field(default_factory=dict, repr=False)

    def once(self, function: Callable[[Sample], T]) -> T:
        """What a function says of this sample, computed at the first call."""
        if function not in self.known:
            self.known[function] = function(self)
        found: T = self.known[function]
        return found

    @property
    def whole(self) -> bool:
        """Whether every datum is looked at."""
        return len(self.x) == sum(self.sizes)

    @property
    def table(self) -> bool:
        """Whether a datum is a row of columns."""
        spec = self.spec
        return len(spec.shape) == 1 and spec.picture is None and spec.vocabulary is None

    @property
    def picture(self) -> tuple[int, ...] | None:
        """(channels, height, width) of an image, or None: a spectrogram is none."""
        if self.spec.sound is not None:
            return None
        shape = self.spec.picture or self.spec.shape
        whole = int(np.prod(shape)) == self.x.shape[1]  # of a prediction task there may be a part alone
        return shape if whole and len(shape) == 3 and shape[0] in (1, 3) else None

    @cached_property
    def train(self) -> NDArray[np.int64]:
        """Numbers of the training rows."""
        return np.flatnonzero(self.split == TRAIN)

    def names(self) -> list[str]:
        """Names of the columns; numbers where they have none."""
        if self.spec.columns is not None:
            return list(self.spec.columns)
        return [f"column {k}" for k in range(self.x.shape[1])]

    @property
    def width(self) -> int:
        """Number of values in a row as a network sees it."""
        return int(self.x.shape[1]) * (1 if self.spec.vocabulary is None else len(self.spec.vocabulary))

    def some(self, rows: NDArray[np.int64], most: int, stream: int) -> NDArray[np.int64]:
        """At most so many of the rows, drawn by the seed, in their order."""
        if len(rows) <= most:
            return rows
        drawn = np.random.default_rng([self.seed, stream]).choice(len(rows), most, replace=False)
        return rows[np.sort(drawn)]

    def seen(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Rows as a network sees them: (len(rows), D), standardised columns, levels over their number, tokens
        one-hot (then D is length x levels)."""
        if self.spec.vocabulary is not None:
            names = np.arange(len(self.spec.vocabulary))
            one_hot = self.x[rows][..., None] == names
            return np.asarray(one_hot.reshape(len(rows), -1), np.float64)
        x = self.x[rows].astype(np.float64)
        if self.spec.offset is not None and self.spec.scale is not None:
            each = x.shape[1] // len(self.spec.offset)  # one constant a column, or a channel
            offset, scale = (np.repeat(np.array(v), each) for v in (self.spec.offset, self.spec.scale))
            return np.asarray((x - offset) / scale)
        top = self.top
        return x if top is None else x / top

    @property
    def top(self) -> float | None:
        """The stored value that a model sees as 1, where levels are divided."""
        levels = self.spec.levels
        grey = self.spec.kind == "unit" or (self.spec.binarised is not None)
        if not grey or levels is None or self.x.dtype.kind == "f":
            return None
        return float(levels - 1)

    def said(self, rows: int, what: str = "training rows") -> str:
        """'1,437 training rows', or '20,000 of 1,000,000 training rows, drawn by seed 0'."""
        total = self.sizes[TRAIN] if what.startswith("training") else sum(self.sizes)
        return f"{rows:,} {what}" if rows >= total else (
            f"{rows:,} of {total:,} {what}, drawn by seed {self.seed}"
        )  # fmt: skip


def take_sample(data: Any, options: Mapping[str, Any], seed: int) -> Sample:
    """The sample of what `vaekit.train` takes.

    Args:
        data: a name, a path, an array or a tuple of them, or `Splits`.
        options: of `vaekit.data.load`.
        seed: of the draw.

    Raises:
        UserError: if the data cannot be loaded.
    """
    if isinstance(data, Splits):
        return _of_splits(data, None, {}, seed)
    bound = inspect.signature(load).bind(data, **options)
    bound.apply_defaults()
    arguments = dict(bound.arguments)
    named = isinstance(data, str | Path) and isinstance(arguments["labels"], str | None)
    source = str(data) if named else None  # as it can be written on a command line
    asked = arguments["limit"]
    if asked is None and isinstance(data, str | Path):
        arguments["limit"] = _few_points(str(data))
    found = prepared(arguments.pop("source"), **arguments)
    if isinstance(found, Prepared):
        return of_prepared(found, source, options, seed)
    return _of_splits(found, source, options, seed, limited=asked is not None)


def _few_points(source: str) -> int | None:
    """How many points of a grid are drawn; no limit for everything else."""
    name = source.lower().replace("-", "_")
    known = name if name in ENTRIES else named_by(Path(source))
    return GENERATED_ROWS if known is not None and ENTRIES[known].factors else None


def of_prepared(found: Prepared, source: str | None, options: Mapping[str, Any], seed: int) -> Sample:
    """The sample of a set whose rows are known."""
    raw, rows = found.raw, found.rows
    sizes = (len(rows[0]), len(rows[1]), len(rows[2]))
    each = int(np.prod(raw.shape)) * (1 if isinstance(raw.x, Pictures) else raw.x.dtype.itemsize)
    share = min(1.0, MOST_ROWS / sum(sizes), MOST_BYTES / (each * sum(sizes)))
    draw = np.random.default_rng([seed, 0])
    values, split, place, labels = [], [], [], []
    for number, own in enumerate(rows):
        kept = own
        if share < 1:
            kept = draw.choice(own, max(1, round(share * len(own))), replace=False)
        kept = np.sort(kept)
        apart = number == TEST and raw.test is not None
        part = raw.test if apart and raw.test is not None else raw
        values.append(_rows_of(part, kept))
        split.append(np.full(len(kept), number, np.int8))
        place.append(np.full(len(kept), -1, np.int64) if apart else kept)
        labels.append(None if part.y is None else part.y[kept])
    known = [part for part in labels if part is not None]
    return Sample(
        spec=found.treatment.spec,
        x=np.concatenate(values),
        split=np.concatenate(split),
        place=np.concatenate(place),
        y=np.concatenate(known).astype(np.int64) if len(known) == 3 else None,
        sizes=sizes,
        source=source,
        options=options,
        given=str(np.dtype(np.uint8) if isinstance(raw.x, Pictures) else raw.x.dtype),
        seed=seed,
    )


def _rows_of(raw: Raw, rows: NDArray[np.int64]) -> Array:
    """Rows as they are stored, (len(rows), D), channels first."""
    if isinstance(raw.x, Pictures):
        return raw.x.read(rows).reshape(len(rows), -1)
    parts = []
    for begin, part in pieces(np.broadcast_to(0, (len(rows), *raw.x.shape[1:]))):
        found = raw.x[rows[begin : begin + len(part)]]
        parts.append((found if raw.axes is None else found.transpose(raw.axes)).reshape(len(part), -1))
    return np.concatenate(parts)


def _of_splits(
    splits: Splits, source: str | None, options: Mapping[str, Any], seed: int, limited: bool = True
) -> Sample:
    """The sample of data that are already built: values as a model sees them, in original units."""
    parts = (splits.train, splits.valid, splits.test)
    spec = splits.spec
    generated = isinstance(splits.train, GridData | PairData)
    sizes = (len(parts[0]), len(parts[1]), len(parts[2]))
    if generated and not limited:  # what a training would see
        world = ground_truth_of(splits)
        points = len(world.grid)
        held = points if points < 3 * GRID_SAMPLE else GRID_SAMPLE
        sizes, spec = (points, held, held), replace(spec, size=points, note=world.spec.note)
    most = GENERATED_ROWS if generated else MOST_ROWS
    share = min(1.0, most / sum(map(len, parts)), MOST_BYTES / (4 * spec.dimensions * sum(map(len, parts))))
    values, split, place, labels = [], [], [], []
    draw = np.random.default_rng([seed, 0])
    for number, part in enumerate(parts):
        rows = np.arange(len(part))
        if generated and number != TRAIN:  # the same grid again
            rows = rows[:0]
        elif share < 1:
            rows = np.sort(draw.choice(rows, max(1, round(share * len(rows))), replace=False))
        x, y = _taken(part, rows, seed)
        values.append(x)
        split.append(np.full(len(rows), number, np.int8))
        place.append(np.where(number == TRAIN and not generated, rows, -1))
        labels.append(y)
    known = [y for y in labels if y is not None]
    return Sample(
        spec=spec,
        x=np.concatenate(values),
        split=np.concatenate(split),
        place=np.concatenate(place).astype(np.int64),
        y=np.concatenate(known) if len(known) == 3 else None,
        sizes=sizes,
        source=source,
        options=options,
        generated=generated,
        given="float32",
        seed=seed,
    )


def _taken(data: Data, rows: NDArray[np.int64], seed: int) -> tuple[Array, NDArray[np.int64] | None]:
    spec, parts, labels = data.spec, [], []
    for begin in range(0, len(rows), 1_000):
        batch = data.take(torch.from_numpy(rows[begin : begin + 1_000]), seed=seed)
        parts.append(batch["x"].flatten(1).cpu().numpy())
        if "y" in batch:
            labels.append(batch["y"].cpu().numpy())
    x = np.concatenate(parts) if parts else np.empty((0, spec.dimensions), np.float32)
    if spec.offset is not None and spec.scale is not None and len(x):
        each = x.shape[1] // len(spec.offset)
        x = x * np.repeat(np.array(spec.scale), each) + np.repeat(np.array(spec.offset), each)
    y = np.concatenate(labels) if labels else (np.empty(0, np.int64) if not len(rows) else None)
    return x, y
