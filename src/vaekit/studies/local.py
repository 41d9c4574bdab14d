"""Worker processes on this machine, which may be killed at any moment."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import vaekit
from vaekit.errors import UserError
from vaekit.studies.call import Call
from vaekit.studies.pool import Pool
from vaekit.studies.store import Keep, Store
from vaekit.studies.unit import Event, Unit
from vaekit.studies.worker import BROKEN, READY

_PATIENCE = 120.0  # seconds that a stopped worker has for its checkpoint


class _Worker:
    """One process and the unit that it is at."""

    def __init__(self, threads: int) -> None:
        self.unit: Unit | None = None
        self.left: dict[str, Call] = {}  # runs of the unit that have not come back
        self.heard = b""
        self.ready = False
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed in `end`)
        places = [
            str(Path(vaekit.__file__).parent.parent),
            *os.environ.get("PYTHONPATH", "").split(os.pathsep),
        ]
        count = str(threads)
        self.process = subprocess.Popen(
            # -P: a file torch.py in the working directory is none of ours
            [sys.executable, "-P", "-m", "vaekit.studies.worker", count],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            start_new_session=True,  # Ctrl-C reaches the runner alone, which lets its workers end in order
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places)),
                 "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count},
        )  # fmt: skip

    def say(self, line: str) -> None:
        """A line to the worker; one that has died is noticed by its silence."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()

    def hear(self) -> tuple[list[dict[str, Any]], bool]:
        """Its answers, and whether it has died."""
        assert self.process.stdout is not None
        came = os.read(self.process.stdout.fileno(), 1 << 16)
        *lines, self.heard = (self.heard + came).split(b"\n")
        return [json.loads(line) for line in lines], not came

    def last_words(self) -> str:
        """Of a worker that has died: by which signal, or with which error."""
        code = self.process.wait()
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"its worker was ended by {signal.Signals(-code).name}"
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return f"its worker ended with {lines[-1] if lines else f'exit code {code}'}"

    def end(self, kill: bool = False) -> None:
        """Wait for its end, and let go of its pipes."""
        if kill:
            self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self.process.wait()
        self.errors.close()


@final
class Local(Pool):
    """Worker processes, one torch thread each unless told otherwise.

    Args:
        store: the folder of the study.
        keep: what stays of a run.
        device: where runs are trained.
        workers: how many processes.
        threads: torch threads of each.
    """

    def __init__(self, store: Store, keep: Keep, device: str, workers: int, threads: int = 1) -> None:
        self.order = {"store": str(store.path.resolve()), "keep": keep, "device": device}
        self.count, self.threads = workers, threads
        self.workers: list[_Worker] = []
        self.selector = selectors.DefaultSelector()
        self.mute = 0  # workers in a row that died before they were ready

    @property
    def at_work(self) -> Sequence[Sequence[Call]]:
        """See `Pool`."""
        return [list(worker.left.values()) for worker in self.workers if worker.left]

    @property
    def size(self) -> int:
        """See `Pool`."""
        return self.count

    @property
    def pids(self) -> list[int]:
        """Of the workers that are at something."""
        return [worker.process.pid for worker in self.workers if worker.left]

    def start(self, unit: Unit) -> None:
        """See `Pool`."""
        worker = next((worker for worker in self.workers if not worker.left), None)
        if worker is None:
            worker = _Worker(self.threads)
            self.workers.append(worker)
            assert worker.process.stdout is not None
            self.selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        worker.unit, worker.left = unit, {call.hash: call for call in unit.calls}
        worker.say(json.dumps({"unit": unit.to_json(), **self.order}))

    def wait(self, seconds: float) -> Sequence[Event]:
        """See `Pool`."""
        found = []
        for key, _ in self.selector.select(seconds):
            worker: _Worker = key.data
            answers, died = worker.hear()
            for answer in answers:
                found += self._answered(worker, answer)
            if died:
                found += self._lost(worker)
        return found

    def _answered(self, worker: _Worker, answer: dict[str, Any]) -> list[Event]:
        if answer["status"] == READY:
            worker.ready, self.mute = True, 0
            return []
        if answer["status"] == BROKEN:
            return [Event(tuple(worker.left.values()), "broken", answer["why"])] if worker.left else []
        calls = tuple(worker.left.pop(hash_) for hash_ in answer["hashes"])
        return [Event(calls, answer["status"], answer["why"])]

    def _lost(self, worker: _Worker) -> list[Event]:
        assert worker.process.stdout is not None
        self.selector.unregister(worker.process.stdout)
        self.workers.remove(worker)
        why, unit, left = worker.last_words(), worker.unit, tuple(worker.left.values())
        worker.end()
        if unit is None or not left:
            return []
        if worker.ready:
            return [Event(left, "lost", why)]
        self.mute += 1
        if self.mute > self.count + 2:
            raise UserError(f"no worker can be started: {why.removeprefix('its worker ')}")
        self.start(unit)  # it died of its own start: that is nothing about the run
        return []

    def stop(self) -> None:
        """See `Pool`."""
        until = time.monotonic() + _PATIENCE
        kill = False
        for worker in self.workers:
            worker.say("stop")
        for worker in self.workers:
            try:
                worker.process.wait(max(0.0, until - time.monotonic()))
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                kill, until = True, 0.0
            worker.end(kill)
        self._forget()

    def close(self) -> None:
        """See `Pool`."""
        for worker in self.workers:
            worker.end(kill=bool(worker.left))  # a study that broke does not wait for the others
        self._forget()

    def _forget(self) -> None:
        self.workers = []
        self.selector.close()
