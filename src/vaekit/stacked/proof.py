"""The first pass of a stack beside that of one model alone: what the comparison of systems cannot see."""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.procedures import Manner
from vaekit.randomness import own_stream, quiet
from vaekit.stacked.noise import Replayed
from vaekit.stacked.refusals import Unstackable
from vaekit.stacked.stack import Stack
from vaekit.system import System
from vaekit.trace import Batch

TOLERANCE = 1e-2
"""Of losses and gradients, relative: far above rounding in any order of sums, far below another program."""
ROUNDING = 1e-5
"""Absolute: a gradient that is zero but for rounding."""


def refuse_disagreement(stack: Stack, system: System, batch: Batch, apart: bool = True) -> None:
    """Compare losses and gradients of the last model of a fresh stack with those of its own system.

    A number that hides where no comparison of two systems finds it, such as in a network of another library,
    would be that of the first model for all. Streams and states are left as they were.

    Args:
        stack: before its first step.
        system: of the last model, as it was built.
        batch: of a step.
        apart: whether every model has a batch of its own in it.

    Raises:
        UnsupportedError: if they are not the same.
    """
    model = stack.count - 1
    with own_stream(stack.device, 0):
        noise = [draw.made(None, stack.count) for draw in stack.draws(batch, apart)]
    one = {name: value[model] for name, value in batch.items()} if apart else batch
    with quiet(stack.system.model, stack.device, 0):
        stack.draws(one, False, "values")  # validation has to be possible too
    kept = {name: value.clone() for name, value in stack.state.items() if not value.requires_grad}
    for module in (stack.system.model, system.model):
        module.train()
    try:
        together, _ = stack.each(stack.work("losses"), batch, noise, apart)
        slopes = stack.slopes(together)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # torch does not map every operation that it has
        raise Unstackable(stack.system, f"torch says {str(error).splitlines()[0]!r}") from error
    for name, value in kept.items():  # what a pass leaves in buffers
        stack.state[name].copy_(value)
    with Replayed([value[model] for value in noise]):
        alone = system.procedure.losses(one, Manner())
    for group, mine, theirs in zip(stack.groups, alone, together, strict=True):
        for number in group:
            player = system.procedure.players[number]
            own = torch.autograd.grad(mine.total, player.parameters, retain_graph=True, allow_unused=True)
            _compare(stack, f"the loss of player {player.name!r}", theirs.total[model], mine.total)
            for mapped, slope in zip(slopes[number], own, strict=True):
                _compare(stack, f"a gradient of player {player.name!r}", _of(mapped, model), slope)


def _of(value: Tensor | None, model: int) -> Tensor | None:
    return None if value is None else value[model]


def _compare(stack: Stack, what: str, found: Tensor | None, expected: Tensor | None) -> None:
    if found is None and expected is None:
        return
    if found is not None and expected is not None:
        far = (found.detach() - expected.detach()).double().norm()
        if bool(far <= TOLERANCE * expected.detach().double().norm() + ROUNDING):
            return
        if not bool(expected.isfinite().all()):
            return
    raise Unstackable(
        stack.system,
        f"{what} is another one in the stack than alone, so it holds a number that is no tensor of a module, "
        "weight of a term or attribute of either",
    )
