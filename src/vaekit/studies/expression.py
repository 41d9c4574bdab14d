"""The algebra in TOML: a table of operations becomes a list of points that know where they were said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vaekit.errors import UserError, nearest
from vaekit.studies.algebra import Points, chain, fixed, product, sweep, zipped

OPERATIONS = ("fixed", "sweep", "zip", "chain", "product")


@dataclass(frozen=True)
class Placed:
    """A value and where it was said.

    Args:
        value: plain.
        place: the way through the tables of the file, such as "parts.methods.sweep.arguments.beta".
    """

    value: Any
    place: str


class Parts:
    """The named parts of a file, each evaluated once.

    Args:
        tables: name -> table of operations.

    Raises:
        UserError: if they are no tables.
    """

    def __init__(self, tables: Any) -> None:
        if not isinstance(tables, dict):
            raise UserError(f"`parts` is {tables!r}; expected tables, such as [parts.methods]")
        self.tables: dict[str, Any] = tables
        self.made: dict[str, Points] = {}
        self.open: list[str] = []
        self.used: set[str] = set()

    def points(self, name: str) -> Points:
        """The list of a part.

        Raises:
            UserError: if there is none of this name, or it is made of itself.
        """
        if name not in self.tables:
            known = list(self.tables)
            hint = nearest(name, known) if known else ": add [parts." + name + "]"
            raise UserError(f"there is no part {name!r}{hint}")
        if name in self.open:
            way = " -> ".join([*self.open[self.open.index(name) :], name])
            raise UserError(f"the part {name!r} is made of itself ({way}): break the circle")
        self.used.add(name)
        if name not in self.made:
            self.open.append(name)
            self.made[name] = evaluated(self.tables[name], f"parts.{name}", self)
            self.open.pop()
        return self.made[name]

    def refuse_unused(self) -> None:
        """Refuse a part that nothing is made of: its runs would be missed.

        Raises:
            UserError: if there is one.
        """
        if unused := [name for name in self.tables if name not in self.used]:
            raise UserError(
                f"the part {unused[0]!r} is not used: name it in a chain or a product, or remove it"
            )


def evaluated(table: Any, place: str, parts: Parts) -> Points:
    """The list that a table of operations stands for: their product, in the order in which they stand.

    Args:
        table: operation -> what it takes: settings for fixed, sweep and zip; a list of names of parts, or of
            further tables, for chain and product.
        place: of the table in its file.
        parts: what the names mean.

    Raises:
        UserError: for what is none of the operations, with its place.
    """
    if not isinstance(table, Mapping) or not table:
        said = "empty" if table == {} else repr(table)
        raise _Said(f"{place or 'the study'} is {said}; expected a table of {', '.join(OPERATIONS)}")
    return _at(place, lambda: product(*(_operation(n, taken, place, parts) for n, taken in table.items())))


_SETTINGS: dict[str, Callable[[Mapping[str, Any]], Points]] = {"fixed": fixed, "sweep": sweep, "zip": zipped}


def _operation(name: str, taken: Any, place: str, parts: Parts) -> Points:
    here = f"{place}.{name}" if place else name
    if name in _SETTINGS:
        if not isinstance(taken, Mapping) or not taken:
            raise _Said(f"{here} is {taken!r}; expected settings, such as seed = [0, 1]")
        placed = _placed(taken, here) if name == "fixed" else _placed_lists(taken, here)
        return _at(here, lambda: _SETTINGS[name](placed))
    if name in ("chain", "product"):
        if not isinstance(taken, list) or not taken:
            raise _Said(f"{here} is {taken!r}; expected a list of names of parts, such as ['methods']")
        lists = []
        for number, item in enumerate(taken):
            with _where(here):
                if isinstance(item, str):
                    lists.append(parts.points(item))
                    continue
            lists.append(evaluated(item, f"{here}[{number}]", parts))
        return _at(here, lambda: (chain if name == "chain" else product)(*lists))
    raise _Said(f"{here}: there is no operation {name!r}{nearest(name, list(OPERATIONS))}")


def _placed(settings: Mapping[str, Any], place: str) -> dict[str, Any]:
    return {key: _leaf(value, f"{place}.{key}") for key, value in settings.items()}


def _leaf(value: Any, place: str) -> Any:
    return _placed(value, place) if isinstance(value, Mapping) else Placed(value, place)


def _placed_lists(settings: Mapping[str, Any], place: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in settings.items():
        here = f"{place}.{key}"
        if isinstance(value, Mapping):
            found[key] = _placed_lists(value, here)
        else:
            found[key] = [_leaf(item, here) for item in value] if isinstance(value, list) else value
    return found


def _at(place: str, make: Callable[[], Points]) -> Points:
    with _where(place):
        return make()


@contextmanager
def _where(place: str) -> Iterator[None]:
    """Say where it was, unless that has been said."""
    try:
        yield
    except _Said:
        raise
    except UserError as error:
        raise _Said(f"{place}: {error}" if place else str(error)) from error


class _Said(UserError):
    """A message that holds its place."""
