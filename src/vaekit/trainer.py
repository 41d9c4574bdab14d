"""The training loop. It reads top to bottom, and it does not know what kind of system it trains."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from vaekit.checkpoint import Tensors, device_of, pack_system, unpack_system
from vaekit.checks import known
from vaekit.data.batch import Data, Splits
from vaekit.errors import UnsupportedError, UserError
from vaekit.parallel import Team
from vaekit.procedures import Manner, Simultaneous
from vaekit.system import System
from vaekit.trace import Batch
from vaekit.validation import row_of, standing, validate

Weights = Literal["auto", "last"]


@dataclass(frozen=True)
class Training:
    """How a system is trained: everything that is the user's choice and not the recipe's.

    Args:
        epochs: passes over the training set.
        batch_size: data per step.
        steps: stop after this many steps, if before the last epoch ends.
        seed: of initial weights, order and noise.
        precision: bfloat16 runs the networks in mixed precision; densities stay in float32.
        accumulate: pieces that a batch is cut into, to save memory; the step is the same.
        clip: largest gradient norm of each player.
        patience: stop after this many epochs without a better held-out loss.
        weights: which are handed back: auto as the system says, by their held-out loss or the last ones; last
            always the last ones, as studies do that compare methods after equal numbers of steps.
        checkpoint_seconds: seconds between states from which the run can be resumed.
        compile: compile the pass and the losses; see `Procedure.compile`.
    """

    epochs: int
    batch_size: int
    steps: int | None = None
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    accumulate: int = 1
    clip: float | None = None
    patience: int | None = None
    checkpoint_seconds: float = 10.0
    compile: bool = False
    weights: Weights = "auto"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "steps", "accumulate", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` is {value}; expected at least 1")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"`seed` is {self.seed}; expected 0 .. 2^63 - 1")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"`clip` is {self.clip}; expected a positive number")
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"`precision` is {self.precision!r}; expected float32 or bfloat16")
        known("weights", self.weights, Weights)
        if self.patience is not None and self.weights == "last":
            raise ValueError(
                f"`patience` is {self.patience}, which asks for the best weights, and `weights` is 'last': "
                "leave one of them out"
            )


@dataclass
class Progress:
    """Where a run is. All of it is saved with every checkpoint."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    best_value: float | None = None
    best_epoch: int = 0
    stalled: int = 0
    done: bool = False


Show = Callable[[Progress, int, Callable[[], dict[str, float]]], bool | None]
Save = Callable[[Tensors, dict[str, Any], list[dict[str, Any]]], None]


