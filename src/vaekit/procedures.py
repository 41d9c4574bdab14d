"""Procedures: who moves, on whose judgement, in what order. One `step` is one update of every player."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from vaekit.models import Model
from vaekit.objective import Judged, Objective
from vaekit.schedules import Schedule
from vaekit.trace import Batch, Trace

MakeOptimizer = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


class Player:
    """Parameters that move together, to make one objective small.

    Args:
        name: for records and errors.
        moves: the modules (or parameters) that this player owns; what is shared counts once.
        objective: what it minimises.
        optimizer: makes the optimiser from the parameters, such as `lambda p: torch.optim.Adam(p, 1e-3)`.
        pace: a schedule that multiplies the optimiser's learning rates, if any.

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
        self.pace = pace if pace is None or pace.step.is_meta else pace.cpu()
        self.rates = [group["lr"] for group in self.optimizer.param_groups]

    def move(self, clip: float | None) -> None:
        """Step along the gradients that are there, and clear them."""
        if clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, clip)
        if self.pace is not None:
            factor = float(self.pace())
            for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
                group["lr"] = rate * factor
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


@dataclass(frozen=True)
class Manner:
    """How a step is carried out, whatever the system: the trainer's choice, not the recipe's.

    Args:
        clip: largest gradient norm of each player, or None.
        autocast: context manager for the forward passes (mixed precision).
    """

    clip: float | None = None
    autocast: Callable[[], AbstractContextManager[object]] = field(default=nullcontext)


class Procedure(ABC):
    """Players and the order of their moves.

    Args:
        model: makes the traces.
        players: who moves.
        samples: draws per datum; None for one draw without a sample axis.
        branches: further passes that the objectives judge.
    """

    def __init__(
        self,
        model: Model,
        players: Sequence[Player],
        samples: int | None = None,
        branches: Sequence[str] = (),
    ) -> None:
        if not players:
            raise ValueError("a procedure needs at least one player")
        if samples is not None and samples < 1:
            raise ValueError(f"`samples` is {samples}; expected at least 1")
        self.model = model
        self.players = tuple(players)
        self.samples = samples
        self.branches = tuple(branches)
        parts: dict[int, nn.Module] = {}
        for root in (model, *(player.objective for player in players), *(player.pace for player in players)):
            for module in root.modules() if root is not None else ():
                if hasattr(module, "after_step"):
                    parts[id(module)] = module
        self._after = list(parts.values())
        owned = {id(p) for p in self.players[0].parameters}
        roots = (model, *(player.objective for player in players))
        # one player who owns all that can move: nothing to keep apart, and naming the inputs takes time
        self._whole = len(self.players) == 1 and all(
            id(p) in owned for root in roots for p in root.parameters() if p.requires_grad
        )

    @property
    def couples_batch(self) -> bool:
        """Whether a datum's loss depends on the others in its batch."""
        modules = any(getattr(module, "couples_batch", False) for module in self.model.modules())
        return modules or any(player.objective.couples_batch for player in self.players)

    def step(self, batches: Sequence[Batch], manner: Manner = Manner()) -> dict[str, Tensor]:
        """One update of every player from one batch, given whole or in pieces that are accumulated.

        Args:
            batches: the pieces; gradients are averaged by the number of data in each.
            manner: clipping and precision.

        Returns:
            Named values, detached, on the model's device: nothing here waits for the device.
        """
        values = self._play(batches, manner)
        for module in self._after:
            module.after_step()  # type: ignore[operator]  # found by its name in the constructor
        return values

    def trace(self, batch: Batch, manner: Manner) -> Trace:
        """One forward pass as this procedure wants it."""
        with manner.autocast():
            return self.model(batch, self.samples, self.branches)  # type: ignore[no-any-return]  # nn.Module

    def judge(self, player: Player, trace: Trace, share: float, keep: bool) -> dict[str, Tensor]:
        """Add the gradient of a player's objective to this player's parameters, and to no other."""
        judged: Judged = player.objective(trace)
        total, values = judged
        loss = total if share == 1 else total * share
        loss.backward(inputs=None if self._whole else player.parameters, retain_graph=keep)
        values["loss"] = total.detach()
        if share != 1:
            values = {name: value * share for name, value in values.items()}
        return self.labelled(player, values)

    def labelled(self, player: Player, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Named values of one player among several carry its name: "critic/loss"."""
        if len(self.players) == 1:
            return values
        return {f"{player.name}/{name}": value for name, value in values.items()}

    @abstractmethod
    def _play(self, batches: Sequence[Batch], manner: Manner) -> dict[str, Tensor]:
        """Gradients and moves of one step."""


def _shares(batches: Sequence[Batch]) -> list[float]:
    sizes = [len(batch["x"]) for batch in batches]
    return [size / sum(sizes) for size in sizes]


def _add(totals: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    for name, value in values.items():
        totals[name] = totals[name] + value if name in totals else value


class Simultaneous(Procedure):
    """One trace, all gradients at that point, then all moves."""

    def _play(self, batches: Sequence[Batch], manner: Manner) -> dict[str, Tensor]:
        totals: dict[str, Tensor] = {}
        for batch, share in zip(batches, _shares(batches), strict=True):
            trace = self.trace(batch, manner)
            for player in self.players:
                keep = player is not self.players[-1]
                _add(totals, self.judge(player, trace, share, keep))
            del trace  # its tensors go back before the next piece, or the optimiser, asks for memory
        for player in self.players:
            player.move(manner.clip)
        return totals


class Alternating(Procedure):
    """A fresh trace for every player, who moves before the next one looks."""

    def _play(self, batches: Sequence[Batch], manner: Manner) -> dict[str, Tensor]:
        totals: dict[str, Tensor] = {}
        for player in self.players:
            for batch, share in zip(batches, _shares(batches), strict=True):
                _add(totals, self.judge(player, self.trace(batch, manner), share, False))
            player.move(manner.clip)
        return totals
