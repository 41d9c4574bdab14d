"""`vaekit list` and `vaekit reproduce`. Listing imports neither torch nor numpy."""

from __future__ import annotations

import ast
from importlib.resources import files
from typing import Literal

from vaekit.cli.words import bold, table
from vaekit.errors import UserError, nearest

Topic = Literal["recipes", "data", "studies", "reproductions"]


def list_command(topic: Topic, /) -> int:
    """List what there is by name.

    Args:
        topic: recipes, data, studies or reproductions.
    """
    rows = {"recipes": recipes, "data": _data, "studies": _studies, "reproductions": _reproductions}[topic]()
    uses = {
        "recipes": "vaekit train RECIPE",
        "data": "vaekit train vae DATA, where DATA may also be the path of an array, a table or a folder",
        "studies": "vaekit study NAME, where NAME may also be the path of a study file",
        "reproductions": "vaekit reproduce NAME",
    }
    print(bold(f"{topic}: {uses[topic]}"))
    print(table(rows))
    return 0


def reproduce_command(name: str, /, *, full: bool = False, record: bool = False) -> int:
    """Run the experiment behind a published claim: prints claim, measurement and verdict.

    Args:
        name: see `vaekit list reproductions`.
        full: the long version, closer to the paper's budget.
        record: put the outcome into the table of recorded outcomes (for the project's own source tree).
    """
    known = [known for known, _ in _reproductions()]
    if name not in known:
        raise UserError(f"there is no reproduction {name!r}{nearest(name, known)}")
    from vaekit.cli.progress import say
    from vaekit.reproductions import runner

    result = runner.run(name, full=full, say=say)
    if record:
        runner.record(result)
    print(runner.describe(result))
    return 0


def recipes() -> list[tuple[str, str]]:
    """(name, title) of every recipe, from the source files: importing them would need torch."""
    found = []
    for source in sorted(files("vaekit").joinpath("recipes").iterdir(), key=lambda source: source.name):
        stem, _, ending = source.name.rpartition(".")
        if ending == "py" and not stem.startswith("_"):
            page = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
            found.append((stem, page.split("\n")[0]))
    return found


def _data() -> list[tuple[str, str]]:
    from vaekit.data.catalogue import names

    return names()


def _studies() -> list[tuple[str, str]]:
    from vaekit.studies import names

    return names()


def _reproductions() -> list[tuple[str, str]]:
    from vaekit.reproductions import names

    return list(names())
