"""Data that training refuses: what is wrong with all of them, instead of the first wrong value.

What can be examined without the wrong parts is examined.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaekit.data.loading import load
from vaekit.data.pictures import Pictures, picture_sizes
from vaekit.data.raw import Raw, integer_labels, read
from vaekit.data.splitting import prepare
from vaekit.data.tables import is_missing, number_in, read_cells
from vaekit.doctor import commands
from vaekit.doctor.finding import Finding
from vaekit.doctor.images import nearest_side
from vaekit.doctor.sample import MOST_ROWS, Sample, of_prepared, take_sample
from vaekit.doctor.words import listed, share
from vaekit.errors import UserError

_TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
MOST_CLASSES = 20
"""A column of text with at most so many different words is offered as the label."""
MOSTLY = 0.5
"""Share of words among the values of a column from which on it is text, and not numbers with mistakes."""


def sample_or_findings(
    data: Any, options: Mapping[str, Any], seed: int
) -> tuple[Sample | None, list[Finding]]:
    """The sample; where the data are refused, what is wrong with them and a sample of the rest.

    Raises:
        UserError: if they cannot be read as data at all, or an option is wrong.
    """
    try:
        return take_sample(data, options, seed), []
    except UserError as error:
        path = Path(data).expanduser() if isinstance(data, str | Path) else None
        if path is not None and path.is_file() and path.suffix.lower() in _TABLES:
            return _table(path, str(data), options, seed, error)
        if path is not None and path.is_dir():
            return _folder(path, data, options, seed, error)
        return _array(data, options, seed, error)


# -- tables ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cells:
    """What stands in the cells of a table: values (n, D), NaN where there is no finite number."""

    names: list[str]
    rows: list[list[str]]
    values: NDArray[np.float64]
    missing: NDArray[np.bool_]
    infinite: NDArray[np.bool_]
    words: list[Counter[str]]

    @property
    def text(self) -> list[int]:
        """Columns of text."""
        there = np.maximum(1, (~self.missing).sum(axis=0))
        return [k for k, words in enumerate(self.words) if words.total() > MOSTLY * there[k]]


def _cells(path: Path) -> _Cells:
    names, rows = read_cells(path, MOST_ROWS)
    values = np.full((len(rows), len(names)), np.nan)
    missing, infinite = np.zeros(values.shape, bool), np.zeros(values.shape, bool)
    words: list[Counter[str]] = [Counter() for _ in names]
    for i, row in enumerate(rows):
        for k, cell in enumerate(row):
            if is_missing(cell):
                missing[i, k] = True
            elif (value := number_in(cell)) is None:
                words[k][cell.strip()] += 1
            elif np.isfinite(value):
                values[i, k] = value
            else:
                infinite[i, k] = True
    return _Cells(names, rows, values, missing, infinite, words)


def _table(
    path: Path, source: str, options: Mapping[str, Any], seed: int, error: UserError
) -> tuple[Sample | None, list[Finding]]:
    cells = _cells(path)
    labels, dropped = options.get("labels"), set(options.get("drop", ()))
    if not dropped | ({labels} if labels is not None else set()) <= set(cells.names):
        raise error
    used = [k for k, name in enumerate(cells.names) if name not in dropped and name != labels]
    text = [k for k in cells.text if k in used]
    numbers = [k for k in used if k not in text]
    wrong = ~np.isfinite(cells.values[:, numbers])
    if not text and not wrong.any():
        raise error  # something else is wrong
    holes = [k for place, k in enumerate(numbers) if wrong[:, place].any()]
    offered = _offered(cells, text) if labels is None else None
    out = sorted(k for k in [*text, *holes] if k != offered)
    changes: dict[str, Any] = {"drop": (*options.get("drop", ()), *(cells.names[k] for k in out))}
    if offered is not None:
        changes["labels"] = cells.names[offered]
    left = len(used) - len(out) - (offered is not None)
    command = commands.line(source, "vae", {**options, **changes}) if left else ""
    findings = _about_cells(cells, text, numbers, offered, command)
    rows = np.flatnonzero((~wrong).all(axis=1))
    if not numbers or len(rows) < 3:
        return None, findings
    raw = Raw(path.stem, cells.values[rows][:, numbers], table=True)
    raw.columns = tuple(cells.names[k] for k in numbers)
    label = offered if labels is None else cells.names.index(labels)
    if label is not None:
        raw.y = np.array([cells.rows[i][label].strip() for i in rows])
    return _rest(raw, rows, source, {**options, **changes}, seed), findings


def _offered(cells: _Cells, text: list[int]) -> int | None:
    """The column of words that may be the label: few words, each more than once, none missing."""
    for k in text:
        words = cells.words[k]
        full = words.total() == len(cells.values)
        if full and 2 <= len(words) <= MOST_CLASSES and min(words.values()) > 1:
            return k
    return None


def _about_cells(
    cells: _Cells, text: list[int], numbers: list[int], offered: int | None, command: str
) -> list[Finding]:
    findings, names, count = [], cells.names, len(cells.values)
    if text:
        each = [f"{names[k]} ({len(cells.words[k]):,} different, such as {_such(cells, k)})" for k in text]
        advice = f" {names[offered]} may be the label." if offered is not None else ""
        findings.append(
            Finding(
                "text_columns",
                f"Columns of text: {listed([names[k] for k in text])}",
                f"{len(text)} of {len(names)} columns hold words: {listed(each, 4)}",
                "A table is read as real numbers; words are refused.",
                f"Leave them out, name one as --labels, or write them as numbers yourself.{advice}",
                command,
                "problem",
            )
        )
    for key, title, mask, meaning in (
        (
            "missing_values",
            "Values are missing",
            cells.missing,
            "vaekit does not guess values, and refuses the table.",
        ),
        (
            "not_finite",
            "Values are infinite",
            cells.infinite,
            "No density is finite there, and the table is refused.",
        ),
    ):
        found = [k for k in numbers if mask[:, k].any()]
        if found:
            each = [f"{names[k]} {int(mask[:, k].sum()):,}" for k in found]
            rows = int(mask[:, numbers].any(axis=1).sum())
            findings.append(
                Finding(
                    key, title, f"{share(rows, count)} rows are affected; by column: {listed(each)}", meaning,
                    "Fill the values in, or remove these rows or these columns. All else was examined "
                    "without these rows.",
                    command, "problem",
                )
            )  # fmt: skip
    stray = [k for k in numbers if cells.words[k]]
    if stray:
        each = [f"{names[k]} {cells.words[k].total():,}, such as {_such(cells, k)}" for k in stray]
        findings.append(
            Finding(
                "stray_text",
                f"Words stand among numbers in {listed([names[k] for k in stray])}",
                f"cells that are no number: {listed(each, 4)}",
                "They are typing errors, units, decimal commas, or signs for missing values; the table is "
                "refused.",
                "Correct them, or remove these rows. All else was examined without these rows.",
                command,
                "problem",
            )
        )
    return findings


def _such(cells: _Cells, k: int) -> str:
    return repr(cells.words[k].most_common(1)[0][0][:30])


# -- folders -----------------------------------------------------------------------------------------------


def _folder(
    path: Path, data: Any, options: Mapping[str, Any], seed: int, error: UserError
) -> tuple[Sample | None, list[Finding]]:
    if options.get("size") is not None:
        raise error
    sizes = picture_sizes(path)
    if len(sizes) < 2:
        raise error
    smallest = sorted(min(size) for size in sizes.elements())
    side = nearest_side(smallest[len(smallest) // 2])
    changed = {**options, "size": side}
    sample = take_sample(data, changed, seed)
    common = [f"{w}x{h} ({count:,})" for (w, h), count in sizes.most_common(4)]
    finding = Finding(
        "mixed_sizes",
        "The pictures differ in size",
        f"{len(sizes)} sizes among {sizes.total():,} pictures: {listed(common)}"
        + (" and others" if len(sizes) > 4 else ""),
        "A model takes pictures of one size; mixed ones are refused.",
        f"Have each cut to its central square and resized, here to {side}x{side}. All else was examined at "
        "this size.",
        commands.line(str(data), "vae", changed),
        "problem",
    )
    return sample, [finding]


# -- arrays ------------------------------------------------------------------------------------------------


def _array(
    data: Any, options: Mapping[str, Any], seed: int, error: UserError
) -> tuple[Sample | None, list[Finding]]:
    """NaN and infinities; everything else that is refused stays refused."""
    settings = _settings(data, options)
    try:
        raw = read(
            data, size=None, channels=None, labels=settings["labels"], memory=settings["memory"],
        )  # fmt: skip
    except UserError:
        raise error from None
    if isinstance(raw.x, Pictures) or raw.x.dtype.kind != "f":
        raise error
    flat = raw.x.reshape(len(raw.x), -1)
    fine = np.isfinite(flat)
    if fine.all():
        raise error
    whole = np.asarray(fine.all(axis=1))
    places = (~fine).sum(axis=0)
    worst = np.argsort(places, kind="stable")[::-1][:4]
    told = [f"element {k}: {places[k]:,}" for k in worst if places[k]]
    measured = (
        f"{int(np.isnan(flat).sum()):,} values are NaN and {int(np.isinf(flat).sum()):,} infinite, in "
        f"{share(int((~whole).sum()), len(whole))} data; most often {listed(told)}"
    )
    sample = None
    if whole.sum() >= 3:
        kept = Raw(raw.name, raw.x[whole], columns=raw.columns, table=raw.table)
        kept.y = None if raw.y is None else raw.y[whole]
        kept.arrange(settings["size"], settings["channels"])
        sample = _rest(
            kept, np.flatnonzero(whole), str(data) if isinstance(data, str | Path) else None, options, seed
        )
    expression = "x[np.isfinite(x.reshape(len(x), -1)).all(axis=1)]"
    finding = Finding(
        "not_finite",
        "There are values that are no finite numbers",
        measured,
        "No density is finite there; they are refused.",
        "Find out where they come from, then fill or remove them."
        + (" All else was examined without these data." if sample is not None else ""),
        "" if sample is None else commands.rewritten(sample, expression, "finite"),
        "problem",
    )
    return sample, [finding]


def _settings(data: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    bound = inspect.signature(load).bind(data, **options)
    bound.apply_defaults()
    return dict(bound.arguments)


def _rest(
    raw: Raw, rows: NDArray[np.int64], source: str | None, options: Mapping[str, Any], seed: int
) -> Sample:
    """What is left of a refused set, as it would be loaded: these of its rows."""
    settings = _settings(raw.x, options)
    if raw.y is not None:
        raw.y, raw.class_names = integer_labels(raw.y, len(raw.x), raw.name, raw.class_names)
    if not raw.shape:
        raw.arrange(None, None)
    found = prepare(
        raw, binarise=settings["binarise"], context=settings["context"], seed=settings["seed"],
        limit=settings["limit"], labelled=settings["labelled"], labelled_seed=settings["labelled_seed"],
        kind=settings["kind"], standardise=settings["standardise"],
    )  # fmt: skip
    sample = of_prepared(found, source, options, seed)
    return replace(sample, place=rows[sample.place])
