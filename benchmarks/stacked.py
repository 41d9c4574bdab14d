"""Section `stacked`: a step of M stacked models over M steps of single ones, and what the study then costs.

Both sides take their batches from bits that lie on the device, draw their noise, and make a whole step; on an
NVIDIA GPU the stacked step is captured. The study of Locatello et al. 2019 (arXiv 1811.12359) trained 12,600
models, 2,100 of each method, for 300,000 steps at batch 64, in 2.52 years of a P100 by its own account. Here
images have one channel; five of its seven data sets have three, which costs 6.1 / 5.3 of the products.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import Clock, Row, row_of, side_by_side
from vaekit import recipes
from vaekit.data.batch import Splits
from vaekit.data.dsprites import FACTORS, index_of, packed_images
from vaekit.data.grids import GridData
from vaekit.data.resident import PackedImages
from vaekit.data.spec import Spec
from vaekit.randomness import own_stream
from vaekit.stacked import Stack, StackedFit, Streams
from vaekit.system import System
from vaekit.trainer import Training

BATCH, STEPS, MODELS = 64, 300_000, 12_600
PAPER_HOURS = 2.52 * 365 * 24
EVERY = {"shape": 1, "scale": 1, "orientation": 1, "position_x": 8, "position_y": 8}
"""What is left out of the grid: any number of images costs the same."""
AGREEMENT = 1e-4  # relative, of the losses of the third step

METHODS: dict[str, tuple[str, dict[str, Any], str, tuple[float, ...]]] = {
    "beta_vae": ("beta_vae", {}, "beta", (1.0, 2.0, 4.0, 6.0, 8.0, 16.0)),
    "annealed_vae": (
        "annealed_vae", {"learning_rate": 1e-4}, "capacity", (5.0, 10.0, 25.0, 50.0, 75.0, 100.0),
    ),
    "factor_vae": ("factor_vae", {}, "gamma", (10.0, 20.0, 30.0, 40.0, 50.0, 100.0)),
    "dip_vae_i": ("dip_vae", {"variant": "i"}, "lambda_od", (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)),
    "dip_vae_ii": ("dip_vae", {"variant": "ii"}, "lambda_od", (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)),
    "beta_tcvae": (
        "beta_tcvae", {"estimator": "closed", "learning_rate": 1e-4}, "beta", (1.0, 2.0, 4.0, 6.0, 8.0, 10.0),
    ),
}  # fmt: skip
"""Method -> (recipe, arguments, the strength, its grid)."""


def sprites(device: torch.device) -> GridData:
    """Every `EVERY`-th value of each factor, as bits on the device."""
    factors = {name: -(-size // EVERY[name]) for name, size in FACTORS.items()}
    spec = Spec("dsprites", (1, 64, 64), "binary", prod(factors.values()), factors=factors)
    values = np.stack(np.unravel_index(np.arange(spec.size), tuple(factors.values())), axis=1)
    points = index_of(values * np.array([EVERY[name] for name in factors]))
    return GridData(PackedImages(spec, torch.from_numpy(packed_images(points))).to(device))


def build(method: str, number: int, count: int, spec: Spec, device: torch.device) -> tuple[System, Tensor]:
    """Model `number` of a method, strengths running fastest, and where its stream then stands."""
    name, arguments, strength, grid = METHODS[method]
    with own_stream(device, number // len(grid)), device:
        made: Callable[..., System] = getattr(recipes, name)
        system = made(spec, latents=10, **arguments, **{strength: grid[number % len(grid)]})
        system.model.train()
        on_gpu = device.type == "cuda"
        return system, torch.cuda.get_rng_state(device) if on_gpu else torch.get_rng_state()


class Together:
    """M models as one, on the batches and noise of their own."""

    def __init__(self, method: str, count: int, data: GridData, device: torch.device) -> None:
        grid = METHODS[method][3]
        states: list[Tensor] = []

        def systems() -> Iterator[System]:
            for number in range(count):
                system, state = build(method, number, count, data.spec, device)
                states.append(state)
                yield system

        stack = Stack(systems(), count)
        seeds = [number // len(grid) for number in range(count)]
        training = Training(epochs=1, batch_size=BATCH)
        self.fit = StackedFit(stack, Splits(data, data, data), training, seeds, Streams(states, device))
        self.batches = (batch for epoch in itertools.count() for batch in self.fit.batches(epoch))

    def step(self) -> None:
        """One step of all."""
        self.fit.advance(next(self.batches))

    def losses(self) -> Tensor:
        """Sums of the first player's losses so far, (M,)."""
        return next(value for name, value in self.fit.totals.items() if name.endswith("loss")) / BATCH


