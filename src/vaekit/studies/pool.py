"""What the runner needs of whoever carries out the runs: this process, its children, or a cluster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from vaekit.studies.call import Call
from vaekit.studies.store import Keep, Store
from vaekit.studies.work import work

What = Literal["finished", "failed", "taken", "lost", "broken"]


@dataclass(frozen=True)
class Event:
    """What came of a run that was handed out.

    Args:
        call: the run.
        what: finished or failed, with a record; taken: another process is at it, or has done it; lost: the
            worker died, and the run is to be handed out again; broken: nothing can go on.
        why: of lost and broken, in words.
    """

    call: Call
    what: What
    why: str = ""


class Pool(ABC):
    """Workers, each at one run at a time."""

    @property
    @abstractmethod
    def running(self) -> int:
        """Runs that were handed out and not come back."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many can run at once."""

    @abstractmethod
    def start(self, call: Call) -> None:
        """Hand out a run."""

    @abstractmethod
    def wait(self, seconds: float) -> Sequence[Event]:
        """What has come back; after so many seconds nothing."""

    @abstractmethod
    def stop(self) -> None:
        """Let all runs end with a checkpoint, and all workers end; a second Ctrl-C does not wait for them."""

    @abstractmethod
    def close(self) -> None:
        """Let all workers end, where no run is left."""


@final
class Here(Pool):
    """No workers: every run in this process, one after the other. For tests, and for a debugger.

    Args:
        store: the folder of the study.
        keep: what stays of a run.
        device: where it is trained.
    """

    def __init__(self, store: Store, keep: Keep, device: str) -> None:
        self.store, self.keep, self.device = store, keep, device
        self.waiting: list[Call] = []

    @property
    def running(self) -> int:
        """See `Pool`."""
        return len(self.waiting)

    @property
    def size(self) -> int:
        """See `Pool`."""
        return 1

    def start(self, call: Call) -> None:
        """See `Pool`."""
        self.waiting.append(call)

    def wait(self, seconds: float) -> Sequence[Event]:
        """Carry out the run."""
        done = [Event(call, work(self.store, call, self.keep, self.device)) for call in self.waiting]
        self.waiting = []
        return done

    def stop(self) -> None:
        """The interruption has ended the run already."""

    def close(self) -> None:
        """Nothing to close."""
