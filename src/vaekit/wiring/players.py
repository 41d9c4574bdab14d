"""Optimisers and players that several recipes share."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from vaekit.checks import known, number, whole
from vaekit.data.spec import Spec
from vaekit.models import Chain, Flat
from vaekit.objective import Objective
from vaekit.procedures import MakeOptimizer, Player
from vaekit.schedules import Linear, Schedule, Steps, Weight
from vaekit.terms import ImportanceBound
from vaekit.terms.bounds import Gradient


def adam(learning_rate: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> MakeOptimizer:
    """Adam at a learning rate, in one pass over the weights where the device has it."""
    number("learning_rate", learning_rate, above=0)

    def make(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        # on a CPU the usual form takes as long as small networks do; other devices may not have this one
        fused = all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)
        return torch.optim.Adam(parameters, lr=learning_rate, betas=betas, eps=eps, fused=fused)

    return make


def rmsprop(learning_rate: float, decay: float = 0.9) -> MakeOptimizer:
    """RMSProp at a learning rate; `decay` is that of its mean of squares."""
    number("learning_rate", learning_rate, above=0)
    return lambda parameters: torch.optim.RMSprop(parameters, lr=learning_rate, alpha=decay)


def two_players(
    model: Flat | Chain,
    generator: Objective,
    encoder: Objective,
    optimizer: MakeOptimizer,
    pace: Callable[[], Schedule | None] = lambda: None,
) -> list[Player]:
    """A player for likelihood and prior and one for the posterior, whose objectives differ.

    The generator stands first: its held-out loss chooses the weights that are handed back.
    """
    return [
        Player("generator", [model.likelihood, model.priors], generator, optimizer, pace()),
        Player("encoder", [model.posteriors], encoder, optimizer, pace()),
    ]


def bound_players(
    model: Flat | Chain,
    bound: Callable[[Gradient], ImportanceBound],
    gradient: Gradient,
    optimizer: MakeOptimizer,
    pace: Callable[[], Schedule | None] = lambda: None,
) -> list[Player]:
    """Who makes an importance-weighted bound large: one player, or two where the gradient is "dreg".

    DReG is right for the posterior's parameters alone, so the generator follows the plain bound of the same
    trace.
    """
    known("gradient", gradient, Gradient)
    if gradient == "dreg":
        plain, doubly = (Objective({"bound": (1.0, bound(name))}) for name in ("plain", "dreg"))
        return two_players(model, plain, doubly, optimizer, pace)
    return [Player("vae", [model], Objective({"bound": (1.0, bound(gradient))}), optimizer, pace())]


def draws(samples: int) -> int | None:
    """The `samples` of a procedure: one draw needs no sample axis."""
    return None if whole("samples", samples) == 1 else samples


def large_batch(spec: Spec, wanted: int, least: int = 128) -> int:
    """A paper's large batch; of few data a twentieth, so that an epoch is more than a step, or `least`."""
    return min(wanted, max(least, spec.size // 20))


def rising(warmup: int) -> Weight:
    """A weight that rises from 0 to 1 over so many training steps; 1 throughout where there are none."""
    return Linear(0.0, 1.0, warmup) if whole("warmup", warmup, least=0) else 1.0


def falling(fall: int) -> Schedule | None:
    """A learning rate that stays for three fifths of so many steps and is zero at their end; None for 0."""
    if not whole("fall", fall, least=0):
        return None
    return Linear(1.0, 0.0, fall - 3 * fall // 5, after=3 * fall // 5)


def passes(spec: Spec, batch_size: int, steps: int) -> int:
    """Number of epochs that make at least so many steps."""
    return max(1, math.ceil(steps / math.ceil(spec.size / batch_size)))


def halving(spec: Spec, batch_size: int, epochs_each: int | None, epochs: int) -> Schedule | None:
    """A learning rate that is halved every so many epochs, counted in the recipe's own batches.

    Args:
        spec: tells the number of data.
        batch_size: data per step.
        epochs_each: epochs between two halvings, or None for a constant rate.
        epochs: of the whole schedule; after it the rate stays.
    """
    if epochs_each is None:
        return None
    each = whole("halve", epochs_each) * math.ceil(spec.size / batch_size)
    count = max(1, (epochs - 1) // epochs_each)
    return Steps([0.5**i for i in range(count + 1)], [each * (i + 1) for i in range(count)])
