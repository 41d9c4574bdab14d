"""MLflow: RUN/mlruns, or the server that MLFLOW_TRACKING_URI names. The package mlflow-skinny is enough."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from vaekit.loggers.logger import Logger

if TYPE_CHECKING:
    from vaekit.runs import Run

FOLDER = "mlruns"
EXPERIMENT = "vaekit"
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_AT_ONCE = 100  # params that a server takes in one request
_LONGEST = 500  # letters of a value that every server takes


class MLflow(Logger):
    """Metrics over epochs and the call as params, in the experiment `vaekit` or MLFLOW_EXPERIMENT_NAME."""

    name = "mlflow"

    def __init__(self) -> None:
        self._client: MlflowClient | None = None
        self._id = ""

    def started(self, run: Run) -> dict[str, Any]:
        """A run of MLflow, or the one that was begun before."""
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        # a server that does not answer must not hold the training up for minutes
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        if not uri:
            # the plain folder wants to be asked for by name, since new features go into databases alone; a
            # database for every run would take longer to lay out than a small training
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
            uri = (run.path.resolve() / FOLDER).as_uri()
        self._client = MlflowClient(tracking_uri=uri)
        before = (run.record.get("loggers") or {}).get(self.name) or {}
        if "id" in before:
            self._id = self._client.get_run(before["id"]).info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            tags = {"vaekit.recipe": run.record["recipe"], "vaekit.run": str(run.path)}
            made = self._client.create_run(self._experiment(), run_name=run.path.name, tags=tags)
            self._id = made.info.run_id
        return {"id": self._id}

    def called(self, call: dict[str, Any]) -> None:
        """Params, which MLflow never changes: those that it has stay as they were first told."""
        client = self._open()
        known = client.get_run(self._id).data.params
        # a folder keeps a name as a path, where "data" and "data/limit" cannot both stand
        told = {_key(name).replace("/", "."): str(value)[:_LONGEST] for name, value in call.items()}
        params = [Param(name, value) for name, value in told.items() if name not in known]
        for start in range(0, len(params), _AT_ONCE):
            client.log_batch(self._id, params=params[start : start + _AT_ONCE])

    def row(self, values: dict[str, float], epoch: int, stage: str) -> None:
        """Metrics, with the epoch as their step."""
        self._metrics(values, epoch)

    def evaluated(self, values: dict[str, float]) -> None:
        """Metrics of step 0."""
        self._metrics(values, 0)

    def finished(self, status: str) -> None:
        """FINISHED, FAILED or, where it was interrupted, KILLED."""
        self._open().set_terminated(self._id, _STATUS.get(status, "FINISHED"))

    def _experiment(self) -> str:
        client, name = self._open(), os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = client.get_experiment_by_name(name)
        return str(client.create_experiment(name) if found is None else found.experiment_id)

    def _metrics(self, values: dict[str, float], step: int) -> None:
        now = int(1000 * time.time())
        told = [Metric(_key(name), value, now, step) for name, value in values.items()]
        self._open().log_batch(self._id, metrics=told)

    def _open(self) -> MlflowClient:
        if self._client is None:
            raise RuntimeError("it was told something before `started`")
        return self._client


def _key(name: str) -> str:
    """A name in the letters that MLflow takes."""
    return re.sub(r"[^\w\-. :/]", "_", name)
