"""Loggers by name, and those that a run had."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Literal, get_args

from vaekit.errors import UserError, nearest
from vaekit.loggers.logger import Logger

if TYPE_CHECKING:
    from vaekit.runs import Run

_log = logging.getLogger(__name__)

LoggerName = Literal["tensorboard", "mlflow", "wandb"]
"""tensorboard: files in RUN/tensorboard. mlflow: RUN/mlruns, or MLFLOW_TRACKING_URI. wandb: Weights & Biases,
offline in RUN/wandb where there is no key."""

_CLASSES = {"tensorboard": "TensorBoard", "mlflow": "MLflow", "wandb": "WeightsAndBiases"}


def logger(name: str) -> Logger:
    """A logger by its name.

    Raises:
        UserError: if there is none of this name, or its package is not installed.
    """
    if name not in _CLASSES:
        raise UserError(f"there is no logger {name!r}{nearest(name, list(get_args(LoggerName)))}")
    try:
        made: Logger = getattr(import_module(f"vaekit.loggers.{name}"), _CLASSES[name])()
    except Exception as error:  # a package that does not fit the others raises anything when it is imported
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"the logger {name} needs a package that cannot be imported ({reason}): "
            f"python -m pip install 'vaekit[{name}]'"
        ) from error
    return made


def kept_by(run: Run) -> list[Logger]:
    """The loggers that a run had before, to go on with; one that cannot be had is left out with a warning."""
    found = []
    for name in run.record.get("loggers") or {}:
        try:
            found.append(logger(name))
        except UserError as error:
            _log.warning("%s goes on without the logger %s: %s", run.path, name, error)
    return found
