"""Loggers: what a run records, told to a tracker as well. None is imported unless it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vaekit.loggers.following import Following
from vaekit.loggers.logger import Logger
from vaekit.loggers.names import LoggerName, kept_by, logger

if TYPE_CHECKING:
    from vaekit.loggers.mlflow import MLflow
    from vaekit.loggers.tensorboard import TensorBoard
    from vaekit.loggers.wandb import WeightsAndBiases

_HOMES = {"MLflow": "mlflow", "TensorBoard": "tensorboard", "WeightsAndBiases": "wandb"}

__all__ = [
    "Following", "Logger", "LoggerName", "MLflow", "TensorBoard", "WeightsAndBiases", "kept_by", "logger",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vaekit.loggers' has no attribute {name!r}")
    return getattr(import_module(f"vaekit.loggers.{_HOMES[name]}"), name)
