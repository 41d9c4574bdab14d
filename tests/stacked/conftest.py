"""Systems of one recipe, alone and stacked, on the same weights, batches and noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from vaekit import recipes
from vaekit.data.spec import Spec
from vaekit.procedures import Manner
from vaekit.stacked import Stack, Streams
from vaekit.system import System

AS_IT_IS = Manner()
SPEC = Spec("toy", (1, 4, 4), "binary", 20)
SIZES = (12, 12, 7, 1, 12)
"""Data in every batch; a smaller last one, and one of a single datum, are among them."""


@dataclass
class Beside:
    """The same systems twice, before or after some steps.

    Args:
        alone: each by itself.
        stack: all as one.
        values: named values of every step, of each model alone and of the stack.
        states: where the random streams stand, alone.
        streams: of the stack.
    """

    alone: list[System]
    stack: Stack
    values: tuple[list[list[dict[str, Tensor]]], list[dict[str, Tensor]]]
    states: list[Tensor]
    streams: Streams


@pytest.fixture
def build() -> Callable[..., System]:
    """A small system of a recipe, as training builds it."""

    def make(name: str, seed: int = 0, **arguments: Any) -> System:
        torch.manual_seed(seed)
        system: System = getattr(recipes, name)(SPEC, **({"latents": 3, "hidden": (8,)} | arguments))
        system.model.train()
        return system

    return make


@pytest.fixture
def beside(build: Callable[..., System]) -> Callable[..., Beside]:
    """Calls (seed, arguments) of a recipe, alone and stacked, after steps of the given sizes."""

    def run(
        name: str,
        calls: Sequence[tuple[int, dict[str, Any]]],
        sizes: Sequence[int] = SIZES,
        manner: Manner = AS_IT_IS,
        shared: bool = False,
    ) -> Beside:
        before = torch.get_rng_state()
        alone, states = [], []
        for seed, arguments in calls:
            alone.append(build(name, seed, **arguments))
            states.append(torch.get_rng_state())
        stack = Stack((build(name, seed, **arguments) for seed, arguments in calls), len(calls))
        streams = Streams(states, torch.device("cpu"))
        generator = torch.Generator().manual_seed(9)
        together = []
        batches = []
        for size in sizes:
            x = torch.rand(len(calls), size, 1, 4, 4, generator=generator)
            x = (x > 0.6).to(torch.get_default_dtype())
            batch = {"x": x[0] if shared else x}
            batches.append(batch["x"].expand_as(x))
            noise = streams.draw(stack.draws(batch, not shared))
            together.append(stack.step(batch, noise, not shared, manner))
        apart: list[list[dict[str, Tensor]]] = []
        for m, system in enumerate(alone):
            torch.set_rng_state(states[m])
            apart.append([system.procedure.step([{"x": x[m]}], manner) for x in batches])
            states[m] = torch.get_rng_state()
        torch.set_rng_state(before)
        return Beside(alone, stack, (apart, together), states, streams)

    return run


@pytest.fixture
def knows() -> Callable[[System], dict[str, Tensor]]:
    """Everything that a system knows: weights, buffers, moments."""

    def look(system: System) -> dict[str, Tensor]:
        found = {}
        for root, module in system.modules().items():
            found |= {f"{root} {key}": value.clone() for key, value in module.state_dict().items()}
        for player in system.procedure.players:
            for number, parameter in enumerate(player.parameters):
                for key, value in player.optimizer.state[parameter].items():
                    found[f"{player.name} {number} {key}"] = value.clone()
        return found

    return look
