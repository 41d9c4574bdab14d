"""A player: who moves, to make one objective small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from vaekit.checks import whole
from vaekit.objective import Objective
from vaekit.procedures.advance import advance
from vaekit.schedules import Schedule

MakeOptimizer = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
Guard = Callable[[Mapping[str, Tensor]], Tensor]
"""Named values of a step, as `Procedure.step` returns them -> one truth value: whether a player moves."""


class Player:
    """Parameters that move together, to make one objective small.

    Args:
        name: for records and errors.
        moves: the modules (or parameters) that this player owns; what is shared counts once.
        objective: what it minimises.
        optimizer: makes the optimiser from the parameters, such as `lambda p: torch.optim.Adam(p, 1e-3)`.
        pace: a schedule that multiplies the optimiser's learning rates, if any. While it is zero the player
            rests: no gradient is taken for it, and its optimiser stands still.
        guard: says at every step whether this player moves at all, if it does not always. It is asked after
            all gradients of the step are there, and answered on the device: nothing waits for it. A step
            that is not made leaves no trace in the optimiser either; see `move`.
        times: moves in one step; more than one where play alternates, such as a critic that stays ahead.
        observes: whether its objective looks at the likelihood. Where it does not and play alternates, the
            model need not decode for it.

    Raises:
        ValueError: if there is nothing to move.
    """

    def __init__(
        self,
        name: str,
        moves: Iterable[nn.Module | nn.Parameter],
        objective: Objective,
        optimizer: MakeOptimizer,
        pace: Schedule | None = None,
        guard: Guard | None = None,
        times: int = 1,
        observes: bool = True,
    ) -> None:
        found: dict[int, nn.Parameter] = {}
        for part in moves:
            for parameter in [part] if isinstance(part, nn.Parameter) else part.parameters():
                if parameter.requires_grad:
                    found[id(parameter)] = parameter
        if not found:
            raise ValueError(
                f"player {name!r} owns no parameter that can move: give it the modules it trains"
            )
        self.name = name
        self.parameters = list(found.values())
        self.objective = objective
        self.optimizer = optimizer(self.parameters)
        # its value is read at every step by the optimiser's host: on the CPU that waits for no device
        # (a sketch on the device "meta" has no values to bring there)
        self.pace = pace if pace is None or pace.step.is_meta else pace.cpu()
        self.guard = guard
        self.times = whole("times", times)
        self.observes = observes
        self.rates = [group["lr"] for group in self.optimizer.param_groups]

    def ready(self) -> bool:
        """Set the learning rates of this step; whether the player moves in it, or rests."""
        if self.pace is None:
            return True
        factor = float(self.pace())
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        return factor != 0

    def move(self, clip: float | None, values: Mapping[str, Tensor]) -> None:
        """Step along the gradients that are there, and clear them.

        Where a guard forbids the step, parameters and the optimiser's moments stay as they were: gradients
        times zero would still wear the moments off. The step is made and taken back by a choice between two
        tensors on the device, which costs a copy of both. A step counter that torch keeps on the host, as for
        RMSProp on a GPU (which does not use it), counts the step nevertheless.

        Args:
            clip: largest norm of the gradient, or None.
            values: the named values of this step, which the guard judges.
        """
        if clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, clip)
        if self.guard is None:
            advance(self.optimizer)
        else:
            self._step_if(self.guard(values))
        for parameter in self.parameters:  # as the optimiser's `zero_grad` would, without its bookkeeping
            parameter.grad = None

    @torch.no_grad()
    def _step_if(self, moves: Tensor) -> None:
        before = {id(value): value.detach().clone() for value in self._state()}
        advance(self.optimizer)
        for value in self._state():
            if value.device == moves.device:
                former = before.get(id(value))
                # moments that this very step made start at zero
                value.copy_(torch.where(moves, value, 0 if former is None else former))

    def _state(self) -> list[Tensor]:
        """The parameters, and what the optimiser remembers of them."""
        states = self.optimizer.state.values()
        return self.parameters + [v for state in states for v in state.values() if isinstance(v, Tensor)]
