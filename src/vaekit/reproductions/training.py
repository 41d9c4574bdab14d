"""Train a recipe in memory, for an experiment."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch

from vaekit.data.batch import Splits
from vaekit.models import Model
from vaekit.reproductions.outcome import Figure, Say
from vaekit.runs import Recipe, build_system, find_recipe
from vaekit.system import System
from vaekit.trainer import Fit, Show, Training


def fit(
    recipe: str | Recipe,
    splits: Splits,
    *,
    seed: int,
    steps: int,
    batch_size: int,
    say: Say,
    device: str | None = None,
    **arguments: Any,
) -> Model:
    """A trained model, in eval mode.

    Args:
        recipe: its name, or a recipe that is none of vaekit's own.
        splits: the data.
        seed: of initial weights, order and noise.
        steps: training steps.
        batch_size: data per step.
        say: takes a line when it is done.
        device: where; a GPU where there is one.
        **arguments: of the recipe.
    """
    started = time.monotonic()
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)
    build = find_recipe(recipe) if isinstance(recipe, str) else recipe
    system = build_system(build, splits.spec, arguments, place)
    loop = fit_system(system, splits, seed=seed, steps=steps, batch_size=batch_size)
    words = ", ".join(f"{name}={value}" for name, value in arguments.items())
    first = f"valid/{system.procedure.players[0].name}/loss"
    held_out = loop.rows[-1].get("valid/loss", loop.rows[-1].get(first, math.nan))
    say(
        f"{build.__name__}({words}) seed {seed}: {loop.at.step} steps in {time.monotonic() - started:.0f} s, "
        f"held-out loss {held_out:.3f}"
    )
    return system.model


def fit_system(
    system: System, splits: Splits, *, seed: int, steps: int, batch_size: int, show: Show | None = None
) -> Fit:
    """The loop that has trained a system, wired with the seed of its weights, in memory.

    Args:
        system: trained in place; its model is in eval mode afterwards.
        splits: the data.
        seed: of order and noise.
        steps: training steps.
        batch_size: data per step.
        show: called after every step; see `Fit`.
    """
    epochs = math.ceil(steps * batch_size / len(splits.train))
    training = Training(
        epochs=epochs, batch_size=batch_size, steps=steps, seed=seed, checkpoint_seconds=math.inf
    )
    loop = Fit(system, splits, training, save=lambda *_: None, show=show)
    loop.run()
    return loop


def over_seeds(what: str, values: Sequence[float], beside: str = "") -> Figure:
    """The median over seeds, with their range."""
    spread = f"{min(values):.4g} to {max(values):.4g} over {len(values)} seeds"
    return Figure(what, statistics.median(values), spread, beside)