class Fit:
    """One training run of one system.

    Args:
        system: what is trained.
        splits: the data; `train` moves the weights, `valid` chooses among them, `test` is not looked at.
        training: how.
        save: called with the state, its note and the rows of the record, whenever the run can be resumed.
        show: called after every step with where the run is, the number of batches of the epoch, and a
            function that fetches the running means of the named values (fetching waits for the device).
            Where it returns True the run stops with a checkpoint and a `KeyboardInterrupt`.
        team: the processes that train the system together, if there are several; `save` is called on the
            first of them, and all stop where `show` returns True on one.

    Raises:
        UnsupportedError: if the system's loss cannot be cut into pieces, and `accumulate` or several
            processes ask for it, or the batches are too small for it.
    """

    def __init__(
        self,
        system: System,
        splits: Splits,
        training: Training,
        save: Save,
        show: Show | None = None,
        team: Team | None = None,
    ) -> None:
        refuse_unfit(system, training, len(splits.train))
        if team is not None:
            refuse_apart(system, team.size)
        if training.compile:
            if team is not None:
                raise UnsupportedError(
                    f"`compile` does not go together with several processes yet, and {team.size} were "
                    "started: leave one of them out"
                )
            if not isinstance(system.procedure, Simultaneous):
                raise UnsupportedError(
                    "`compile` makes one graph of a pass and all that is judged of it, but the players of "
                    "this system look one after the other: leave it out"
                )
            # the last piece of a batch, and the last batch, may be smaller: they are not compiled
            system.procedure.compile(math.ceil(training.batch_size / training.accumulate))
        self.system, self.training = system, training
        self.save, self.show, self.team = save, show, team
        self.device = device_of(system)
        self.splits = Splits(
            *(resident(part, self.device) for part in (splits.train, splits.valid, splits.test))
        )
        self.at = Progress()
        self.rows: list[dict[str, Any]] = []
        self.best: Tensors = {}
        self.totals: Tensors = {}
        self.seen = 0

    # -- the loop -----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Train from where the run is to its end; the model then has its best weights, in eval mode."""
        training, at = self.training, self.at
        batches = math.ceil(len(self.splits.train) / training.batch_size)
        manner = Manner(training.clip, self._autocast, self.team)
        started, before = time.monotonic(), at.seconds
        saved = time.monotonic()
        self._align()
        if not at.step and not self.rows:
            self._checkpoint()
        while not at.done:
            self.system.model.train()
            source = self.splits.train.batches(
                training.batch_size, seed=training.seed, epoch=at.epoch, start=at.batch, device=self.device
            )
            for batch in source:
                values = self.system.procedure.step(pieces(batch, training.accumulate), manner)
                self._count(values, len(batch["x"]))
                at.batch += 1
                at.step += 1
                at.seconds = before + time.monotonic() - started
                if self._stopped(batches):
                    self._checkpoint()
                    if self.team is not None:
                        self.team.wait()  # whoever goes on at once finds the checkpoint
                    raise KeyboardInterrupt
                if at.step == training.steps:
                    break
                if time.monotonic() - saved >= training.checkpoint_seconds:
                    self._checkpoint()
                    saved = time.monotonic()
            self._end_of_epoch()
            at.seconds = before + time.monotonic() - started
            if at.done or time.monotonic() - saved >= training.checkpoint_seconds:
                self._checkpoint()
                saved = time.monotonic()
        self.system.model.load_state_dict(self.best)
        self.system.model.eval()

    def _stopped(self, batches: int) -> bool:
        wish = self.show is not None and bool(self.show(self.at, batches, self._means))
        return wish if self.team is None else self.team.any(wish)

    def _align(self) -> None:
        """The same weights, states and noise on every process: equal already, but for other hardware."""
        if self.team is not None:
            modules = self.system.modules().values()
            self.team.align([value for module in modules for value in module.state_dict().values()])

    def _end_of_epoch(self) -> None:
        training, at = self.training, self.at
        row: dict[str, Any] = {"epoch": at.epoch + 1, "step": at.step, "seconds": round(at.seconds, 3)}
        means = self._means()
        row |= {f"train/{name}": value for name, value in means.items()}
        held_out = validate(self.system, self.splits.valid, training.batch_size, self.team)
        row |= row_of(held_out) | {name: float(v) for name, v in standing(self.system.procedure).items()}
        self.rows.append(row)
        loss = next((held_out[name] for name in _loss_names(self.system) if name in held_out), math.nan)
        if not all(math.isfinite(value) for value in means.values()):
            raise UserError(astray(at.epoch + 1))
        last = "last" in (self.system.monitor, training.weights)
        better = at.best_value is None or loss < at.best_value or last
        if better:
            at.best_value, at.best_epoch, at.stalled = loss, at.epoch + 1, 0
            self.best = {k: v.detach().clone() for k, v in self.system.model.state_dict().items()}
        else:
            at.stalled += 1
        self.totals, self.seen = {}, 0
        self._align()
        at.epoch, at.batch = at.epoch + 1, 0
        stalled = training.patience is not None and at.stalled >= training.patience
        at.done = at.epoch >= training.epochs or at.step == training.steps or stalled

    # -- named values, averaged on the device -------------------------------------------------------------

    def _count(self, values: Tensors, size: int) -> None:
        self.seen += size
        for name, value in values.items():
            total = self.totals.get(name)
            if total is None:
                total = self.totals[name] = torch.zeros((), dtype=torch.float64, device=self.device)
            total.add_(value, alpha=size)

    def _means(self) -> dict[str, float]:
        names = list(self.totals)
        if not names:
            return {}
        means = (torch.stack([self.totals[name] for name in names]) / self.seen).tolist()
        return dict(zip(names, means, strict=True))

    # -- going on later ------------------------------------------------------------------------------------

    def _checkpoint(self) -> None:
        if self.team is not None and not self.team.first:
            return
        tensors, about = pack_system(self.system)
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        tensors |= {f"totals/{name}": value for name, value in self.totals.items()}
        self.save(tensors, {**about, "at": vars(self.at), "seen": self.seen}, self.rows)

    def restore(
        self, tensors: Tensors, about: dict[str, Any], rows: list[dict[str, Any]], source: object
    ) -> None:
        """Go back to a checkpoint; rows of the record that came after it are dropped.

        Raises:
            UserError: if it belongs to another system.
        """
        parts: dict[str, Tensors] = {"best": {}, "totals": {}}
        rest: Tensors = {}
        for name, value in tensors.items():
            head, _, tail = name.partition("/")
            if head in parts:
                parts[head][tail] = value.to(self.device)
            else:
                rest[name] = value
        try:
            self.at = Progress(**about["at"])
            self.seen = int(about["seen"])
            counts = (self.at.epoch, self.at.batch, self.at.step, self.at.best_epoch, self.at.stalled)
            if not all(isinstance(n, int) and n >= 0 for n in (*counts, *(row["epoch"] for row in rows))):
                raise ValueError("its counters are no whole numbers")
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{source} is damaged ({error}): start a new run") from error
        self.best, self.totals = parts["best"], parts["totals"]
        self.rows = [row for row in rows if row["epoch"] <= self.at.epoch]
        unpack_system(self.system, rest, about, source)  # last: it also sets the random stream

    def _autocast(self) -> Any:
        if self.training.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


