"""Weights & Biases: online where there is a key, else offline in RUN/wandb. It never asks for a key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import wandb

from vaekit.loggers.logger import Logger

if TYPE_CHECKING:
    from vaekit.runs import Run

PROJECT = "vaekit"
_SECONDS = 20.0  # that the service may take to answer
_CODES = {"finished": 0, "failed": 1, "interrupted": 130}


class WeightsAndBiases(Logger):
    """Curves over epochs, and the call as config, in the project `vaekit` or WANDB_PROJECT.

    WANDB_MODE is honoured. Without it the mode is online where a key is set up, else offline: `wandb sync`
    sends such a run later.
    """

    name = "wandb"

    def __init__(self) -> None:
        self._run: Any = None

    def started(self, run: Run) -> dict[str, Any]:
        """A run of W&B, or the one that was begun before."""
        before = (run.record.get("loggers") or {}).get(self.name) or {}
        mode: Any = None
        if not os.environ.get("WANDB_MODE"):
            mode = "online" if wandb.login(prompt=False) else "offline"
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=run.path.name,
            id=before.get("id"),
            resume="allow" if "id" in before else None,
            dir=str(run.path),
            mode=mode,
            reinit="create_new",  # beside whatever run the caller has open
            settings=wandb.Settings(silent=True, console="off", init_timeout=_SECONDS),
        )
        return {"id": str(self._run.id)}

    def called(self, call: dict[str, Any]) -> None:
        """The config."""
        self._run.config.update(call, allow_val_change=True)

    def row(self, values: dict[str, float], epoch: int, stage: str) -> None:
        """One point of every curve, over the epochs of the training or of the stage."""
        axis = f"{stage}/epoch" if stage else "epoch"  # the epochs of a stage begin anew
        for name in values:
            self._run.define_metric(name, step_metric=axis)
        self._run.log({**values, axis: epoch})

    def evaluated(self, values: dict[str, float]) -> None:
        """Figures of the summary."""
        self._run.summary.update(values)

    def finished(self, status: str) -> None:
        """The end, with the status in the summary, and as exit code."""
        self._run.summary.update({"status": status})
        self._run.finish(exit_code=_CODES.get(status, 0))
        self._run = None
