"""Section `step`: every recipe's training step over a hand-written one, on the same layers and noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from benchmarks.cases import Case
from benchmarks.loops import CASES, LOOPS
from benchmarks.minimal import Batch, Losses, Step
from benchmarks.timing import Clock, Row, row_of, side_by_side
from vaekit import recipes
from vaekit.data.spec import Spec
from vaekit.system import System

TARGET = 1.05
INSTANCES = 4
"""Times that both sides are built anew, in turn first and second: where their tensors happen to lie in memory
is worth several percent, and stays for their life."""
AGREEMENT = 1e-5  # relative, of the losses of the first steps


@dataclass(frozen=True)
class Setting:
    """Shapes and sizes that the systems are compared at.

    Args:
        name: for the table.
        shape: of one datum.
        batch: data per step.
        latents: dimensions of z.
        hidden: widths of fully connected networks, or None for the convolutional pair.
    """

    name: str
    shape: tuple[int, ...]
    batch: int
    latents: int
    hidden: tuple[int, ...] | None = None


MLP = Setting("mlp 784-512-16, batch 128", (1, 28, 28), 128, 16, (512,))
CONV = Setting("conv 64x64, batch 64", (1, 64, 64), 64, 10)
SETTINGS = {"mlp": MLP, "conv": CONV}


def case_of(name: str) -> Case:
    """How a recipe is called."""
    return CASES.get(name, Case())


def arguments_for(name: str, setting: Setting) -> dict[str, Any]:
    """The recipe's arguments at a setting."""
    case = case_of(name)
    if case.wanted is not None:
        return {**case.wanted(setting.latents, setting.hidden), **case.arguments}
    if not case.plain:
        return dict(case.arguments)
    networks = {"architecture": "conv"} if setting.hidden is None else {"hidden": setting.hidden}
    return {"latents": setting.latents, **networks, **case.arguments}


def make(name: str, setting: Setting, seed: int = 0) -> System:
    """The system of a recipe; the same seed gives the same weights."""
    case = case_of(name)
    fields: dict[str, Any] = {"size": 60_000, "context": (case.context,) if case.context else None}
    spec = Spec("benchmark", setting.shape, case.kind, **(fields | case.spec))
    build: Callable[..., System] = getattr(recipes, name)
    torch.manual_seed(seed)
    system = build(spec, **arguments_for(name, setting))
    system.model.train()
    return system


def make_batch(name: str, setting: Setting) -> Batch:
    """Random data of the recipe's kind; one pixel in eight is on, as in handwriting."""
    case = case_of(name)
    generator = torch.Generator().manual_seed(1)
    uniform = torch.rand(setting.batch, *setting.shape, generator=generator)
    x = uniform - 0.5
    if case.kind in ("binary", "unit"):
        x = (uniform < 0.125).float() if case.kind == "binary" else uniform
    batch = {"x": x}
    if case.context:
        batch["c"] = torch.eye(case.context)[torch.arange(setting.batch) % case.context]
    return batch if case.more is None else case.more(batch)


def recipe_step(system: System) -> Step:
    """The recipe's own step, its losses in the order of the players."""
    players = system.procedure.players
    names = ["loss"] if len(players) == 1 else [f"{player.name}/loss" for player in players]

    def step(batch: Batch) -> Losses:
        values = system.procedure.step([batch])
        return tuple(values[name] for name in names)

    return step


def disagreement(first: Step, second: Step, batch: Batch, steps: int = 3) -> float:
    """Largest relative difference of the losses of the first steps, both from the same noise."""
    found = 0.0
    for number in range(steps):
        losses: list[Losses] = []
        for step in (first, second):
            torch.manual_seed(number)
            losses.append(step(batch))
        for a, b in zip(*losses, strict=True):
            found = max(found, float((a - b).abs() / b.abs()))
    return found


def compare(name: str, setting: Setting, seconds: float, clock: Clock) -> Row:
    """One row: the recipe's step over the minimal one; none where their losses differ."""
    label = f"{name}, {setting.name}"
    if name not in LOOPS:
        return Row("step", label, note="unavailable: no loop in benchmarks/loops")
    batch = make_batch(name, setting)
    times: tuple[list[float], list[float]] = ([], [])
    for instance in range(INSTANCES):
        if instance % 2:
            minimal = LOOPS[name](make(name, setting))
            ours = recipe_step(make(name, setting))
        else:
            ours = recipe_step(make(name, setting))
            minimal = LOOPS[name](make(name, setting))
        difference = disagreement(ours, minimal, batch)
        if not difference <= AGREEMENT:
            return Row("step", label, note=f"refused: the losses differ by {difference:.1e} of their value")
        found = side_by_side(partial(ours, batch), partial(minimal, batch), seconds / INSTANCES, clock)
        times[0].extend(found[0])
        times[1].extend(found[1])
    return row_of("step", label, ("vaekit", times[0]), ("minimal", times[1]), most=TARGET)


def run(
    seconds: float, clock: Clock, names: Iterable[str] = (), settings: Iterable[str] = ()
) -> Iterator[Row]:
    """Rows of all recipes (or of those named) at all settings."""
    for place in settings or SETTINGS:
        for name in names or recipes.names:
            if not (place == "conv" and case_of(name).dense):
                yield compare(name, SETTINGS[place], seconds, clock)
