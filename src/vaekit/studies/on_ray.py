"""A Ray cluster, or Ray on this machine, as the workers of a study. Ray is imported when it is asked for.

Every worker needs vaekit, the data, and the folder of the study under the same path: where there are several
machines, on a shared disk that knows file locks. A run takes one CPU of the cluster, and no GPU.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, final

from vaekit.errors import UserError
from vaekit.studies.call import Call
from vaekit.studies.pool import Event, Pool
from vaekit.studies.store import Keep, Store

_PATIENCE = 120.0  # seconds that a cancelled run has


@final
class OnRay(Pool):
    """Runs as Ray tasks, each with the same unit of work as elsewhere.

    Connects to the cluster that RAY_ADDRESS names, or that this process is connected to already; otherwise
    Ray is started on this machine, and ended afterwards.

    Args:
        store: the folder of the study.
        keep: what stays of a run.
        device: where runs are trained.
        workers: runs at a time; by default one for every CPU of the cluster.

    Raises:
        UserError: if Ray is not installed, or there is no cluster.
    """

    def __init__(self, store: Store, keep: Keep, device: str, workers: int | None) -> None:
        try:
            import ray
        except ImportError as error:
            raise UserError("`on` is 'ray', which is not installed: `pip install 'vaekit[ray]'`") from error
        self.ray = ray
        self.mine = not ray.is_initialized()
        if self.mine:
            try:
                ray.init(log_to_driver=False, include_dashboard=False, logging_level="error")
            except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
                where = os.environ.get("RAY_ADDRESS", "this machine")
                reason = " ".join(str(error).split())
                raise UserError(f"Ray cannot be reached on {where}: {reason}") from error
        self.count = workers or int(ray.cluster_resources().get("CPU", 1))
        # Ray itself tries nothing again: whether a run is lost is one question, and the runner answers it
        self.task = ray.remote(max_retries=0, num_cpus=1, num_gpus=0)(_task)
        self.order = (str(store.path.resolve()), keep, device)
        self.runs: dict[Any, Call] = {}

    @property
    def running(self) -> int:
        """See `Pool`."""
        return len(self.runs)

    @property
    def size(self) -> int:
        """See `Pool`."""
        return self.count

    def start(self, call: Call) -> None:
        """See `Pool`."""
        self.runs[self.task.remote(call.to_json(), *self.order)] = call

    def wait(self, seconds: float) -> Sequence[Event]:
        """See `Pool`."""
        if not self.runs:
            return []
        done, _ = self.ray.wait(list(self.runs), num_returns=1, timeout=seconds)
        return [self._came(reference) for reference in done]

    def _came(self, reference: Any) -> Event:
        call = self.runs.pop(reference)
        errors = self.ray.exceptions
        try:
            what, why = self.ray.get(reference)
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError) as error:
            return Event(call, "lost", f"its worker was lost ({type(error).__name__})")
        except errors.RayError as error:
            reason = " ".join(str(error).split())[-300:]
            return Event(call, "broken", f"Ray could not carry out a run: {reason}")
        return Event(call, what, why)

    def stop(self) -> None:
        """See `Pool`."""
        until = time.monotonic() + _PATIENCE
        try:
            for reference in self.runs:
                self.ray.cancel(reference)
            while self.runs and time.monotonic() < until:
                done, _ = self.ray.wait(list(self.runs), num_returns=1, timeout=1.0)
                for reference in done:
                    del self.runs[reference]
        except KeyboardInterrupt:
            pass
        self.close()

    def close(self) -> None:
        """See `Pool`."""
        for reference in self.runs:
            self.ray.cancel(reference, force=True)
        self.runs = {}
        if self.mine:
            self.ray.shutdown()


_stores: dict[str, Store] = {}


def _task(call: dict[str, Any], path: str, keep: Keep, device: str) -> tuple[str, str]:
    """Carry out one run in a worker of Ray; see `vaekit.studies.work`."""
    from pathlib import Path

    import torch

    from vaekit.studies.work import work

    torch.set_num_threads(1)
    # one store a process: a second descriptor on the claims would end those of the first
    store = _stores.setdefault(path, Store(Path(path)))
    try:
        return work(store, Call.from_json(call), keep, device), ""
    except UserError as error:
        return "broken", str(error)
