"""The training loop of a stack: that of `vaekit.trainer.Fit`, for M models in step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vaekit.checkpoint import Tensors, pack_system
from vaekit.data.batch import Splits
from vaekit.errors import UserError
from vaekit.procedures import Manner
from vaekit.randomness import own_stream
from vaekit.stacked.capture import Graphs, Recorder, Steps
from vaekit.stacked.noise import Streams
from vaekit.stacked.refusals import refuse_settings
from vaekit.stacked.stack import Stack
from vaekit.system import System
from vaekit.trace import Batch
from vaekit.trainer import Progress, Show, Training, refuse_unfit, resident
from vaekit.validation import row_of

Rows = list[dict[str, Any]]
Save = Callable[[Tensors, dict[str, Any]], None]


@dataclass
class Best:
    """The best epoch of one model so far, and the epoch that ended it, if its numbers became infinite."""

    value: float | None = None
    epoch: int = 0
    failed: int | None = None


class StackedFit:
    """One training of one stack.

    Args:
        stack: what is trained.
        splits: the data of all models.
        training: how; its seed is not looked at.
        seeds: of each model's batches.
        streams: each model's noise.
        shared: whether all models see the batches of the first, and take their noise from its stream at once.
        save: called with the state and its note whenever the training can be resumed.
        show: as for `vaekit.trainer.Fit`; the means are those over models, too.
        recorder: records the step; by default the device's own, where it has one.

    Raises:
        UnsupportedError: for settings that have no meaning for several models in step.
    """

    def __init__(
        self,
        stack: Stack,
        splits: Splits,
        training: Training,
        seeds: Sequence[int],
        streams: Streams,
        shared: bool = False,
        save: Save = lambda *_: None,
        show: Show | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        refuse_settings(training)
        refuse_unfit(stack.system, training, len(splits.train))
        self.stack, self.training, self.streams = stack, training, streams
        self.shared, self.save, self.show = shared, save, show
        self.device = stack.device
        self.splits = Splits(
            *(resident(part, self.device) for part in (splits.train, splits.valid, splits.test))
        )
        self.at = Progress()
        self.bests = [Best() for _ in range(stack.count)]
        self.best: Tensors = {key: value.detach().clone() for key, value in stack.weights().items()}
        self.rows: list[Rows] = [[] for _ in range(stack.count)]
        self.totals: Tensors = {}
        self.seen = 0
        places = {seed: number for number, seed in enumerate(dict.fromkeys(seeds))}
        self.seeds = list(places)
        alone = len(places) == stack.count
        self._index = None if alone else torch.tensor([places[s] for s in seeds], device=self.device)
        if recorder is None and self.device.type == "cuda":
            recorder = Graphs()
        full = min(training.batch_size, len(splits.train))
        self._steps = Steps(self._step, full, 0 if shared else 1, recorder)
        self._manner = Manner(training.clip, self._autocast)

    # -- the loop -----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Train from where the stack is to its end."""
        training, at = self.training, self.at
        batches = math.ceil(len(self.splits.train) / training.batch_size)
        started, before = time.monotonic(), at.seconds
        saved = time.monotonic()
        self.stack.system.model.train()
        if not at.step:
            self.checkpoint()
        while not at.done:
            for batch in self.batches(at.epoch, at.batch):
                self.advance(batch)
                at.batch += 1
                at.step += 1
                at.seconds = before + time.monotonic() - started
                if self.show is not None and self.show(at, batches, self._mean):
                    self.checkpoint()
                    raise KeyboardInterrupt
                if at.step == training.steps:
                    break
                if time.monotonic() - saved >= training.checkpoint_seconds:
                    self.checkpoint()
                    saved = time.monotonic()
            self._end_of_epoch()
            at.seconds = before + time.monotonic() - started
            if at.done or time.monotonic() - saved >= training.checkpoint_seconds:
                self.checkpoint()
                saved = time.monotonic()

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch: (M, B, ...), or (B, ...) where all models see the same."""
        size = self.training.batch_size
        sources = [
            self.splits.train.batches(size, seed=seed, epoch=epoch, start=start, device=self.device)
            for seed in (self.seeds[:1] if self.shared else self.seeds)
        ]
        for parts in zip(*sources, strict=True):
            if self.shared:
                yield parts[0]
                continue
            batch = {name: torch.stack([part[name] for part in parts]) for name in parts[0]}
            yield batch if self._index is None else {k: v[self._index] for k, v in batch.items()}

    def advance(self, batch: Batch) -> None:
        """One step of all models. Nothing here waits for the device."""
        self._steps(batch, self.noise(batch))
        self.seen += batch["x"].shape[0 if self.shared else 1]

    def noise(self, batch: Batch) -> list[Tensor]:
        """The draws of the next step, each (M, ...)."""
        draws = self.stack.draws(batch, not self.shared)
        if self.shared:
            return [draw.made(self.streams.generators[0], self.stack.count) for draw in draws]
        return self.streams.draw(draws)

    def _step(self, batch: Batch, noise: Sequence[Tensor]) -> None:
        values = self.stack.step(batch, noise, not self.shared, self._manner)
        size = batch["x"].shape[0 if self.shared else 1]
        for name, value in values.items():
            if name not in self.totals:
                self.totals[name] = torch.zeros(self.stack.count, dtype=torch.float64, device=self.device)
            self.totals[name].add_(value, alpha=size)

    def _end_of_epoch(self) -> None:
        training, at, system = self.training, self.at, self.stack.system
        means = {name: (total / self.seen).tolist() for name, total in self.totals.items()}
        valid = self.splits.valid

        def held_out(seed: int) -> Iterator[Batch]:
            return valid.batches(training.batch_size, seed=seed, shuffle=False, device=self.device)

        measured, moved = self.stack.validate(held_out), self.stack.standing()
        first = system.procedure.players[0].name
        losses = next((measured[name] for name in ("loss", f"{first}/loss") if name in measured), None)
        last = "last" in (system.monitor, training.weights)
        better = []
        for m, best in enumerate(self.bests):
            if best.failed is not None:
                continue
            row: dict[str, Any] = {"epoch": at.epoch + 1, "step": at.step, "seconds": self.seconds}
            row |= {f"train/{name}": values[m] for name, values in means.items()}
            row |= row_of({name: values[m] for name, values in measured.items()})
            row |= {name: values[m] for name, values in moved.items()}
            self.rows[m].append(row)
            if not all(math.isfinite(values[m]) for values in means.values()):
                best.failed = at.epoch + 1
                continue
            loss = math.nan if losses is None else losses[m]
            if best.value is None or loss < best.value or last:
                best.value, best.epoch = loss, at.epoch + 1
                better.append(m)
        self._choose(better)
        for total in self.totals.values():
            total.zero_()
        self.seen = 0
        at.epoch, at.batch = at.epoch + 1, 0
        lost = all(best.failed is not None for best in self.bests)
        at.done = at.epoch >= training.epochs or at.step == training.steps or lost

    @torch.no_grad()
    def _choose(self, better: list[int]) -> None:
        index = torch.tensor(better, dtype=torch.long, device=self.device)
        for key, value in self.stack.weights().items():
            self.best[key].index_copy_(0, index, value.index_select(0, index))

    @property
    def seconds(self) -> float:
        """One model's share of the time."""
        return round(self.at.seconds / self.stack.count, 3)

    def _mean(self) -> dict[str, float]:
        names = list(self.totals)
        if not names or not self.seen:
            return {}
        means = (torch.stack([self.totals[name].mean() for name in names]) / self.seen).tolist()
        return dict(zip(names, means, strict=True))

    def _autocast(self) -> Any:
        if self.training.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    # -- what it ends in ------------------------------------------------------------------------------------

    def weights(self, model: int) -> Tensors:
        """The weights of one model that are handed out, as its state dict."""
        return {key: value[model] for key, value in self.best.items()}

    def state(self, model: int, host: Tensor | None) -> tuple[System, Tensors, dict[str, Any]]:
        """The system of one model, and its checkpoint as its own training would have left it.

        Args:
            model: its number.
            host: where its stream on the CPU stands, if it is trained on another device.
        """
        best, at = self.bests[model], self.at
        with own_stream(self.device):
            if self.device.type == "cuda":
                torch.cuda.set_rng_state(self.streams.state(model), self.device)
            torch.set_rng_state(self.streams.state(model) if host is None else host)
            system = self.stack.unstack(model)
            tensors, about = pack_system(system)
        tensors |= {f"best/{key}": value for key, value in self.weights(model).items()}
        mine = replace(
            at, seconds=self.seconds, best_value=best.value, best_epoch=best.epoch,
            stalled=at.epoch - best.epoch, done=True,
        )  # fmt: skip
        return system, tensors, {**about, "at": vars(mine), "seen": 0}

    # -- going on later -------------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Hand the whole state to `save`."""
        tensors = self.stack.pack()
        tensors |= {f"best/{key}": value for key, value in self.best.items()}
        tensors |= {f"totals/{name}": value for name, value in self.totals.items()}
        for number, generator in enumerate(self.streams.generators):
            tensors[f"random/{number}"] = generator.get_state()
        about = {
            "at": vars(self.at), "seen": self.seen, "bests": [asdict(best) for best in self.bests],
            "rows": self.rows,
        }  # fmt: skip
        self.save(tensors, about)

    def restore(self, tensors: Tensors, about: dict[str, Any], source: object) -> None:
        """Go back to a checkpoint.

        Raises:
            UserError: if it belongs to another stack.
        """
        try:
            self.at = Progress(**about["at"])
            self.seen = int(about["seen"])
            self.bests = [Best(**best) for best in about["bests"]]
            self.rows = [list(rows) for rows in about["rows"]]
            if not len(self.bests) == len(self.rows) == self.stack.count:
                raise ValueError(f"it holds {len(self.bests)} models, and the stack {self.stack.count}")
            for key, value in self.best.items():
                value.copy_(tensors[f"best/{key}"])
            for name, value in tensors.items():
                head, _, tail = name.partition("/")
                if head == "totals":
                    self.totals[tail] = value.to(self.device)
            for number, generator in enumerate(self.streams.generators):
                generator.set_state(tensors[f"random/{number}"])
            self.stack.unpack(tensors)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{source} does not continue this stack ({error}): start a new one") from error
