"""Procedures: who moves, on whose judgement, in what order. One `step` is one update of every player."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.models import Model
from vaekit.objective import Judged, Objective
from vaekit.parallel.team import Team
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
        team: the processes that make the step together, if there are several.
    """

    clip: float | None = None
    autocast: Callable[[], AbstractContextManager[object]] = field(default=nullcontext)
    team: Team | None = None


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
                parts[id(module)] = module
        self._after = [module for module in parts.values() if hasattr(module, "after_step")]
        self._counting = [module for module in parts.values() if hasattr(module, "statistics")]
        self._coupled: list[object] = [module for module in parts.values() if _couples(module)]
        for player in players:
            self._coupled += [term for _, term in player.objective.terms.values() if _couples(term)]
        self._gathers = any(getattr(term, "gathers", False) for term in self._coupled)
        owned = {id(p) for p in self.players[0].parameters}
        roots = (model, *(player.objective for player in players))
        self._compiled: tuple[int, Callable[..., list[Judged]]] | None = None
        # one player who owns all that can move: nothing to keep apart, and naming the inputs takes time
        self._whole = len(self.players) == 1 and all(
            id(p) in owned for root in roots for p in root.parameters() if p.requires_grad
        )

    @property
    def couples_batch(self) -> bool:
        """Whether a datum's loss depends on the others in its batch."""
        return bool(self._coupled)

    @property
    def apart(self) -> list[object]:
        """What couples the data of a batch and does not say how to gather them over processes."""
        return [part for part in self._coupled if not getattr(part, "gathers", False)]

    def step(self, batches: Sequence[Batch], manner: Manner = Manner()) -> dict[str, Tensor]:
        """One update of every player from one batch, given whole or in pieces that are accumulated.

        Args:
            batches: the pieces; gradients are averaged by the number of data in each.
            manner: clipping and precision.

        Returns:
            Named values, detached, on the model's device: nothing here waits for the device.
        """
        values = self._play(batches, manner)
        if manner.team is not None:
            manner.team.total(self._statistics())
        for module in self._after:
            module.after_step()  # type: ignore[operator]  # found by its name in the constructor
        return values

    def trace(self, batch: Batch, manner: Manner) -> Trace:
        """One forward pass as this procedure wants it."""
        with manner.autocast():
            return self.model(batch, self.samples, self.branches)  # type: ignore[no-any-return]  # nn.Module

    def look(self, batch: Batch, players: Sequence[Player], manner: Manner) -> tuple[list[Judged], float]:
        """One pass over a batch, or over this process's share of it.

        Returns:
            What the players say of it, and the share of the batch that they said it of.
        """
        if manner.team is not None:
            with self.shared(batch, manner) as (trace, share):
                return [player.objective(trace) for player in players], share
        if self._compiled is not None and self._compiled[0] == len(batch["x"]):
            return self._compiled[1](batch, players, manner), 1.0
        return self._judged(batch, players, manner), 1.0

    def _judged(self, batch: Batch, players: Sequence[Player], manner: Manner) -> list[Judged]:
        trace = self.trace(batch, manner)
        return [player.objective(trace) for player in players]

    def compile(self, size: int, backend: str = "inductor") -> None:
        """Compile the pass and all judgements of it into one graph, without a break.

        Draws are those of the uncompiled step. On a GPU the graph is captured, and launched as one.

        Args:
            size: number of data in the batches that take the compiled way; the last one of an epoch, which is
                smaller, does not.
            backend: of `torch.compile`.
        """
        from torch._functorch import config

        options: dict[str, Any] | None = None
        if backend == "inductor":
            on_gpu = self.players[0].parameters[0].device.type == "cuda"
            options = {"fallback_random": True, "triton.cudagraphs": on_gpu}
        whole = torch.compile(self._judged, fullgraph=True, dynamic=False, backend=backend, options=options)

        def judged(batch: Batch, players: Sequence[Player], manner: Manner) -> list[Judged]:
            # every player goes back through the graph: it must not give its memory away to the first
            with config.patch(donated_buffer=False):
                return whole(batch, players, manner)

        self._compiled = size, judged

    @contextmanager
    def shared(self, batch: Batch, manner: Manner) -> Iterator[tuple[Trace, float]]:
        """The pass of this process over its share of a batch, and how large that is; 1, if it is alone."""
        if manner.team is None:
            yield self.trace(batch, manner), 1.0
            return
        with manner.team.share(batch, self.samples) as share:
            kept = [] if share.count else [buffer.clone() for buffer in self._statistics()]
            trace = self.trace(share.batch, manner)
            yield (
                replace(trace, whole=share.gather(trace)) if self._gathers else trace,
                share.count / share.total,
            )
            for buffer, former in zip(self._statistics(), kept, strict=False):
                buffer.copy_(former)  # borrowed rows do not count

    def judge(self, player: Player, trace: Trace, share: float, keep: bool) -> dict[str, Tensor]:
        """Add the gradient of a player's objective to this player's parameters, and to no other."""
        return self.push(player, player.objective(trace), share, keep)

    def push(self, player: Player, judged: Judged, share: float, keep: bool) -> dict[str, Tensor]:
        """Add the gradient of what a player judged to this player's parameters, and to no other."""
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

    def _statistics(self) -> list[Tensor]:
        """What modules count over a batch and use in `after_step`: the buffers that they name."""
        return [getattr(module, name) for module in self._counting for name in module.statistics]  # type: ignore[union-attr]

    def average(self, player: Player, values: dict[str, Tensor], manner: Manner) -> dict[str, Tensor]:
        """Gradients and named values of the whole batch, from those of this process's share."""
        return values if manner.team is None else manner.team.average(player.parameters, values)

    @abstractmethod
    def _play(self, batches: Sequence[Batch], manner: Manner) -> dict[str, Tensor]:
        """Gradients and moves of one step."""


def _couples(part: object) -> bool:
    # an objective couples what its terms couple, and they are asked themselves
    return not isinstance(part, Objective) and bool(getattr(part, "couples_batch", False))


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
            judged, mine = self.look(batch, self.players, manner)
            for player in self.players:
                # what is judged goes before the next piece, or the optimiser, asks for memory
                _add(totals, self.push(player, judged.pop(0), share * mine, bool(judged)))
        for number, player in enumerate(self.players):
            totals |= self.average(player, {} if number else totals, manner)
        for player in self.players:
            player.move(manner.clip)
        return totals


class Alternating(Procedure):
    """A fresh trace for every player, who moves before the next one looks."""

    def _play(self, batches: Sequence[Batch], manner: Manner) -> dict[str, Tensor]:
        totals: dict[str, Tensor] = {}
        for player in self.players:
            values: dict[str, Tensor] = {}
            for batch, share in zip(batches, _shares(batches), strict=True):
                judged, mine = self.look(batch, [player], manner)
                _add(values, self.push(player, judged.pop(), share * mine, False))
            totals |= self.average(player, values, manner)
            player.move(manner.clip)
        return totals
