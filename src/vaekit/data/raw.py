"""What a user names or hands over, as arrays: files, folders, arrays in memory."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from vaekit.data.images import area_resize, channels_first, to_channels
from vaekit.data.pictures import Pictures, scan_folder
from vaekit.data.spec import Sound
from vaekit.data.tables import read_table
from vaekit.errors import UserError

Array = NDArray[Any]
Binarise = Literal["auto", "dynamic", "threshold", "none"]
Original = str | Path | Array | Tensor | tuple[Any, ...] | Sequence[Any]


@dataclass
class Raw:
    """A set before anything is inferred from it.

    Args:
        name: of the set.
        x: the values, (N, ...), in memory or mapped; or pictures that are too large for memory.
        shape: of one datum, once the axes are in order.
        axes: permutation that brings the axes of `x` into this order.
        y: labels, (N,), integers or names.
        c: conditions, (N, ...).
        factors: ground-truth factor values, (N, F).
        columns: names of the columns of a table.
        class_names: of integer labels.
        levels: number of levels of bytes, where it is not 256.
        resident: whether the values are to be kept in memory.
        table: whether this is a table, whose numbers are real unless all are 0 or 1.
        notes: what was done so far.
        test: the official test set.
        valid: number of training data that become the validation set, beside an official test set.
        binarise: what "auto" means for this set.
        sound: how spectrograms were made.
        vocabulary: texts of the tokens of sequences.
    """

    name: str
    x: Array | Pictures
    shape: tuple[int, ...] = ()
    axes: tuple[int, ...] | None = None
    y: Array | None = None
    c: Array | None = None
    factors: Array | None = None
    columns: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None
    levels: int | None = None
    resident: bool = True
    table: bool = False
    notes: list[str] = field(default_factory=list)
    test: Raw | None = None
    valid: int = 0
    binarise: Binarise = "none"
    sound: Sound | None = None
    vocabulary: tuple[str, ...] | None = None

    def arrange(self, size: int | None, channels: int | None) -> None:
        """Bring axes, size and channels of images into the order asked for; checks the shape."""
        if isinstance(self.x, Pictures):
            self.shape = self.x.shape
            return
        self.shape, self.axes, note = channels_first(self.x.shape, self.name)
        if note:
            self.notes.append(note)
        image = len(self.shape) == 3 and self.shape[0] in (1, 3)
        sized = size is None or (image and self.shape[1:] == (size, size))
        coloured = channels is None or (image and self.shape[0] == channels)
        if sized and coloured:
            return
        if not image:
            option = "channels" if sized else "size"
            raise UserError(f"{self.name} holds data of shape {self.shape}: `{option}` is for images")
        if not self.resident:
            raise UserError(
                f"{self.name} is larger than memory: resize it before, or leave `size` and `channels` out"
            )
        x = self.x if self.axes is None else self.x.transpose(self.axes)
        x = x.reshape(-1, *self.shape)
        if x.dtype.kind not in "buif":
            raise UserError(f"{self.name}: the values are of type {x.dtype}; expected numbers")
        if channels is not None and not coloured:
            x = to_channels(x, channels)
            self.notes.append(
                "colours turned to grey" if channels == 1 else "grey repeated in three channels"
            )
        if size is not None and not sized:
            self.notes.append(f"resized from {x.shape[2]}x{x.shape[3]} to {size}x{size}, averaged by area")
            if (
                x.dtype == np.uint8 and x.max() <= 1
            ):  # a picture of bits has 256 grey levels once it is averaged
                x = x * np.uint8(255)
            x = area_resize(x, size)
        self.x, self.axes, self.shape = x, None, x.shape[1:]


def check_size(size: int | None, channels: int | None) -> None:
    """Refuse sizes and numbers of channels that no image has.

    Raises:
        UserError: naming the option.
    """
    for name, value, allowed in (("size", size, None), ("channels", channels, (1, 3))):
        if value is not None and (value < 1 or (allowed and value not in allowed)):
            raise UserError(
                f"`{name}` is {value}; expected {'1 or 3' if allowed else 'a number of pixels, 1 or more'}"
            )


def read(
    source: Original,
    *,
    size: int | None,
    channels: int | None,
    labels: str | ArrayLike | None,
    memory: int,
    drop: Sequence[str] = (),
    only: Sequence[str] | None = None,
) -> Raw:
    """The set that `source` stands for; see `vaekit.data.load`. `only`: of a table, the columns wanted."""
    check_size(size, channels)
    if isinstance(source, str | Path):
        raw = _read_path(Path(source).expanduser(), size, channels, labels, memory, drop, only)
    else:
        raw = _read_memory(source, labels)
    if drop and not raw.table:
        raise UserError(
            f"{raw.name} is no table with named columns; got `drop` = {tuple(drop)}: leave it out"
        )
    if labels is not None and not isinstance(labels, str):
        raw.y = _as_array(labels, "labels")
    elif isinstance(labels, str) and not raw.table:
        raise UserError(
            f"{raw.name} is no table: `labels` = {labels!r} names a column; give labels as an array"
        )
    raw.arrange(size, channels)
    return raw


def _as_array(value: Any, name: str) -> Array:
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype == torch.bfloat16 else value
        return np.asarray(value.numpy())
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UserError(f"{name} is no array: {error}") from None
    return array


def _read_memory(source: Any, labels: Any) -> Raw:
    parts = source if isinstance(source, tuple) else (source,)
    if not 1 <= len(parts) <= 3:
        raise UserError(f"a tuple of {len(parts)} was given as data; expected (x, y) or (x, y, c)")
    arrays = [
        None if part is None else _as_array(part, name) for part, name in zip(parts, "xyc", strict=False)
    ]
    arrays += [None] * (3 - len(arrays))
    x, y, c = arrays
    if x is None:
        raise UserError("the data are None; expected an array")
    return Raw("array", x, y=y, c=c)


def _read_path(
    path: Path,
    size: int | None,
    channels: int | None,
    labels: Any,
    memory: int,
    drop: Sequence[str],
    only: Sequence[str] | None,
) -> Raw:
    suffix = path.suffix.lower()
    if path.is_dir():
        return _read_folder(path, size, channels, memory)
    if not path.exists():
        raise UserError(f"{path} does not exist: expected a file, a folder of pictures, or a named set")
    if suffix == ".npy":
        return _read_npy(path, memory)
    if suffix == ".npz":
        return _read_npz(path)
    if suffix in (".csv", ".tsv", ".txt", ".parquet", ".pq"):
        table = read_table(path, labels if isinstance(labels, str) else None, drop, only)
        raw = Raw(path.stem, table.values, y=table.labels, columns=table.columns, table=True)
        if isinstance(labels, str):
            raw.notes.append(f"labels from the column {labels!r}")
        if drop:
            raw.notes.append(f"columns left out: {', '.join(drop)}")
        return raw
    expected = ".npy, .npz, .csv, .tsv, .parquet, or a folder of pictures"
    raise UserError(f"{path} has the ending {suffix!r}; expected {expected}")


def _read_folder(path: Path, size: int | None, channels: int | None, memory: int) -> Raw:
    pictures = scan_folder(path, size, channels)
    resident = pictures.nbytes <= memory
    x = pictures.read_all() if resident else pictures
    raw = Raw(path.resolve().name or "pictures", x, y=pictures.labels, class_names=pictures.class_names)
    raw.resident = resident
    raw.notes.append(pictures.note())
    if pictures.class_names:
        raw.notes.append("labels from the subfolders")
    return raw


_BROKEN = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    KeyError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
)


def _broken(path: Path, error: BaseException) -> UserError:
    if "allow_pickle" in str(error) or "pickle" in str(error).lower():
        return UserError(
            f"{path} holds pickled objects, which can run code when opened: save plain arrays instead"
        )
    reason = (
        getattr(error, "strerror", None) or str(error).splitlines()[0] if str(error) else type(error).__name__
    )
    return UserError(f"cannot read {path}: {reason}; it may be truncated or of another format")


def _read_npy(path: Path, memory: int) -> Raw:
    try:
        large = path.stat().st_size > memory
        if large:
            x = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            with path.open("rb") as stream:  # numpy leaves a damaged file open that it opened itself
                x = np.load(stream, allow_pickle=False)
    except _BROKEN as error:
        raise _broken(path, error) from None
    if not isinstance(x, np.ndarray):  # an archive under the name of an array
        raise UserError(f"{path} is an .npz archive by its content: rename it")
    return Raw(path.stem, x, resident=not large)


def _read_npz(path: Path) -> Raw:
    found: dict[str, Array] = {}
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            if isinstance(archive, np.ndarray):
                raise ValueError("it is a .npy array by its content")
            members = list(archive.files)
            wanted = (
                [k for k in ("x", "y", "c") if k in members]
                if "x" in members
                else members[: len(members) == 1]
            )
            for key in wanted:  # the others are never opened
                found["x" if len(members) == 1 else key] = archive[key]
            if strange := [key for key, member in found.items() if not isinstance(member, np.ndarray)]:
                raise ValueError(f"its member {strange[0]} is no array")
    except _BROKEN as error:
        raise _broken(path, error) from None
    if "x" not in found:
        raise UserError(
            f"{path} holds {', '.join(members) or 'nothing'}; expected one array, or `x` with, where "
            f"there are any, "
            "labels `y` and conditions `c`"
        )
    raw = Raw(path.stem, found["x"], y=found.get("y"), c=found.get("c"))
    if unused := sorted(set(members) - set(wanted)):
        raw.notes.append(f"members left out: {', '.join(unused)}")
    return raw


def integer_labels(
    y: Array, count: int, name: str, class_names: tuple[str, ...] | None
) -> tuple[Array, tuple[str, ...] | None]:
    """Labels as (N,) int64 from 0 and the names of their classes, if they are names.

    Raises:
        UserError: for labels that are not one per datum, or neither names nor whole numbers from 0 (-1 is the
            label of a datum whose label is unknown).
    """
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.shape != (count,):
        raise UserError(f"{name}: the labels have shape {y.shape}; expected ({count},), one a datum")
    if y.dtype.kind in "USO":
        words = y.astype(str)
        if np.char.isdecimal(words).all():
            y = words.astype(np.int64)
        else:
            known, numbers = np.unique(words, return_inverse=True)
            return numbers.astype(np.int64), tuple(str(word) for word in known)
    if y.dtype.kind not in "buif":
        raise UserError(f"{name}: the labels are of type {y.dtype}; expected whole numbers or names")
    wrong = ~((y >= -1) & (y == np.floor(y)) & (y < 2**31))
    if wrong.any() or (y < 0).all():
        k = int(np.argmax(wrong))
        raise UserError(
            f"{name}: label {k} is {y[k].item()}; expected whole numbers from 0 (-1 for some that are "
            "unknown), or names"
        )
    y = y.astype(np.int64)
    known, numbers = np.unique(y, return_inverse=True)
    unknown = int(known[0] < 0)
    if class_names is None and int(known[-1]) >= 2 * len(known) + 10:  # years, codes: not 0 .. classes-1
        return numbers.astype(np.int64) - unknown, tuple(str(k) for k in known[unknown:])
    return y, class_names
