"""Reproductions: one file a claim, `NAME.py` with a `Reproduction` called `reproduction` and a docstring.

A file added here that has one is a reproduction, and `vaekit reproduce NAME` runs it; the others hold what
several need. Its last recorded outcome stands in `results.json`, from which `docs/reproductions.md` and the
status of every recipe are made (`python -m vaekit.reproductions.table`).
"""

from __future__ import annotations

import ast
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaekit.reproductions.outcome import Reproduction

_FOLDER = Path(__file__).parent


def names() -> list[tuple[str, str]]:
    """Name and first docstring line of every reproduction, without importing any."""
    return list(_names())


@functools.cache
def _names() -> tuple[tuple[str, str], ...]:
    found = []
    for path in sorted(_FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.Assign) and _assigns(node, "reproduction") for node in tree.body):
            text = ast.get_docstring(tree) or ""
            found.append((path.stem, text.splitlines()[0] if text else ""))
    return tuple(found)


def _assigns(node: ast.Assign, name: str) -> bool:
    return any(isinstance(target, ast.Name) and target.id == name for target in node.targets)


def get(name: str) -> Reproduction:
    """A reproduction by its name.

    Raises:
        UserError: if there is none; the nearest name is offered.
    """
    from importlib import import_module

    from vaekit.errors import UserError, nearest

    known = [known for known, _ in names()]
    if name not in known:
        raise UserError(f"there is no reproduction {name!r}{nearest(name, known)}")
    found: Reproduction = import_module(f"vaekit.reproductions.{name}").reproduction
    return found


def results() -> dict[str, dict[str, Any]]:
    """The recorded outcomes that ship with the package: name -> record, or name + " --full"."""
    path = _FOLDER / "results.json"
    loaded: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return loaded


def status(recipe: str) -> str:
    """The status of a recipe, from the recorded outcomes of the claims that test it.

    reproduced: every recorded claim is shown. partly: some are. checked: closed forms and contracts only.
    """
    verdicts = [record["verdict"] for record in results().values() if recipe in record.get("recipes", [])]
    if not verdicts:
        return "checked"
    return "reproduced" if all(verdict == "shown" for verdict in verdicts) else "partly"
