"""Tables of real columns from CSV and Parquet files. Imports no torch."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaekit.errors import UserError, nearest


@dataclass(frozen=True)
class Table:
    """Real numbers (row, column), the names of the columns, and labels (row,), if asked for."""

    values: NDArray[np.float64]
    columns: tuple[str, ...]
    labels: NDArray[Any] | None = None


def read_table(
    path: Path, labels: str | None = None, drop: Sequence[str] = (), only: Sequence[str] | None = None
) -> Table:
    """A `.csv`, `.tsv` or `.parquet` file.

    Args:
        path: the file.
        labels: name of the column that holds labels instead of a real number.
        drop: names of columns that are left out; they may hold anything.
        only: names of the columns that are wanted, those of them that are there; by default all.

    Raises:
        UserError: for anything that is no table of finite real numbers, with the row and the column.
    """
    reads = read_parquet if path.suffix.lower() in (".parquet", ".pq") else read_csv
    table = reads(path, labels, drop, only)
    if not table.columns:
        raise UserError(f"{path} has no columns of numbers")
    if len(table.values) == 0:
        raise UserError(f"{path} has no rows; expected a table with numbers")
    return table


def number_in(cell: str) -> float | None:
    """The number in a cell, if there is one; `_` is no digit separator here."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.strip().lower() in ("", "nan", "na", "n/a", "null", "none", "?")


def _bad_cell(path: Path, line: int, column: str, cell: str) -> UserError:
    where = f"{path}: line {line}, column {column!r}"
    if is_missing(cell):
        return UserError(f"{where}: the value is missing ({cell!r}); remove the row or fill the value first")
    if number_in(cell) is not None:
        return UserError(f"{where}: the value is {cell.strip()}; expected a finite number")
    remedy = "leave the column out (`drop`), encode it, or name it as `labels`"
    return UserError(f"{where}: {cell[:40]!r} is not a number; {remedy}")


def _delimiter(path: Path, line: str) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=line.count)


def _has_header(first: list[str], second: list[str] | None) -> bool:
    """A row without any number is a header; so is one with a word above a number."""
    words = [number_in(cell) is None for cell in first]
    if all(words):
        return True
    below = second if second is not None and len(second) == len(first) else []
    return any(word and number_in(cell) is not None for word, cell in zip(words, below, strict=False))


def _column_names(path: Path, header: list[str]) -> list[str]:
    names = [cell.strip() or f"column{k}" for k, cell in enumerate(header, 1)]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path}: the column name {name!r} stands twice; rename one")
    return names


def _label_place(path: Path, names: list[str], labels: str | None) -> int | None:
    if labels is None:
        return None
    if labels not in names:
        raise UserError(
            f"{path} has no column {labels!r} for the labels; its columns are {', '.join(names[:20])}"
        )
    return names.index(labels)


def _kept(
    path: Path, names: list[str], place: int | None, drop: Sequence[str], only: Sequence[str] | None
) -> list[int]:
    """Places of the columns that are read as numbers: not the labels, nor what is left out.

    Raises:
        UserError: if a column that is to be left out is not there, or is the label.
    """
    for name in drop:
        if name not in names:
            raise UserError(
                f"`drop` names {name!r}, but {path} has no such column{nearest(name, names[:20])}"
            )
        if place is not None and name == names[place]:
            raise UserError(f"{path}: {name!r} is both `labels` and in `drop`; leave one of them out")
    wanted = set(names if only is None else only) - set(drop)
    return [k for k, name in enumerate(names) if k != place and name in wanted]


def read_csv(
    path: Path, labels: str | None = None, drop: Sequence[str] = (), only: Sequence[str] | None = None
) -> Table:
    """A table of text in UTF-8: comma, semicolon or tab between values, with or without a header.

    Blank lines are left out. Columns without a name are called `column1`, `column2`, ...

    Raises:
        UserError: see `read_table`.
    """
    return _parse(path, _text_rows(path), labels, drop, only)


def read_cells(path: Path, most: int) -> tuple[list[str], list[list[str]]]:
    """The names of the columns of a table, and the text in the cells of its first rows; "" where there is
    none.

    Args:
        path: the file.
        most: number of rows.

    Raises:
        UserError: if it is no table: empty, not UTF-8, rows of different lengths.
    """
    if path.suffix.lower() in (".parquet", ".pq"):
        table = _open_parquet(path)
        columns = [column.slice(0, most).to_pylist() for column in table.columns]
        return list(table.column_names), [
            ["" if value is None else str(value) for value in row] for row in zip(*columns, strict=True)
        ]
    names, rows = _heading(path, _text_rows(path))
    cells = []
    for line, row in islice(rows, most):
        _check_length(path, line, row, names)
        cells.append(row)
    return names, cells


