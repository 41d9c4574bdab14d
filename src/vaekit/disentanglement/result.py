"""What a score is handed back as: its values, and all that a reader needs to compare them with others."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, final

from vaekit.plain import plain


@final
@dataclass(frozen=True)
class Score:
    """One score of a representation.

    Args:
        name: what it is called.
        values: value name -> value; the first one is the score, the others belong to it. NaN where it has no
            meaning, and then `notes` says why.
        sizes: what was counted -> how many, such as points of training.
        settings: every other choice that moves the values, such as the number of bins.
        details: values per factor, per latent or per pair, as nested lists.
        notes: what was left out or taken for something else.
        preset: the set of choices it belongs to; "none" where the caller chose.
        seed: of all that was drawn; None where nothing was, or the caller drew it.
        seconds: what it took.

    >>> print(Score("mig", {"mig": 0.25}, {"points": 9}, {"bins": 20}, preset="modern", seed=0))
    mig 0.2500  [preset modern, seed 0; 9 points; bins 20]
    """

    name: str
    values: dict[str, float]
    sizes: dict[str, int]
    settings: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    preset: str = "none"
    seed: int | None = None
    seconds: float = math.nan

    @property
    def value(self) -> float:
        """The first of its values."""
        return next(iter(self.values.values()))

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {value:.4f}" for name, value in self.values.items())
        lines = [f"{shown}  [{self.about}]", *(f"  note: {note}" for note in self.notes)]
        return "\n".join(lines)

    @property
    def about(self) -> str:
        """Preset, seed, sizes and settings, as they stand behind every value."""
        return f"preset {self.preset}, seed {'none' if self.seed is None else self.seed}; {self.choices}"

    @property
    def choices(self) -> str:
        """Sizes and settings."""
        parts = [
            ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in self.sizes.items()),
            ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.settings.items()),
        ]
        return "; ".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; None for numbers that are not finite."""
        record = {
            "values": self.values,
            "sizes": self.sizes,
            "settings": self.settings,
            "details": self.details,
            "notes": list(self.notes),
            "preset": self.preset,
            "seed": self.seed,
            "seconds": self.seconds,
        }
        return {name: plain(value) for name, value in record.items()}


@final
@dataclass(frozen=True)
class Scores:
    """The scores of one representation, by one preset and one seed.

    Args:
        scores: name -> score, in the order in which they were computed.
        preset: the choices behind them, and what was changed of it.
        seed: of all that was drawn.
        sizes: numbers of points, as the preset has them.
        notes: what concerns all of them, such as latents that were dropped.
        representation: what of the model was scored: "mean", "sampled", or as the caller says.
    """

    scores: dict[str, Score]
    preset: str
    seed: int
    sizes: dict[str, int]
    notes: tuple[str, ...] = ()
    representation: str = "codes"

    @property
    def values(self) -> dict[str, float]:
        """Flat: value name -> value, over all scores."""
        return {name: value for score in self.scores.values() for name, value in score.values.items()}

    @property
    def seconds(self) -> dict[str, float]:
        """Score name -> seconds."""
        return {name: score.seconds for name, score in self.scores.items()}

    def __getitem__(self, name: str) -> Score:
        return self.scores[name]

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in self.sizes.items())
        head = f"preset {self.preset}, {self.representation} representation, seed {self.seed}; {counts}"
        lines = [head, *(f"note: {note}" for note in self.notes)]
        width = max((len(name) for name in self.values), default=0)
        for score in self.scores.values():
            for number, (name, value) in enumerate(score.values.items()):
                behind = f"   {score.seconds:8.2f} s   {score.choices}" if number == 0 else ""
                lines.append(f"  {name:<{width}} {value:9.4f}{behind}")
            lines += [f"    note: {note}" for note in score.notes]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; None for numbers that are not finite."""
        return {
            "preset": self.preset,
            "seed": self.seed,
            "representation": self.representation,
            "sizes": dict(self.sizes),
            "notes": list(self.notes),
            "values": plain(self.values),
            "seconds": plain(self.seconds),
            "scores": {name: score.to_json() for name, score in self.scores.items()},
        }
