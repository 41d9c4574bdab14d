"""What the runner needs of whoever carries out the runs: this process, its children, or a cluster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

from vaekit.studies.call import Call
from vaekit.studies.stack import carry_out
from vaekit.studies.store import Keep, Store
from vaekit.studies.unit import Event, Unit


class Pool(ABC):
    """Workers, each at one unit at a time: a run, or a stack of them."""

    @property
    @abstractmethod
    def at_work(self) -> Sequence[Sequence[Call]]:
        """Of every unit that was handed out, the runs that have not come back."""

    @property
    def running(self) -> int:
        """Units that have not come back whole."""
        return len(self.at_work)

    @property
    @abstractmethod
    def size(self) -> int:
        """How many can run at once."""

    @abstractmethod
    def start(self, unit: Unit) -> None:
        """Hand out a unit."""

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
        self.waiting: list[Unit] = []

    @property
    def at_work(self) -> Sequence[Sequence[Call]]:
        """See `Pool`."""
        return [unit.calls for unit in self.waiting]

    @property
    def size(self) -> int:
        """See `Pool`."""
        return 1

    def start(self, unit: Unit) -> None:
        """See `Pool`."""
        self.waiting.append(unit)

    def wait(self, seconds: float) -> Sequence[Event]:
        """Carry out the unit."""
        told: list[Event] = []
        for unit in self.waiting:
            carry_out(self.store, unit, self.keep, self.device, told.append)
        self.waiting = []
        return told

    def stop(self) -> None:
        """The interruption has ended the run already."""

    def close(self) -> None:
        """Nothing to close."""
