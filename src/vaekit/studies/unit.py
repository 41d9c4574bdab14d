"""What a worker gets at once, a run or several that are trained as one stack, and what comes back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vaekit.studies.call import Call

What = Literal["finished", "failed", "taken", "apart", "large", "lost", "broken"]


@dataclass(frozen=True)
class Unit:
    """Runs that are handed out together.

    Args:
        calls: one, or several that are trained as one stack.
        why: of one run in a study whose runs are stacked, why it is trained by itself.
    """

    calls: tuple[Call, ...]
    why: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `Unit.from_json` is the inverse."""
        return {"calls": [call.to_json() for call in self.calls], "why": self.why}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Unit:
        """Rebuild a unit."""
        return cls(tuple(map(Call.from_json, record["calls"])), record["why"])


@dataclass(frozen=True)
class Event:
    """What came of runs that were handed out together.

    Args:
        calls: the runs, all of a unit or some of them.
        what: finished or failed, with a record; taken: another process is at it, or has done it; apart: they
            cannot be trained as one stack; large: the stack needs more memory than there is; lost: the worker
            died, and they are to be handed out again; broken: nothing can go on.
        why: of the last four, in words.
    """

    calls: tuple[Call, ...]
    what: What
    why: str = ""


Tell = Callable[[Event], None]


def joint_hash(calls: Sequence[Call]) -> str:
    """One hash for several calls, whatever their order."""
    return hashlib.sha256(" ".join(sorted(call.hash for call in calls)).encode()).hexdigest()[:32]
