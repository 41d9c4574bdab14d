"""A run of a study before it is run: everything that decides what comes out, and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """A recipe, its data, how it is trained and how it is scored: plain JSON, defaults included.

    Args:
        recipe: name of the recipe.
        arguments: of the recipe.
        data: the name of the set, options of `vaekit.load`, and the fingerprint of data that are read from a
            path.
        training: settings of `vaekit.train`.
        seed: of initial weights, order and noise.
        scores: label -> what is measured afterwards and how; see `vaekit.studies.scores`.
        method: what tables and pictures call it. It changes nothing that is computed, and is not hashed.
        place: of the data on this machine, if they are read from a path; not hashed either.
    """

    recipe: str
    arguments: Options
    data: Options
    training: Options
    seed: int
    scores: Mapping[str, Options] = field(default_factory=dict)
    method: str = ""
    place: str | None = None

    def content(self) -> dict[str, Any]:
        """What is hashed."""
        names = ("recipe", "arguments", "data", "training", "seed", "scores")
        return {name: getattr(self, name) for name in names}

    @cached_property
    def hash(self) -> str:
        """SHA-256 over `content` as canonical JSON, the first 32 of its hexadecimal digits."""
        return hashlib.sha256(canonical(self.content()).encode()).hexdigest()[:32]

    @cached_property
    def trained(self) -> str:
        """The hash of what is trained: of `content` without the scores."""
        return hash_of_trained(self.content())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `Call.from_json` is the inverse."""
        return {**self.content(), "method": self.method, "place": self.place}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Call:
        """Rebuild a call.

        Raises:
            TypeError: if the record is none.
        """
        return cls(**record)

    def __str__(self) -> str:
        said = ", ".join(f"{name}={_short(value)}" for name, value in self.arguments.items())
        return f"{self.recipe}({said}) on {self.data['name']}, seed {self.seed}"


def hash_of_trained(content: Mapping[str, Any]) -> str:
    """See `Call.trained`."""
    said = {name: value for name, value in content.items() if name != "scores"}
    return hashlib.sha256(canonical(said).encode()).hexdigest()[:32]


def canonical(value: Any) -> str:
    """JSON in one form: names sorted, no blanks, numbers as Python writes them.

    >>> canonical({"b": 1.0, "a": [1, None]})
    '{"a":[1,null],"b":1.0}'

    Raises:
        ValueError: for a number that is not finite.
        TypeError: for what is no JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _short(value: Any) -> str:
    return repr(tuple(value)) if isinstance(value, list) else repr(value)
