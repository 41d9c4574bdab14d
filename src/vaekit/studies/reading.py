"""Study files: TOML, never code. Those that ship are found by their name."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaekit.errors import UserError, nearest

if TYPE_CHECKING:
    from vaekit.studies.algebra import Points
    from vaekit.studies.study import Study


def names() -> list[tuple[str, str]]:
    """Name and title of the studies that ship. Imports no torch."""
    found = []
    for source in sorted(files("vaekit.studies").joinpath("files").iterdir(), key=lambda source: source.name):
        stem, _, ending = source.name.rpartition(".")
        if ending == "toml":
            found.append((stem, str(tomllib.loads(source.read_text(encoding="utf-8")).get("title", ""))))
    return found


def read(name: str | Path) -> Study:
    """The study of a file, or one of those that ship by its name; everything in it is checked.

    Raises:
        UserError: if it cannot be read, or something in it cannot be run, with its place in the file.
    """
    table, path = _table(name)
    with _in(path):
        found, about = _points(table)
        from vaekit.studies.study import Study

        folder = path.parent if path.exists() else None
        return Study.of(found, table.get("scores"), **about, folder=folder)


def points(name: str | Path) -> Points:
    """The list of points that a file says, unchecked: which data are there does not matter.

    Raises:
        UserError: if it cannot be read, or is no study.
    """
    table, path = _table(name)
    with _in(path):
        return [{key: said.value for key, said in point.items()} for point in _points(table)[0]]


def scores_of(name: str | Path) -> dict[str, dict[str, Any]]:
    """What a file says of scores: label -> settings.

    Raises:
        UserError: if it cannot be read.
    """
    return dict(_table(name)[0].get("scores", {}))


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


def _table(name: str | Path) -> tuple[dict[str, Any], Path]:
    text, path = _text(name)
    try:
        return tomllib.loads(text), path
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is no TOML: {error}") from error


def _points(table: dict[str, Any]) -> tuple[Points, dict[str, str]]:
    """The points of a file, each setting with its place, and what the file says of itself."""
    from vaekit.studies.expression import OPERATIONS, Parts, evaluated

    known = ["title", "about", "parts", "scores", *OPERATIONS]
    for key in table:
        if key not in known:
            raise UserError(f"there is no {key!r} in a study{nearest(key, known)}")
    for key in ("title", "about"):
        if not isinstance(table.get(key, ""), str):
            raise UserError(f"{key} is {table[key]!r}; expected a text")
    if not isinstance(table.get("scores", {}), dict):
        raise UserError(f"scores is {table['scores']!r}; expected tables, such as [scores.evaluation]")
    parts = Parts(table.get("parts", {}))
    found = evaluated({key: table[key] for key in table if key in OPERATIONS}, "", parts)
    parts.refuse_unused()
    about = " ".join(table.get("about", "").split())
    return found, {"title": table.get("title", "A study"), "about": about}


@contextmanager
def _in(path: Path) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
