"""What a reproduction says: the claim, what was measured, and whether the one shows the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["shown", "partly shown", "not shown"]


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Args:
        what: what it is, with its unit.
        value: the number (over several seeds: their median).
        spread: what the number is uncertain by, and of which kind ("standard error", "range over seeds").
        beside: what it is held against: an exact value, a published figure, a floor.
    """

    what: str
    value: float
    spread: str = ""
    beside: str = ""


@dataclass(frozen=True)
class Check:
    """One condition of the claim, stated before it was measured.

    Args:
        what: the condition, in words with its numbers.
        holds: whether it does.
    """

    what: str
    holds: bool


@dataclass(frozen=True)
class Outcome:
    """The result of a reproduction.

    Args:
        figures: what was measured.
        checks: the conditions; all hold: shown, some: partly shown, none: not shown.
        seeds: of the runs, all of them.
        data: which data, and how many.
        budget: networks, steps and samples that were spent.
        notes: what else has to be said: what the small budget cannot show, what was tried.
        picture: a PNG file that shows it, if there is one; it is written beside the record, not into it.
    """

    figures: list[Figure]
    checks: list[Check]
    seeds: list[int]
    data: str
    budget: str
    notes: str = ""
    picture: bytes | None = None

    @property
    def verdict(self) -> Verdict:
        """What the checks say together."""
        held = [check.holds for check in self.checks]
        return "shown" if all(held) else "partly shown" if any(held) else "not shown"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        kept = {name: value for name, value in asdict(self).items() if name != "picture"}
        return {**kept, "verdict": self.verdict}


Say = Callable[[str], None]


@dataclass(frozen=True)
class Reproduction:
    """A small experiment whose outcome would differ if the method were wrong.

    Args:
        claim: the claim, in one sentence.
        source: the paper and where in it.
        recipes: names of the recipes that it tests; their status follows from the outcome.
        run: runs it: (full budget or not, a function that takes lines of progress) -> outcome.
        published: the paper's own figures, if there are any.
    """

    claim: str
    source: str
    recipes: tuple[str, ...]
    run: Callable[[bool, Say], Outcome]
    published: str = ""
