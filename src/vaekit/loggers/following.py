"""The loggers of one run: who hears what, once each, and that none of them can stop a training."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vaekit.loggers.logger import Logger
from vaekit.loggers.names import logger

if TYPE_CHECKING:
    from vaekit.runs import Run

_log = logging.getLogger(__name__)

MOST = 64
"""Rates of so many latents are told one by one. Of more, rows keep them and loggers hear nothing: each would
be a chart of its own."""


class Following:
    """Tells loggers what a run and its stages record.

    Rows are told after they are saved with a state to go on from: so a run that was killed never tells a row
    that it will train again. How far a logger has heard stands in the record of the run.

    Args:
        loggers: who hears; names or loggers. Of several processes, the one that writes the run tells them.
        hold: whether the end of a training waits for `close`, because an evaluation follows.

    Raises:
        UserError: if there is no such logger, or two have one name.
    """

    def __init__(self, loggers: Sequence[Logger | str] = (), hold: bool = False) -> None:
        self._loggers = [logger(one) if isinstance(one, str) else one for one in loggers]
        names = [one.name for one in self._loggers]
        if len(set(names)) < len(names):
            raise ValueError(f"`loggers` are {', '.join(names)}; expected each name once")
        self._hold = hold
        self._prefix = ""

    def within(self, stage: str) -> Following:
        """The same loggers, for a stage: its names go in front of what it records."""
        part = Following()
        part._loggers = self._loggers  # one list: who fails in a stage is off for the rest
        part._prefix = f"{self._prefix}{stage}/"
        return part

    def started(self, run: Run) -> None:
        """The training of a run begins or goes on."""
        if not (self._loggers and run.writes):
            return
        kept = dict(run.record.get("loggers") or {})
        call = {f"{self._prefix}{name}": value for name, value in call_of(run).items()}

        def begin(one: Logger) -> None:
            before = kept.get(one.name) or {}
            found = {} if self._prefix else one.started(run)
            kept[one.name] = {**found, "epoch": before.get("epoch", 0)}
            one.called(call)

        self._each(begin)
        run.update(loggers=kept)

    def rows(self, run: Run, rows: Sequence[dict[str, Any]]) -> None:
        """Rows that were saved: each logger hears those that it has not heard."""
        if not (self._loggers and run.writes and rows):
            return
        kept = dict(run.record.get("loggers") or {})
        last = rows[-1]["epoch"]
        if all(kept.get(one.name, {}).get("epoch") == last for one in self._loggers):
            return

        def values_of(row: dict[str, Any]) -> dict[str, float]:
            short = {
                name: value
                for name, value in row.items()
                if name != "epoch" and not (isinstance(value, dict) and len(value) > MOST)
            }
            return numbers(short, self._prefix)

        def hear(one: Logger) -> None:
            for row in rows:
                if row["epoch"] > kept[one.name]["epoch"]:
                    one.row(values_of(row), row["epoch"], self._prefix.rstrip("/"))
            kept[one.name] = {**kept[one.name], "epoch": last}

        self._each(hear)
        run.update(loggers=kept)

    def finished(self, run: Run, status: str) -> None:
        """The training ended: finished, interrupted or failed. A stage is no end of the run."""
        if self._prefix or not run.writes or (self._hold and status == "finished"):
            return
        self._each(lambda one: one.finished(status))

    def close(self, run: Run, evaluation: dict[str, Any] | None) -> None:
        """Tell the evaluation, if there was one, and the end that waited for it."""
        if not run.writes:
            return
        if evaluation is not None:
            found = numbers(evaluation, "evaluation/")
            self._each(lambda one: one.evaluated(found))
        self._each(lambda one: one.finished("finished"))

    def _each(self, tell: Callable[[Logger], None]) -> None:
        for one in tuple(self._loggers):
            try:
                tell(one)
            except (Exception, SystemExit) as error:  # a tracker may fail as it likes; the training goes on
                self._loggers.remove(one)
                reason = " ".join(str(error).split())[:200] or "no reason given"
                _log.warning(
                    "the logger %s is off from here on: %s: %s", one.name, type(error).__name__, reason
                )


def call_of(run: Run) -> dict[str, Any]:
    """The recorded call by flat names: recipe, data, seed, the recipe's arguments, training/..., data/..."""
    record = run.record
    data = record["data"]
    return {
        "recipe": record["recipe"],
        "data": data.get("source") or run.spec.name,
        "seed": record["seed"],
        **record["arguments"],
        **{f"data/{name}": value for name, value in data.get("options", {}).items()},
        **{f"training/{name}": value for name, value in record["training"].items() if name != "seed"},
    }


def numbers(found: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """What is a finite number in a record, as JSON keeps it, by flat names; lists and words are left out."""
    flat: dict[str, float] = {}
    for name, value in found.items():
        if isinstance(value, dict):
            flat |= numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            flat[f"{prefix}{name}"] = float(value)
    return flat