class Apart:
    """The same models, one after the other."""

    def __init__(self, method: str, count: int, data: GridData, device: torch.device) -> None:
        grid = METHODS[method][3]
        self.systems, self.totals = [], torch.zeros(count, dtype=torch.float64, device=device)
        self.device = device
        self.sources = []
        for number in range(count):
            system, state = build(method, number, count, data.spec, device)
            self.systems.append((system, torch.Generator(device)))
            self.systems[-1][1].set_state(state)
            self.sources.append(self._batches(data, number // len(grid)))

    def _batches(self, data: GridData, seed: int) -> Iterator[dict[str, Tensor]]:
        for epoch in itertools.count():
            yield from data.batches(BATCH, seed=seed, epoch=epoch, device=self.device)

    def step(self, exact: bool = False) -> None:
        """One step of each; with `exact` on its own stream of noise, which training needs no time for."""
        for number, ((system, generator), source) in enumerate(zip(self.systems, self.sources, strict=True)):
            if exact:
                self._set(generator.get_state())
            values = system.procedure.step([next(source)])
            if exact:
                generator.set_state(self._get())
            first = system.procedure.players[0].name
            self.totals[number] += values["loss" if "loss" in values else f"{first}/loss"]

    def _set(self, state: Tensor) -> None:
        torch.cuda.set_rng_state(state, self.device) if self.device.type == "cuda" else torch.set_rng_state(
            state
        )

    def _get(self) -> Tensor:
        return torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else torch.get_rng_state()


def hours(seconds: float, models: int = MODELS) -> float:
    """Hours that so many models take, where one step of one model takes so many seconds."""
    return models * STEPS * seconds / 3600


def compare(
    method: str, count: int, data: GridData, device: torch.device, seconds: float, clock: Clock
) -> Row:
    """One row, in seconds per step of all M models: stacked over single."""
    label = f"{method}, conv 64x64, batch {BATCH}, {count} models"
    together, apart = Together(method, count, data, device), Apart(method, count, data, device)
    for _ in range(3):
        together.step()
        apart.step(exact=True)
    far = float(((together.losses() - apart.totals) / apart.totals).abs().max())
    if not far <= AGREEMENT:
        return Row("stacked", label, note=f"refused: the losses differ by {far:.1e} of their value")

    def finished(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            work()
            if device.type == "cuda":
                torch.cuda.synchronize()

        return run

    first, second = side_by_side(
        finished(together.step), finished(apart.step), seconds, clock, least_rounds=3, warm_up=3
    )
    each = sorted(first)[len(first) // 2] / count
    note = f"{3600 / (STEPS * each):.3g} models of {STEPS:,} steps an hour; losses agree to {far:.0e}"
    return row_of("stacked", label, ("stacked", first), ("single", second), note=note)


def run(seconds: float, clock: Clock, models: int | None, methods: Iterable[str] = ()) -> Iterator[Row]:
    """A row for every method, and the hours of the study at their rates."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    count = models or (128 if device.type == "cuda" else 4)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "a CPU"
    data = sprites(device)
    chosen = list(methods or METHODS)
    total = 0.0
    for method in chosen:
        row = compare(method, count, data, device, seconds, clock)
        yield row
        if row.ratio is None:
            return
        total += hours(row.seconds["stacked"] / count, MODELS // len(chosen))
    open_ = "" if device.type == "cuda" else "; the figure of a GPU is open: no GPU was here"
    yield Row(
        "stacked",
        f"the {MODELS:,} models of Locatello et al. 2019 at the rates above",
        note=f"{total:,.0f} hours of {where} ({MODELS / total:.3g} models an hour), beside the paper's 2.52 "
        f"GPU-years ({PAPER_HOURS:,.0f} hours of a P100): {PAPER_HOURS / total:.3g} times as fast"
        + ("" if len(chosen) == len(METHODS) else f", as if all were {', '.join(chosen)}")
        + open_,
    )
