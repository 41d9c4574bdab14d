"""Two things side by side: short blocks in the order A B B A, and the median of the ratios of the rounds."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any

BLOCK = 0.02  # seconds: long beside the clock, short beside the moods of the machine
WARM_UP = 10


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        section: which part of the benchmarks.
        name: what was compared.
        ratio: median over rounds; None where there is nothing to report, and then `note` says why.
        low, high: quartiles of the ratio over rounds.
        fastest: ratio of the fastest rounds of both sides, which other work on the machine disturbs least.
        most, least: the target, if there is one.
        seconds: what -> median time of one unit of work.
        rounds: number of ratios behind the median.
        note: anything else a reader has to know.
    """

    section: str
    name: str
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    fastest: float | None = None
    most: float | None = None
    least: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    rounds: int = 0
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target or a measurement."""
        if self.ratio is None or (self.most is None and self.least is None):
            return None
        return (self.most is None or self.ratio <= self.most) and (
            self.least is None or self.ratio >= self.least
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "met": self.met}


def row_of(
    section: str, name: str, first: tuple[str, list[float]], second: tuple[str, list[float]], **rest: Any
) -> Row:
    """The row of paired times: the ratio is that of `first` over `second`, round by round."""
    ratios = [a / b for a, b in zip(first[1], second[1], strict=True)]
    low, middle, high = quartiles(ratios)
    seconds = {label: median(times) for label, times in (first, second)}
    fastest = min(first[1]) / min(second[1])
    return Row(section, name, middle, low, high, fastest, seconds=seconds, rounds=len(ratios), **rest)


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """First quartile, median, third quartile."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return low, middle, high


def keep_memory() -> bool:
    """Ask glibc never to give freed memory back to the system; False where there is no glibc.

    By default it gives the large temporaries of a step back, and asks for them again: by chance a step has
    none or a thousand page faults, which costs up to a fifth of its time on either side.
    """
    try:
        library = ctypes.CDLL("libc.so.6")
        trim, from_system = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, which is 32 MiB at most
        return bool(library.mallopt(trim, 1 << 30)) and bool(library.mallopt(from_system, 32 << 20))
    except (OSError, AttributeError):
        return False


@contextmanager
def quiet() -> Iterator[None]:
    """No garbage collection inside: it would fall on either side by chance."""
    gc.collect()
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}
"""cpu: processor time of all threads, which other work on the machine disturbs less; for one thread."""


def side_by_side(
    first: Callable[[], object],
    second: Callable[[], object],
    seconds: float,
    clock: Clock = time.perf_counter,
    least_rounds: int = 8,
    warm_up: int = WARM_UP,
) -> tuple[list[float], list[float]]:
    """Seconds per call of both, one number a round; a round is A B B A, so that a drift falls on both.

    Args:
        first: one unit of work.
        second: the same work done otherwise.
        seconds: what the whole measurement may take, about.
        clock: what is read before and after every block.
        least_rounds: fewest rounds, whatever they take.
        warm_up: calls of each before anything is measured.
    """
    with quiet():
        for work in (first, second):
            _time(work, warm_up, clock)
        trial = min(3, warm_up)
        one = max(min(_time(first, trial, clock), _time(second, trial, clock)) / trial, 1e-6)
        calls = max(1, round(BLOCK / one))
        rounds = max(least_rounds, round(seconds / (4 * calls * one)))
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            a, b = _time(first, calls, clock), _time(second, calls, clock)
            b += _time(second, calls, clock)
            a += _time(first, calls, clock)
            times[0].append(a / (2 * calls))
            times[1].append(b / (2 * calls))
    return times


def _time(work: Callable[[], object], calls: int, clock: Clock) -> float:
    begin = clock()
    for _ in range(calls):
        work()
    return clock() - begin
