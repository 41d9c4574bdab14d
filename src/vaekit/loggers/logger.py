"""What a logger hears of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaekit.runs import Run


class Logger(ABC):
    """Hears what a run records, and hands it on.

    `started` comes first, then `called`, then any number of rows, then perhaps `evaluated`, then `finished`.
    A run that is resumed begins again with `started`, and no row is told twice. What a stage records has the
    name of the stage in front, as in "prior/train/loss". Whatever a method raises turns the logger off with
    one warning; it never stops the training.
    """

    name: str
    """Under which run.json keeps what the logger needs to go on."""

    @abstractmethod
    def started(self, run: Run) -> dict[str, Any]:
        """Begin, or go on with what `run.record["loggers"][name]` says.

        Args:
            run: its directory stands already.

        Returns:
            What finds the same place again when the run is resumed: plain JSON values, without secrets.
        """

    @abstractmethod
    def called(self, call: dict[str, Any]) -> None:
        """The call: recipe, its arguments, data, seed and training, by flat names; of every stage anew."""

    @abstractmethod
    def row(self, values: dict[str, float], epoch: int, stage: str) -> None:
        """The record of an epoch.

        Args:
            values: every named value, such as "train/rate" and "valid/rate", with the stage in front.
            epoch: 1, 2, ... of the training, or of the stage.
            stage: "" for the training itself, or the name of the stage.
        """

    @abstractmethod
    def evaluated(self, values: dict[str, float]) -> None:
        """The final measures on held-out data, such as "evaluation/elbo"."""

    @abstractmethod
    def finished(self, status: str) -> None:
        """The end, for now: finished, interrupted or failed."""
