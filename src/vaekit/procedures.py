"""Procedures: who moves, on whose judgement, in what order. One `step` is one update of every player."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from vaekit.checks import whole
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
        self.pace = pace if pace is None or pace.step.is_meta else pace.cpu()
        self.times = whole("times", times)
        self.observes = observes
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
    def coupled(self) -> list[str]:
        """What makes a datum's loss depend on the others in its batch: terms, parts of the model."""
        parts = [type(m).__name__ for m in self.model.modules() if getattr(m, "couples_batch", False)]
        terms = {name: None for player in self.players for name in player.objective.coupled}  # each once
        return [*(f"the model's {part}" for part in parts), *(f"the term {name!r}" for name in terms)]

    @property
    def couples_batch(self) -> bool:
        """Whether a datum's loss depends on the others in its batch."""
        return bool(self.coupled)

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

    def trace(self, batch: Batch, manner: Manner, observes: bool = True) -> Trace:
        """One forward pass as this procedure wants it, or its latents alone."""
        with manner.autocast():
            if not observes:
                return self.model.infer(batch, self.samples, self.branches)
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
    """One trace, all gradients at that point, then all moves.

    Raises:
        ValueError: if two players own one parameter, whose gradient would be the sum of both, or if one is to
            move several times.
    """

    def __init__(
        self,
        model: Model,
        players: Sequence[Player],
        samples: int | None = None,
        branches: Sequence[str] = (),
    ) -> None:
        super().__init__(model, players, samples, branches)
        owner: dict[int, str] = {}
        for player in self.players:
            for parameter in player.parameters:
                if (other := owner.setdefault(id(parameter), player.name)) != player.name:
                    raise ValueError(
                        f"players {other!r} and {player.name!r} both own a parameter of shape "
                        f"{tuple(parameter.shape)}; expected one owner where all move at once: sum their "
                        "objectives, or take Alternating"
                    )
            if player.times != 1:
                raise ValueError(
                    f"player {player.name!r} has `times` {player.times}; expected 1 where all move at once: "
                    "take Alternating"
                )

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
    """One player after the other: each moves, as often as it wants, before the next one looks.

    A player looks at a fresh trace where the last one has become stale, because who moved since owns a part
    of the model. Where only critics have moved, the pass would come out the same but for its noise: it is
    judged again, if the batch is whole.
    """

    def _play(self, batches: Sequence[Batch], manner: Manner) -> dict[str, Tensor]:
        totals: dict[str, Tensor] = {}
        inside = {id(parameter) for parameter in self.model.parameters()}
        kept: Trace | None = None
        for player in self.players:
            stale = len(batches) > 1 or any(id(parameter) in inside for parameter in player.parameters)
            for _ in range(player.times):
                values: dict[str, Tensor] = {}
                for batch, share in zip(batches, _shares(batches), strict=True):
                    if kept is None or (player.observes and not kept.observed):
                        trace = self.trace(batch, manner, player.observes)
                    else:
                        trace = kept
                    _add(values, self.judge(player, trace, share, False))
                player.move(manner.clip)
                # what terms share of a trace does not outlive a move
                kept = None if stale else _renewed(trace)
            totals |= values
        return totals


def _renewed(trace: Trace) -> Trace:
    return replace(trace, branches={name: _renewed(branch) for name, branch in trace.branches.items()})
