"""The treatment of a set: decided once on the training data, then applied to every part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Data, mix
from vaekit.data.images import hidden_first
from vaekit.data.kinds import check, infer, pieces, scan, stored_type
from vaekit.data.labels import known_labels
from vaekit.data.pictures import Pictures
from vaekit.data.raw import Binarise, Raw
from vaekit.data.spec import Kind, Spec
from vaekit.data.streams import MappedArray, Source, StreamData, Thresholded
from vaekit.errors import UserError

Rows = NDArray[np.int64]
Mode = Literal["dynamic", "threshold"]
_FIXED = 20_170_613  # seed of what must not differ between runs: binary pixels of validation and test data


@dataclass(frozen=True)
class Nature:
    """What values a set has and how they are kept: kind, levels, stored type, binarisation."""

    kind: Kind
    levels: int | None
    dtype: np.dtype[Any]
    mode: Mode | None = None

    def note(self) -> str:
        """What happens to the values, for people; empty if nothing does."""
        if self.mode == "dynamic":
            return (
                "pixels are drawn as 0 or 1 with the grey level as probability, anew in every "
                "training batch and once "
                "for validation and test"
            )
        if self.mode == "threshold":
            return "pixels are 1 where the grey level is at least one half"
        if self.kind == "unit" and self.levels is not None:
            return f"bytes 0..{self.levels - 1} are divided by {self.levels - 1}"
        return ""


def nature_of(raw: Raw, kind: Kind | None, binarise: Binarise) -> Nature:
    """Infer, or check, what values a set has.

    Raises:
        UserError: if they contradict the declared kind, or are not such that they can be binarised.
    """
    if raw.vocabulary is not None:
        if kind not in (None, "categorical") or binarise not in ("auto", "none"):
            raise UserError(
                f"{raw.name} holds tokens, kind 'categorical'; got `kind` = {kind!r} and `binarise` = "
                f"{binarise!r}: leave both out"
            )
        return Nature("categorical", len(raw.vocabulary), np.dtype(np.uint8))
    wanted = binarise
    if binarise == "auto":
        wanted = raw.binarise if kind in (None, "binary") else "none"
    mode: Mode | None = wanted if wanted == "dynamic" or wanted == "threshold" else None
    levels: int | None = 256
    if isinstance(raw.x, Pictures):
        base, dtype = _pictures_kind(raw, kind, mode), np.dtype(np.uint8)
    else:
        found = scan(raw.x, raw.name)
        base, levels = infer(raw.x, found)
        if raw.levels is not None:
            base, levels = "unit", raw.levels
        if raw.table and base != "binary":
            base = "real"
        drawn = kind == "binary" and mode is not None and base == "unit"
        if kind is not None and not drawn:
            checked = check(raw.x, found, kind, raw.name)
            base, levels = kind, raw.levels if kind == "unit" and raw.levels else checked
        dtype = stored_type(raw.x, found, base, raw.name)
    if mode is None or base == "binary":
        return Nature(base, levels, dtype)
    if base != "unit":
        raise UserError(
            f"{raw.name}: `binarise` = {mode!r} needs grey levels in [0, 1] or bytes; got {base} values"
        )
    return Nature("binary", levels, dtype, mode)


def _pictures_kind(raw: Raw, kind: Kind | None, mode: Mode | None) -> Kind:
    if kind in (None, "unit") or (kind == "binary" and mode):
        return "unit"
    remedy = "; give `binarise` too" if kind == "binary" else ""
    raise UserError(f"{raw.name}: pictures hold bytes, kind 'unit'; got `kind` = {kind!r}{remedy}")


@dataclass(frozen=True)
class Treatment:
    """Everything that turns a raw set into data.

    Args:
        spec: of the result.
        nature: of the values.
        order: order of the elements of a flat picture, hidden ones first, in a prediction task.
        visible: number of visible elements in it.
        one_hot: whether the condition is the label.
    """

    spec: Spec
    nature: Nature
    order: NDArray[np.int64] | None = None
    visible: int = 0
    one_hot: bool = False

    def source(self, raw: Raw) -> Source:
        """Stored values of the set: scaled, thresholded, with the axes in order."""
        if isinstance(raw.x, Pictures):
            source: Source = raw.x
        else:
            constants = (None if v is None else np.array(v) for v in (self.spec.offset, self.spec.scale))
            source = MappedArray(raw.x, raw.shape, self.nature.dtype, raw.axes, *constants)
        if self.nature.mode != "threshold":
            return source
        return Thresholded(source, 0.5 if self.nature.levels is None else (self.nature.levels - 1) / 2)

    def build(self, raw: Raw, rows: Rows, *, train: bool, memory: int) -> Data:
        """The given rows as data; `train` says whether dynamic pixels are drawn anew in every batch."""
        drawn = self.nature.mode == "dynamic"
        y = None if raw.y is None else torch.from_numpy(raw.y[rows])
        c = self._conditions(raw, rows)
        factors = None if raw.factors is None else torch.from_numpy(raw.factors[rows])
        source = self.source(raw)
        if not raw.resident and (train or not drawn):
            return StreamData(
                self.spec,
                source,
                index=rows,
                y=y,
                c=c,
                factors=factors,
                binarise=drawn,
                visible=self.visible,
                columns=self.order,
            )
        needed = len(rows) * int(np.prod(raw.shape)) * self.nature.dtype.itemsize
        if not raw.resident and needed > memory:
            raise UserError(
                f"{raw.name}: {len(rows)} binary validation or test data need {needed} bytes of memory; "
                f"expected at most {memory}: give `limit`"
            )
        x = torch.from_numpy(source.read(rows))
        if self.order is not None:
            x = x.flatten(1)[:, torch.from_numpy(self.order)]
        if drawn and not train:
            x = _drawn_once(x, self.nature.levels)
        return ArrayData(self.spec, x, y, c, factors, binarise=drawn and train, visible=self.visible)

    def _conditions(self, raw: Raw, rows: Rows) -> Tensor | None:
        if self.spec.context is None or self.visible:
            return None
        if not self.one_hot:
            if raw.c is None:
                raise UserError(
                    f"{raw.name} holds no conditions `c`; expected {self.spec.context} with every datum"
                )
            if raw.c.shape[1:] != self.spec.context:
                raise UserError(f"{raw.name}: `c` has shape {raw.c.shape[1:]}; expected {self.spec.context}")
            return torch.from_numpy(np.asarray(raw.c)[rows].astype(np.float32))
        if raw.y is None:
            raise UserError(f"{raw.name} has no labels; expected them as the condition")
        classes = self.spec.context[0]
        if int(raw.y[rows].max()) >= classes:
            raise UserError(f"{raw.name}: a label is {int(raw.y[rows].max())}; expected 0..{classes - 1}")
        one_hot = torch.zeros(len(rows), classes)
        return one_hot.scatter_(1, torch.from_numpy(raw.y[rows])[:, None], 1.0)


def _drawn_once(grey: Tensor, levels: int | None) -> Tensor:
    """Binary pixels that never change: those of the first rows do not depend on how many follow."""
    generator = torch.Generator().manual_seed(mix(_FIXED))
    drawn = torch.empty(grey.shape, dtype=torch.uint8)
    for part, out in zip(grey.split(4096), drawn.split(4096), strict=True):
        probability = part.float() / (1 if levels is None else levels - 1)
        out.copy_(torch.rand(part.shape, generator=generator) < probability)
    return drawn


def treat(
    raw: Raw, rows: Rows, nature: Nature, *, context: str, standardise: bool, notes: list[str]
) -> Treatment:
    """Decide the treatment on the training `rows`.

    Raises:
        UserError: if the set has no such condition.
    """
    if raw.c is not None:
        if context != "none":
            raise UserError(
                f"{raw.name} brings its own conditions `c`; expected `context` = 'none', got {context!r}"
            )
        if len(raw.c) != len(raw.x) or raw.c.ndim < 2:
            raise UserError(
                f"{raw.name}: `c` has shape {raw.c.shape}; expected ({len(raw.x)}, ...), one row a datum"
            )
        scan(raw.c, f"{raw.name}: `c`")
    classes = classes_of(raw)
    offset = scale = None
    notes = [*raw.notes, nature.note(), *notes]
    if standardise and nature.kind == "real" and len(raw.shape) == 1 and not isinstance(raw.x, Pictures):
        offset, scale, note = _constants(raw, rows)
        notes.append(note)
    given = tuple(int(n) for n in raw.c.shape[1:]) if raw.c is not None else None
    shape, picture, quadrants, order, visible = raw.shape, None, None, None, 0
    if context == "labels":
        if classes is None:
            raise UserError(f"{raw.name} has no labels; expected them for `context` = 'labels'")
        if raw.y is not None and (raw.y < 0).any():
            raise UserError(
                f"{raw.name} has {int((raw.y < 0).sum())} data without a label; expected one for every datum "
                "where it is the condition: leave out `context` or `labelled`"
            )
        given = (classes,)
        notes.append("the condition is the label, one-hot")
    elif context != "none":
        quadrants, picture = int(context[-1]), raw.shape
        order, visible = quadrant_order(raw.name, picture, quadrants)
        shape, given = (len(order) - visible,), (visible,)
        seen = {1: "bottom-left quadrant", 2: "left half", 3: "picture without its bottom-right quadrant"}[
            quadrants
        ]
        notes.append(f"the condition is the {seen}; x is the rest")
    spec = Spec(
        raw.name,
        shape,
        nature.kind,
        len(rows),
        levels=nature.levels,
        classes=classes,
        context=given,
        columns=raw.columns,
        note="; ".join(note for note in notes if note),
        class_names=raw.class_names,
        offset=offset,
        scale=scale,
        binarised=nature.mode,
        picture=picture,
        quadrants=quadrants,
        labelled=known_labels(raw.y, rows),
        sound=raw.sound,
        vocabulary=raw.vocabulary,
    )
    return Treatment(spec, nature, order, visible, context == "labels")


def quadrant_order(name: str, picture: tuple[int, ...], quadrants: int) -> tuple[NDArray[np.int64], int]:
    """Order of the elements of a flat picture, hidden ones first, and the number of visible ones."""
    if len(picture) != 3 or picture[0] not in (1, 3):
        raise UserError(
            f"{name} holds data of shape {picture}; quadrants are of images (1 or 3, height, width)"
        )
    channels, height, width = picture
    if min(height, width) < 2:
        raise UserError(f"{name}: images of {height}x{width} have no quadrants; expected 2x2 pixels or more")
    return hidden_first(height, width, channels, quadrants)


def classes_of(raw: Raw) -> int | None:
    """Number of classes of the labels, if there are any."""
    if raw.y is None:
        return None
    if raw.class_names is not None:
        return len(raw.class_names)
    parts = [raw.y, raw.test.y if raw.test else None]
    return 1 + max(int(y.max()) for y in parts if y is not None)


def _constants(raw: Raw, rows: Rows) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """Mean and standard deviation of each column over the training rows, and what to say about them."""
    x = raw.x
    if isinstance(x, Pictures):
        raise TypeError("pictures are not standardised")
    ordered = np.sort(rows)
    blocks = [
        ordered[begin : begin + len(part)]
        for begin, part in pieces(np.broadcast_to(0.0, (len(rows), *x.shape[1:])))
    ]
    mean = sum(x[block].sum(axis=0, dtype=np.float64) for block in blocks) / len(rows)
    square = sum(((x[block].astype(np.float64) - mean) ** 2).sum(axis=0) for block in blocks) / len(rows)
    deviation = np.sqrt(square)
    if not (np.isfinite(mean).all() and np.isfinite(deviation).all()):
        raise UserError(f"{raw.name}: the values are too large to be standardised; rescale them")
    constant = deviation <= 1e-12 * np.abs(mean)
    scale = np.where(constant, 1.0, deviation)
    note = "standardised: each column minus its training mean, divided by its training standard deviation"
    if constant.any():
        names = [raw.columns[k] if raw.columns else str(k) for k in np.flatnonzero(constant)]
        shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        note += f" (constant, and divided by 1 instead: {shown})"
    return tuple(mean.tolist()), tuple(scale.tolist()), note
