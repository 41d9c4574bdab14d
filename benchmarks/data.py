"""Section `data`: how fast ground truth is drawn, and batches of it come, over what is asked of them.

A batch is all that a training step gets: points in the order of the epoch, bits gathered and unpacked to
float32, what is drawn beside the factors, and the factors themselves. Times are of many short blocks; on a
busy machine the fastest of them says most.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from benchmarks.timing import BLOCK, Clock, Row, quartiles, quiet
from vaekit.data import FactorData, GridData, ground_truth
from vaekit.data.dsprites import packed_grid
from vaekit.data.sprites import Sprites, SpriteVariant

RATE = 100_000
"""Images a second that are asked of dSprites on one core."""

MINUTE = 60.0
"""Seconds within which its whole grid is to be drawn on one core."""

SIZES = (64, 128, 256, 512)


def run(seconds: float, clock: Clock = time.perf_counter) -> Iterator[Row]:
    """Drawing the grid, then batches of it; then variants and squares, of which nothing is asked."""
    yield drawing(clock)
    sprites = Sprites()
    sprites.whole()
    for size in SIZES:
        yield batches("dsprites", sprites, size, seconds, clock, least=1.0)
    picture = torch.rand(3, 274, 217, generator=torch.Generator().manual_seed(0))
    others: dict[str, FactorData] = {
        "color_dsprites": SpriteVariant(sprites, "colour"),
        "noisy_dsprites": SpriteVariant(sprites, "noise"),
        "scream_dsprites": SpriteVariant(sprites, "scream", picture),
        "xysquares": ground_truth("xysquares"),
        "xyobject": ground_truth("xyobject"),
    }
    for name, source in others.items():
        yield batches(name, source, 64, seconds / 2, clock)


def drawing(clock: Clock, rounds: int = 3) -> Row:
    """The whole grid of dSprites, from nothing to bits."""
    times = []
    for _ in range(rounds):
        begin = clock()
        packed_grid()
        times.append(clock() - begin)
    low, middle, high = quartiles([MINUTE / t for t in times])
    return Row(
        "data", "drawing the 737,280 images of dSprites, a minute over the time taken", middle, low, high,
        MINUTE / min(times), least=1.0, seconds={"grid": min(times)}, rounds=rounds,
    )  # fmt: skip


def batches(
    name: str,
    source: FactorData,
    size: int,
    seconds: float,
    clock: Clock,
    least: float | None = None,
) -> Row:
    """Batches in the order of an epoch: images a second over `RATE`."""
    stream = _without_end(GridData(source), size)
    with quiet():
        for _ in range(20):
            next(stream)
        begin = clock()
        for _ in range(5):
            next(stream)
        calls = max(1, round(BLOCK / max((clock() - begin) / 5, 1e-6)))
        times = []
        for _ in range(max(8, round(seconds / BLOCK))):
            begin = clock()
            for _ in range(calls):
                next(stream)
            times.append((clock() - begin) / calls)
    low, middle, high = quartiles([size / t / RATE for t in times])
    best = min(times)
    return Row(
        "data", f"{name}, batches of {size}: images a second over {RATE:,}", middle, low, high,
        size / best / RATE, least=least, seconds={"batch": best}, rounds=len(times),
        note=f"{size / best:,.0f} images a second in the fastest block",
    )  # fmt: skip


def _without_end(data: GridData, size: int) -> Iterator[object]:
    epoch = 0
    while True:
        yield from data.batches(size, seed=0, epoch=epoch)
        epoch += 1
