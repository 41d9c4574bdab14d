"""Section `pythae`: the same training and the same likelihood on Pythae, from its package.

It runs in an environment of its own. Same layers and first weights, data, batch, optimiser and float32; both
sides write their folder and look at the held-out set once per epoch. Each side is one process that waits
while the other works.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.step import MLP, make
from benchmarks.timing import Row, row_of
from benchmarks.trainer import TRAIN, pictures
from vaekit.data.spec import Spec
from vaekit.recipes import iwae
from vaekit.system import System

HERE = Path(__file__).parent
PYTHAE = "0.1.2"
EPOCHS = 3
LOSSES_AGREE = 0.02  # relative, of the held-out losses after the same epochs from the same weights
NLL_AGREES = 0.01
NLL_DATA = 20
DEFAULT_BATCH = 100
NLL_BATCHES = (DEFAULT_BATCH, 250, 500, 1000)


class UnavailableError(Exception):
    """Pythae cannot be had here."""


def environment(cache: Path | None) -> Path:
    """The Python of an environment with Pythae and this torch, made on first use.

    Raises:
        UnavailableError: with the last words of what failed.
    """
    torch_version = torch.__version__.split("+")[0]
    home = cache or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vaekit"
    folder = home / f"benchmark-pythae-{PYTHAE}-torch-{torch_version}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "installed"
    if not done.exists():
        print(f"making an environment for Pythae in {folder}", file=sys.stderr)
        wanted = [f"torch=={torch_version}", f"pythae=={PYTHAE}"]
        constraints = HERE.parent / "constraints.txt"
        pinned = ["-c", str(constraints)] if constraints.exists() else []
        call([sys.executable, "-m", "venv", "--clear", str(folder)])
        call([str(python), "-m", "pip", "install", "--quiet", *pinned, *wanted])
        done.touch()
    call([str(python), "-c", "import pythae.models, pythae.trainers"])
    return python


def call(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UnavailableError(f"{command[0]}: {error}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UnavailableError(f"{' '.join(command[1:4])} ... ended with {done.returncode}: {last}")


class Peer:
    """One side: a process that does one task at a time."""

    def __init__(self, python: str, script: str, data: Path, threads: int) -> None:
        command = [python, str(HERE / script), str(data), str(threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONDONTWRITEBYTECODE": "1"}
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed with the process)
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=environment,
        )
        self.version = self._answer()["ready"]

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None  # it is a pipe
        for line in self.process.stdout:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        self.log.seek(0)
        last = (self.log.read().strip().splitlines() or ["no message"])[-1]
        raise UnavailableError(f"{self.process.args[1]} ended: {last}")

    def do(self, **task: Any) -> dict[str, Any]:
        assert self.process.stdin is not None  # it is a pipe
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate()
        self.log.close()


def weights_of(system: System) -> list[np.ndarray]:
    model: Any = system.model
    parts = [*model.posteriors[0].network.parameters(), *model.likelihood.network.parameters()]
    return [part.detach().numpy() for part in parts]


def write_data(path: Path) -> str:
    """What both sides read; returns where the pictures come from."""
    x, source = pictures()
    arrays = {"train": x[:TRAIN].numpy(), "valid": x[TRAIN:].numpy()}
    systems = {"step": make("vae", MLP), "nll": iwae(Spec("benchmark", (1, 28, 28), "binary", size=TRAIN))}
    for name, system in systems.items():
        arrays |= {f"{name}_{i}": values for i, values in enumerate(weights_of(system))}
    np.savez(path, **arrays)
    return source


def run(
    rounds: int, threads: int, python: Path | None = None, cache: Path | None = None, samples: int = 5000
) -> Iterator[Row]:
    """Rows of training with both loaders, and of the likelihood."""
    try:
        where = python or environment(cache)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            source = write_data(folder / "data.npz")
            ours = stack.enter_context(Peer(sys.executable, "peer_vaekit.py", folder / "data.npz", threads))
            theirs = stack.enter_context(Peer(str(where), "peer_pythae.py", folder / "data.npz", threads))
            for loader in ("stock", "best"):
                yield train_row(ours, theirs, loader, rounds, source)
            yield from nll_rows(ours, theirs, rounds, samples)
    except (UnavailableError, OSError) as error:
        yield Row("pythae", f"Pythae {PYTHAE}", note=f"unavailable: {error}")


def train_row(ours: Peer, theirs: Peer, loader: str, rounds: int, source: str) -> Row:
    name = f"training, Pythae {theirs.version}, its {loader} loader"
    times: tuple[list[float], list[float]] = ([], [])
    losses: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        order = ((0, ours), (1, theirs)) if number % 2 else ((1, theirs), (0, ours))
        for side, peer in order:
            found = peer.do(do="fit", epochs=EPOCHS, loader=loader)
            if number:  # the first round warms up
                times[side].append(found["seconds"] / (EPOCHS * TRAIN / MLP.batch))
                losses[side].append(found["loss"])
    a, b = (sum(values) / len(values) for values in losses)
    if not abs(a - b) <= LOSSES_AGREE * b:
        note = f"refused: held-out losses {a:.1f} and {b:.1f} nats are no result of the same training"
        return Row("pythae", name, note=note)
    note = f"{source}, {EPOCHS} epochs, held-out loss {a:.1f} and {b:.1f} nats"
    return row_of("pythae", name, ("vaekit", times[0]), ("pythae", times[1]), most=1.0, note=note)


def nll_rows(ours: Peer, theirs: Peer, rounds: int, samples: int) -> Iterator[Row]:
    """Speed of vaekit over Pythae's: with the batch size that it has by default, and its best of some."""
    trial = {}
    for batch in NLL_BATCHES:
        if batch <= samples:
            taken = [theirs.do(do="nll", data=2, samples=samples, batch=batch)["seconds"] for _ in range(3)]
            trial[batch] = min(taken)
    best = min(trial, key=trial.__getitem__)
    for batch, words in ((DEFAULT_BATCH, "its default"), (best, "its fastest")):
        if batch in trial:
            yield nll_row(ours, theirs, rounds, samples, batch, words)


def nll_row(ours: Peer, theirs: Peer, rounds: int, samples: int, batch: int, words: str) -> Row:
    name = (
        f"NLL, {samples} samples, network of Burda et al., speed over Pythae in batches of {batch}, {words}"
    )
    times: tuple[list[float], list[float]] = ([], [])
    values = [0.0, 0.0]
    for number in range(rounds + 1):
        order = ((0, ours), (1, theirs)) if number % 2 else ((1, theirs), (0, ours))
        for side, peer in order:
            found = peer.do(do="nll", data=NLL_DATA, samples=samples, batch=batch)
            values[side] = found["nll"]
            if number:  # the first round warms up
                times[side].append(found["seconds"] / NLL_DATA)
    a, b = values
    if not abs(a - b) <= NLL_AGREES * b:
        return Row("pythae", name, note=f"refused: {a:.2f} and {b:.2f} nats are no estimates of the same")
    note = f"per datum, gradients switched off for both; {a:.2f} and {b:.2f} nats"
    return row_of("pythae", name, ("pythae", times[1]), ("vaekit", times[0]), least=4.0, note=note)
