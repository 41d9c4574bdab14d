"""Study files: TOML, never code. Those that ship are found by their name."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from vaekit.errors import UserError, nearest

_KNOWN = ("title", "about", "parts", "scores")


def names() -> list[tuple[str, str]]:
    """Name and title of the studies that ship. Imports no torch."""
    found = []
    for source in sorted(files("vaekit.studies").joinpath("files").iterdir(), key=lambda source: source.name):
        stem, _, ending = source.name.rpartition(".")
        if ending == "toml":
            found.append((stem, str(tomllib.loads(source.read_text(encoding="utf-8")).get("title", ""))))
    return found


def read(name: str | Path) -> Any:
    """The study of a file, or one of those that ship by its name; everything in it is checked.

    Returns:
        A `vaekit.studies.Study`.

    Raises:
        UserError: if it cannot be read, or something in it cannot be run, with its place in the file.
    """
    text, path = _text(name)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is no TOML: {error}") from error
    try:
        return _study(table, path.parent if isinstance(name, Path) or path.exists() else None)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def text_of(name: str | Path) -> str:
    """The text of a study file, or of one that ships.

    Raises:
        UserError: if it cannot be read.
    """
    return _text(name)[0]


def stem_of(name: str | Path) -> str:
    """A short name for the folder of a study."""
    return Path(name).stem


def _text(name: str | Path) -> tuple[str, Path]:
    known = [known for known, _ in names()]
    if str(name) in known:
        shipped = files("vaekit.studies").joinpath("files", f"{name}.toml")
        return shipped.read_text(encoding="utf-8"), Path(f"{name}.toml")
    path = Path(name)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise UserError(f"{path} {what}, and no study of this name ships{nearest(str(name), known)}")
    try:
        return path.read_text(encoding="utf-8"), path
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise UserError(f"cannot read {path}: {reason}") from error


def _study(table: dict[str, Any], folder: Path | None) -> Any:
    from vaekit.studies.expression import OPERATIONS, Parts, evaluated
    from vaekit.studies.study import Study

    known = [*_KNOWN, *OPERATIONS]
    for key in table:
        if key not in known:
            raise UserError(f"there is no {key!r} in a study{nearest(key, known)}")
    for key in ("title", "about"):
        if not isinstance(table.get(key, ""), str):
            raise UserError(f"{key} is {table[key]!r}; expected a text")
    if not isinstance(table.get("scores", {}), dict):
        raise UserError(f"scores is {table['scores']!r}; expected tables, such as [scores.evaluation]")
    parts = Parts(table.get("parts", {}))
    points = evaluated({key: table[key] for key in table if key in OPERATIONS}, "", parts)
    parts.refuse_unused()
    return Study.of(
        points,
        table.get("scores"),
        title=table.get("title", "A study"),
        about=" ".join(table.get("about", "").split()),
        folder=folder,
    )
