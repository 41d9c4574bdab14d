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
from vaekit.studies.pool import Pool
from vaekit.studies.store import Keep, Store
from vaekit.studies.unit import Event, Unit, What

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
        self.units: dict[Any, Unit] = {}

    @property
    def at_work(self) -> Sequence[Sequence[Call]]:
        """See `Pool`."""
        return [unit.calls for unit in self.units.values()]

    @property
    def size(self) -> int:
        """See `Pool`."""
        return self.count

    def start(self, unit: Unit) -> None:
        """See `Pool`."""
        self.units[self.task.remote(unit.to_json(), *self.order)] = unit

    def wait(self, seconds: float) -> Sequence[Event]:
        """See `Pool`."""
        if not self.units:
            return []
        done, _ = self.ray.wait(list(self.units), num_returns=1, timeout=seconds)
        return [event for reference in done for event in self._came(reference)]

    def _came(self, reference: Any) -> list[Event]:
        unit = self.units.pop(reference)
        calls = {call.hash: call for call in unit.calls}
        errors = self.ray.exceptions
        try:
            told = self.ray.get(reference)
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError) as error:
            return [Event(unit.calls, "lost", f"its worker was lost ({type(error).__name__})")]
        except errors.RayError as error:
            reason = " ".join(str(error).split())[-300:]
            return [Event(unit.calls, "broken", f"Ray could not carry out a run: {reason}")]
        return [Event(tuple(calls[hash_] for hash_ in hashes), what, why) for hashes, what, why in told]

    def stop(self) -> None:
        """See `Pool`."""
        until = time.monotonic() + _PATIENCE
        try:
            for reference in self.units:
                self.ray.cancel(reference)
            while self.units and time.monotonic() < until:
                done, _ = self.ray.wait(list(self.units), num_returns=1, timeout=1.0)
                for reference in done:
                    del self.units[reference]
        except KeyboardInterrupt:
            pass
        self.close()

    def close(self) -> None:
        """See `Pool`."""
        for reference in self.units:
            self.ray.cancel(reference, force=True)
        self.units = {}
        if self.mine:
            self.ray.shutdown()


_stores: dict[str, Store] = {}


def _task(
    unit: dict[str, Any], path: str, keep: Keep, device: str
) -> list[tuple[tuple[str, ...], What, str]]:
    """Carry out one unit in a worker of Ray: (hashes, what came of them, why); see `vaekit.studies.stack`."""
    from pathlib import Path

    import torch

    from vaekit.studies.stack import carry_out

    torch.set_num_threads(1)
    # one store a process: a second descriptor on the claims would end those of the first
    store = _stores.setdefault(path, Store(Path(path)))
    given, told = Unit.from_json(unit), list[Event]()
    try:
        carry_out(store, given, keep, device, told.append)
    except UserError as error:
        told.append(Event(given.calls, "broken", str(error)))
    return [(tuple(call.hash for call in event.calls), event.what, event.why) for event in told]