def _text_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of every line that is not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            sample = next((line for line in stream if line.strip()), "")
            stream.seek(0)
            reader = csv.reader(
                stream, delimiter=_delimiter(path, sample), skipinitialspace=True, strict=True
            )
            for row in reader:
                if row and (len(row) > 1 or row[0].strip()):
                    yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from None
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num}: {error}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None


def _heading(
    path: Path, rows: Iterator[tuple[int, list[str]]]
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The names of the columns, and the rows of data."""
    head = list(islice(rows, 2))
    if not head:
        raise UserError(f"{path} is empty; expected a table with numbers")
    first = head[0][1]
    if _has_header(first, head[1][1] if len(head) > 1 else None):
        return _column_names(path, first), chain(head[1:], rows)
    return [f"column{k}" for k in range(1, len(first) + 1)], chain(head, rows)


def _check_length(path: Path, line: int, row: list[str], names: list[str]) -> None:
    if len(row) != len(names):
        raise UserError(f"{path}: line {line} has {len(row)} values; expected {len(names)}, one a column")


def _parse(
    path: Path,
    rows: Iterator[tuple[int, list[str]]],
    labels: str | None,
    drop: Sequence[str],
    only: Sequence[str] | None,
) -> Table:
    names, data = _heading(path, rows)
    place = _label_place(path, names, labels)
    kept = _kept(path, names, place, drop, only)
    columns = [names[k] for k in kept]
    values, found = array("d"), []
    for line, row in data:
        _check_length(path, line, row, names)
        if place is not None:
            label = row[place].strip()
            if not label:
                raise UserError(f"{path}: line {line}: the label {labels!r} is missing")
            found.append(label)
        if len(kept) < len(row):
            row = [row[k] for k in kept]
        try:
            numbers = [float(cell) for cell in row]
        except ValueError:
            numbers = []
        if len(numbers) < len(row) or not isfinite(sum(numbers)) or "_" in "".join(row):
            for name, cell in zip(columns, row, strict=True):
                if (number := number_in(cell)) is None or not isfinite(number):
                    raise _bad_cell(path, line, name, cell)
        values.extend(numbers)
    matrix = np.frombuffer(values, np.float64) if len(values) else np.empty(0)
    return Table(matrix.reshape(-1, max(1, len(columns))), tuple(columns), np.array(found) if found else None)


def read_parquet(
    path: Path, labels: str | None = None, drop: Sequence[str] = (), only: Sequence[str] | None = None
) -> Table:
    """A Parquet file whose columns are integers, floats, decimals or booleans; needs pyarrow.

    Raises:
        UserError: see `read_table`; also if pyarrow is not installed.
    """
    table = _open_parquet(path)
    import pyarrow as pa

    names = _column_names(path, list(table.column_names))
    place = _label_place(path, names, labels)
    kept = set(_kept(path, names, place, drop, only))
    columns, arrays, found = [], [], None
    for k, (name, column) in enumerate(zip(names, table.columns, strict=True)):
        if k != place and k not in kept:
            continue
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise UserError(
                f"{path}: row {row}, column {name!r}: the value is missing; remove the row or fill it first"
            )
        kind = column.type
        if k == place:
            found = np.array([str(value) for value in column.to_pylist()])
            continue
        if not (
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_boolean(kind)
            or pa.types.is_decimal(kind)
        ):
            remedy = "leave the column out (`drop`), encode it, or name it as `labels`"
            raise UserError(f"{path}: column {name!r} holds {kind}, not numbers; {remedy}")
        numbers = np.asarray(column.to_numpy(), dtype=np.float64)
        if not np.isfinite(numbers).all():
            row = int(np.argmax(~np.isfinite(numbers)))
            raise UserError(
                f"{path}: row {row}, column {name!r}: the value is {numbers[row]}; expected a finite number"
            )
        columns.append(name)
        arrays.append(numbers)
    matrix = np.stack(arrays, axis=1) if arrays else np.empty((table.num_rows, 0))
    return Table(matrix, tuple(columns), found)


def _open_parquet(path: Path) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UserError(
            f"{path}: Parquet files need pyarrow: python -m pip install 'vaekit[tables]'"
        ) from None
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"cannot read {path} as Parquet: {str(error).splitlines()[0]}") from None
