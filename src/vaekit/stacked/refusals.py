"""What no stack can hold or do, with the reason, before anything is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from vaekit.errors import UnsupportedError, UserError
from vaekit.models import Classifier
from vaekit.parallel.launch import launched
from vaekit.procedures import Simultaneous
from vaekit.system import System
from vaekit.trainer import Training


class Unstackable(UnsupportedError):
    """A system that no stack can hold.

    Args:
        system: which.
        why: the reason, in words.
    """

    def __init__(self, system: System, why: str) -> None:
        name = system.call.get("recipe", "this system")
        super().__init__(f"{name} cannot be stacked: {why}; train it with `vaekit.train`")
        self.why = why


ELEMENTWISE = (torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.SGD)
"""Optimisers that treat every element alone, so that one over stacked weights is one for each model."""


def refuse_alone(system: System) -> None:
    """Refuse a system that no stack can hold, whatever stands beside it.

    Raises:
        Unstackable: with the reason.
    """

    def refuse(why: str) -> None:
        raise Unstackable(system, why)

    if not isinstance(system.procedure, Simultaneous):
        refuse("its players look one after the other, and a stack takes all gradients of a step at one point")
    if system.stages:
        refuse(f"it has later stages ({', '.join(stage.name for stage in system.stages)})")
    if isinstance(system.model, Classifier) or system.model.withheld:
        refuse("its model infers labels, which validation withholds from one model at a time")
    for player in system.procedure.players:
        if player.guard is not None:
            refuse(f"player {player.name!r} has a guard, which decides for each model whether it moves")
        if player.pace is not None:
            refuse(f"player {player.name!r} has a pace, which is a number of the host")
        if type(player.optimizer) not in ELEMENTWISE:
            kinds = ", ".join(kind.__name__ for kind in ELEMENTWISE)
            refuse(
                f"player {player.name!r} is moved by {type(player.optimizer).__name__}, and only {kinds} are "
                "known to treat every element of the weights by itself"
            )
    for root, module in system.modules().items():
        for path, part in module.named_modules():
            where = f"{root}.{path}".rstrip(".")
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                refuse(f"{where} is a {type(part).__name__}, whose averages move inside the pass")
            if type(part).get_extra_state is not nn.Module.get_extra_state:
                refuse(f"{where} keeps a state of its own beside its tensors")


def refuse_memory(system: System, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Refuse a system whose modules remember a pass elsewhere than in buffers.

    Args:
        system: whose they are.
        before, after: attributes of its modules before and after a pass, by name.

    Raises:
        Unstackable: naming the attribute.
    """
    for name, value in after.items():
        if name not in before or value is not before[name]:
            part = name.removeprefix("parts.").partition(".")
            where = f"{list(system.modules())[int(part[0])]}.{part[2]}"
            raise Unstackable(system, f"a pass leaves something in {where}, which is no buffer")


def refuse_settings(training: Training) -> None:
    """Refuse settings that have no meaning for several models in step.

    Raises:
        UnsupportedError: naming the setting.
    """
    if training.accumulate > 1:
        raise UnsupportedError(
            f"`accumulate` is {training.accumulate}, but a stack takes batches whole: train fewer models at "
            "a time if the memory does not suffice"
        )
    if training.patience is not None:
        raise UnsupportedError(
            "`patience` stops every model at an epoch of its own, and a stack stops all at once: leave it out"
        )
    if training.compile:
        raise UnsupportedError(
            "`compile` is for single training; a stack captures its step by itself where the device can: "
            "leave it out"
        )


def refuse_several() -> None:
    """Refuse to train a stack on several processes.

    Raises:
        UserError: if they were started.
    """
    if (count := launched()) > 1:
        raise UserError(
            f"{count} processes were started, and a stack is trained by one: start one, or a stack on each "
            "device"
        )
