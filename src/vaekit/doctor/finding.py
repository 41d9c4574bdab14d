"""What the doctor says: one thing that was measured, what it means, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["problem", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One result of an examination, in words for a person who has never heard of it.

    Problems and warnings are findings proper: something is wrong, or probably is. A note is advice, and a
    healthy data set or run may well have some.
    """

    key: str
    """A short fixed name, such as ``"collapsed_latents"``: what programs and tests look for."""
    title: str
    """One line: what is the case."""
    measured: str
    """The numbers, and what they were measured on."""
    meaning: str
    """What follows from them."""
    change: str
    """What to change."""
    command: str
    """The command that tries the change; empty where no command can."""
    severity: Severity
