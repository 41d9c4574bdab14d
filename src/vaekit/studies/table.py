"""The table of a study: one row for every run, finished or not."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from vaekit.errors import UserError
from vaekit.files import disk_errors, write_bytes, write_whole
from vaekit.studies.call import Call
from vaekit.studies.collected import collected
from vaekit.studies.store import RECORDS, Store
from vaekit.studies.study import Study

Row = dict[str, Any]
Format = Literal["parquet", "csv"]

FIRST = ("hash", "status", "method", "recipe", "data", "seed")


def rows(study: Study, out: str | Path) -> list[Row]:
    """One row for every run of a study, in the order of the study.

    Columns: `hash`; `status` (finished, failed, or open); `method`, `recipe`, `data`, `seed`;
    `arguments.NAME`, `training.NAME` and `data.NAME`, what the call says; `LABEL/FIGURE`, the scores;
    `last.NAME`, the last row of the training's record; `seconds` in all, and `seconds.NAME`, of a run from a
    stack its share; `device`; `stacked`, the models of its stack, or `apart`, why a run of a study with
    stacks was trained by itself; `started`, `error`. What a run does not have is None.

    Args:
        study: which.
        out: its folder; it need not have been begun.

    Raises:
        UserError: if a record is damaged.
    """
    store = Store(Path(out))
    known = store.finished() if (store.path / RECORDS).is_dir() else set()
    found = [_row(call, store.read(call) if call.hash in known else None) for call in study.calls]
    done = [call for call, row in zip(study.calls, found, strict=True) if row["status"] == "finished"]
    together = collected(done, store)
    return [row | together.get(row["hash"], {}) for row in found]


def _row(call: Call, record: Mapping[str, Any] | None) -> Row:
    row: Row = {
        "hash": call.hash, "status": "open", "method": call.method, "recipe": call.recipe,
        "data": call.data["name"], "seed": call.seed,
    }  # fmt: skip
    for head, options in (("arguments", call.arguments), ("training", call.training), ("data", call.data)):
        said = {name: value for name, value in options.items() if (head, name) != ("data", "name")}
        row |= {f"{head}.{name}": value for name, value in said.items()}
    if record is None:
        return row
    spent = {name: value for name, value in record["seconds"].items() if name != "total"}
    row["status"] = record["status"]
    row |= record["scores"]
    row |= {f"last.{name}": value for name, value in record["last"].items()}
    row["seconds"] = record["seconds"].get("total", sum(spent.values()) if spent else None)
    row |= {f"seconds.{name}": value for name, value in spent.items()}
    return row | {name: record.get(name) for name in ("device", "stacked", "apart", "started", "error")}


def stacking(table: Sequence[Row]) -> list[str]:
    """In sentences: how many runs were trained in stacks, and how many by themselves for which reason."""
    sizes = [row["stacked"] for row in table if row.get("stacked")]
    reasons: dict[str, list[str]] = {}
    for row in table:
        if row.get("apart"):
            reasons.setdefault(row["apart"], []).append(row["method"])
    found = [f"{_runs(len(sizes))} trained in stacks of {_range(sizes)} models."] if sizes else []
    for why, methods in reasons.items():
        found.append(
            f"{_runs(len(methods), ' of ' + ', '.join(dict.fromkeys(methods)))} trained apart: {why}."
        )
    return found


def _runs(count: int, of: str = "") -> str:
    return f"One run{of} was" if count == 1 else f"{count:,} runs{of} were"


def _range(sizes: Sequence[int]) -> str:
    return f"{min(sizes)} to {max(sizes)}" if min(sizes) < max(sizes) else str(max(sizes))


def columns(table: Sequence[Row]) -> dict[str, list[Any]]:
    """The columns of a table, each of one type: whole numbers, numbers, truth values or texts.

    Columns that hold nothing are left out. Values of several types, and lists, become JSON.
    """
    names = dict.fromkeys([*FIRST, *(name for row in table for name in row)])
    found = {name: [row.get(name) for row in table] for name in names}
    return {name: _of_one_type(v) for name, v in found.items() if any(item is not None for item in v)}


def _of_one_type(values: list[Any]) -> list[Any]:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    if len(kinds) == 1 and kinds <= {int, float, bool, str}:
        return values
    return [None if v is None else v if isinstance(v, str) else json.dumps(v) for v in values]


def refuse_without_pyarrow(form: Format) -> None:
    """Refuse to begin what could not be written in the end.

    Raises:
        UserError: if the table is to be Parquet, and pyarrow is not installed.
    """
    if form == "parquet" and find_spec("pyarrow") is None:
        raise UserError(
            "a Parquet table needs pyarrow, which is not installed: `pip install 'vaekit[tables]'`, or take "
            "the table csv"
        )


def write_table(table: Sequence[Row], path: Path) -> None:
    """Write a table, whole or not at all: Parquet, or CSV where the path ends so.

    Raises:
        UserError: if it cannot be written.
    """
    whole = columns(table)
    if path.suffix == ".csv":
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(whole)
        writer.writerows(zip(*whole.values(), strict=True))
        write_bytes(path, buffer.getvalue().encode())
        return
    refuse_without_pyarrow("parquet")
    import pyarrow
    from pyarrow import parquet

    arrow = pyarrow.table({name: pyarrow.array(values) for name, values in whole.items()})
    with disk_errors(path, "write"):
        write_whole(path, lambda temporary: parquet.write_table(arrow, temporary))
