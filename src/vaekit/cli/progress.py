"""What a training shows while it runs: two live lines on a terminal, else a plain line now and then.

Fetching values waits for the device, so nothing is fetched more than four times a second.
"""

from __future__ import annotations

import shutil
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vaekit.cli.words import count, duration
from vaekit.runs import Run
from vaekit.trainer import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

_EVERY = 0.25  # seconds between two pictures of a terminal
_LINES = 20  # of a log, in all
_FIRST = ("distortion", "rate", "loss")


def say(line: str) -> None:
    """A line for people: on stderr, so that stdout holds results alone."""
    print(line, file=sys.stderr, flush=True)


def wrapped(text: str) -> str:
    """Broken between words where stderr is a terminal; a log keeps its lines whole."""
    if not sys.stderr.isatty():
        return text
    return textwrap.fill(text, max(40, shutil.get_terminal_size().columns), subsequent_indent="  ")


class Watch:
    """Follows a training: `started` and `show` are for `vaekit.train` and `vaekit.resume`.

    Args:
        verb: what is being done, for the heading.
        first: whether this process shows anything; of several that train together, one does.
    """

    def __init__(self, verb: str, first: bool = True) -> None:
        self.verb, self.first = verb, first
        self.epochs = 1
        self.limit: int | None = None
        self.batch_size = 1
        self.start: int | None = None
        self.clock = 0.0
        self.drawn = 0.0
        self.said = 0
        self.training = False
        self.stop: BaseException | None = None
        self.live: Live | None = None

    def started(self, run: Run) -> None:
        """The heading, once the run directory stands; of every stage anew."""
        self.close()
        self.start, self.drawn = None, 0.0
        self.training = True
        if not self.first:
            return
        record, spec = run.record, run.spec
        settings = record["training"]
        self.epochs, self.limit = settings["epochs"], settings["steps"]
        sizes = record.get("sizes", {})
        shape = "x".join(map(str, spec.shape))
        train, valid = count(sizes.get("train", spec.size)), count(sizes.get("valid", 0))
        say(
            f"{self.verb} {record['recipe']} on {spec.name}: {train} training and {valid} validation data, "
            f"{shape} {spec.kind}, on {record.get('device', 'cpu')}"
        )
        if spec.note:
            say(wrapped(f"Data: {spec.note}"))
        say(f"Run: {run.path}")
        self.clock = time.monotonic()
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self.live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
            self.live.start()

    def show(self, at: Progress, batches: int, fetch: Callable[[], dict[str, float]]) -> bool:
        """After every step; True stops the training with a checkpoint."""
        now = time.monotonic()
        if not self.first:
            return self.stop is not None
        if self.start is None:
            self.start, self.clock = at.step - 1, now
        if self.live is not None:
            if now - self.drawn >= _EVERY:
                self.live.update(self._picture(at, batches, fetch(), now), refresh=True)
                self.drawn = now
        elif at.batch == batches or at.step == self.limit:
            every = -(-self.epochs // _LINES)
            if (at.epoch + 1) % every == 0 or at.epoch + 1 == self.epochs or at.step == self.limit:
                say(
                    f"epoch {at.epoch + 1}/{self.epochs}  step {count(at.step)}  {figures(fetch())}{best(at)}"
                )
        return self.stop is not None

    def _picture(self, at: Progress, batches: int, values: Mapping[str, float], now: float) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        last = self.epochs * batches if self.limit is None else min(self.limit, self.epochs * batches)
        done = at.step - (self.start or 0)
        left = (now - self.clock) / done * (last - at.step) if done > 1 else None
        line = Table.grid(padding=(0, 2), expand=True)
        for ratio in (None, 1, None, None):
            line.add_column(ratio=ratio, no_wrap=True)
        line.add_row(
            f"epoch {at.epoch + 1}/{self.epochs}",
            ProgressBar(total=max(1, last), completed=at.step, complete_style="cyan", finished_style="cyan"),
            f"step {count(at.step)}",
            "" if left is None else f"{duration(left)} left",
        )
        return Group(line, Text(f"{figures(values)}{best(at)}", no_wrap=True, overflow="ellipsis"))

    def close(self) -> None:
        """Leave the terminal as it was."""
        self.training = False
        if self.live is not None:
            self.live.stop()
            self.live = None

    @contextmanager
    def signals(self) -> Iterator[None]:
        """The first Ctrl-C or SIGTERM stops the training after its step; a second one stops at once."""
        from vaekit.cli import Terminated

        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def heard(number: int, frame: object) -> None:
            stop = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
            if not self.training or self.stop is not None:
                raise stop
            self.stop = stop

        before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self.close()


def figures(values: Mapping[str, float]) -> str:
    """The parts of the bound and what else is named, the loss last."""
    named = [name for name in _FIRST if name in values]
    others = [name for name in values if name not in _FIRST]
    order = [*(name for name in named if name != "loss"), *others, *(["loss"] if "loss" in named else [])]
    return "  ".join(f"{name} {values[name]:.2f}" for name in order)


def best(at: Progress) -> str:
    """The best held-out loss so far."""
    return "" if at.best_value is None else f"  best held-out {at.best_value:.2f} (epoch {at.best_epoch})"