def refuse_unfit(system: System, training: Training, count: int) -> None:
    """Refuse a training that means nothing for a system, from what both say of themselves alone.

    Args:
        system: on any device, "meta" too.
        training: how it is to be trained.
        count: number of training data.

    Raises:
        UnsupportedError: if the system's loss cannot be cut into pieces and `accumulate` asks for it, the
            batches are too small for it, or there is no held-out loss that `patience` could watch.
    """
    coupled = system.procedure.coupled
    if training.accumulate > 1 and coupled:
        raise UnsupportedError(
            f"`accumulate` is {training.accumulate}, but {', '.join(coupled)} "
            f"{'couples' if len(coupled) == 1 else 'couple'} the data of a batch, so that the sum over "
            "pieces would be another loss: train with accumulate=1, and with a smaller batch_size than "
            f"{training.batch_size} if the memory does not suffice"
        )
    fullest = min(training.batch_size, count)
    if fullest < system.least_batch:
        raise UnsupportedError(
            f"a batch of {fullest} is too small for this system, which compares the data of a batch with "
            f"each other: take a batch size of at least {system.least_batch}, and as many training data"
        )
    if training.patience is not None and system.monitor == "last":
        raise UnsupportedError(
            "`patience` needs a held-out loss that can be compared over time, and this system has none: "
            "leave it out, and set the number of epochs"
        )


def astray(epoch: int) -> str:
    """What is said of a training whose numbers became infinite."""
    return (
        f"training left the finite numbers in epoch {epoch}: try a smaller learning rate, --clip 1, or look "
        "for extreme values in the data"
    )


def refuse_apart(system: System, size: int) -> None:
    """Refuse to train a system on several processes whose loss is no mean over them.

    Raises:
        UnsupportedError: naming what couples the data of a batch.
    """
    if apart := system.procedure.apart:
        raise UnsupportedError(
            f"{size} processes were started, but {', '.join(apart)} "
            f"{'couples' if len(apart) == 1 else 'couple'} the data of a batch without saying how to gather "
            "them over processes: train with one process"
        )
    for module in system.modules().values():
        for layer in module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                raise UnsupportedError(
                    f"{size} processes were started, but a {type(layer).__name__} would normalise the share "
                    "of each of them apart: take another normalisation, or train with one process"
                )


def resident(data: Data, device: torch.device) -> Data:
    """The data on the device, where they fit into memory at all; streams upload batch by batch."""
    move = getattr(data, "to", None)
    moved: Data = data if move is None or device.type == "cpu" else move(device)
    return moved


def pieces(batch: Batch, count: int) -> list[Batch]:
    """Cut a batch into `count` pieces, fewer if it has fewer data."""
    if count == 1:
        return [batch]
    parts = {name: value.chunk(count) for name, value in batch.items()}
    return [dict(zip(parts, values, strict=True)) for values in zip(*parts.values(), strict=True)]


def _loss_names(system: System) -> tuple[str, ...]:
    return ("loss", f"{system.procedure.players[0].name}/loss")
