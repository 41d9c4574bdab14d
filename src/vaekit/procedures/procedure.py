"""What every order of play shares: passes, gradients that reach one player alone, several processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from vaekit.models import Model
from vaekit.objective import Judged
from vaekit.parallel.team import Part, Team
from vaekit.procedures.player import Player
from vaekit.schedules import Feedback
from vaekit.trace import Batch, Trace


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


@dataclass(frozen=True)
class Looked:
    """A pass that was made in one graph with all that is judged of it: by the players' objectives' `id`."""

    judged: dict[int, Judged]


class Procedure(ABC):
    """Players and the order of their moves.

    Args:
        model: makes the traces.
        players: who moves. Those that were given the same objective, to rest at different times, are judged
            together where they share a trace: it is evaluated once, and sends one gradient to all of them.
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
        self._listening = _listening(self.players)
        self._couplings = _couplings(model, players)
        terms = [term for player in players for _, term in player.objective.terms.values()]
        self._gathers = any(map(_gathers, terms))
        self._compiled: tuple[int, Callable[[Batch, Manner], list[Judged]]] | None = None
        groups: dict[int, list[Player]] = {}
        for player in self.players:
            groups.setdefault(id(player.objective), []).append(player)
        self._groups = list(groups.values())
        owned = {id(p) for p in self.players[0].parameters}
        roots = (model, *(player.objective for player in players))
        # one player who owns all that can move: nothing to keep apart, and naming the inputs takes time
        self._whole = len(self.players) == 1 and all(
            id(p) in owned for root in roots for p in root.parameters() if p.requires_grad
        )

    @property
    def coupled(self) -> list[str]:
        """What makes a datum's loss depend on the others in its batch: terms, parts of the model."""
        return list(self._couplings)

    @property
    def apart(self) -> list[str]:
        """What of it is for one process: it neither gathers the data of several, nor pools what it counts."""
        return [name for name, parts in self._couplings.items() if not all(map(_together, parts))]

    @property
    def couples_batch(self) -> bool:
        """Whether a datum's loss depends on the others in its batch."""
        return bool(self.coupled)

    def step(self, batches: Sequence[Batch], manner: Manner = Manner()) -> dict[str, Tensor]:
        """One update of every player from one batch, given whole or in pieces that are accumulated.

        Args:
            batches: the pieces; gradients are averaged by the number of data in each.
            manner: clipping, precision, and the processes that take part.

        Returns:
            Named values, detached, on the model's device: nothing here waits for the device.
        """
        if manner.team is not None:
            batches = [manner.team.part(batch) for batch in batches]
        values = self._play(batches, manner)
        if manner.team is not None:
            manner.team.total(self._statistics())
        if self.concludes:
            self.conclude(values)
        return values

    @property
    def concludes(self) -> bool:
        """Whether anything moves that is no gradient."""
        return bool(self._listening or self._after)

    def conclude(self, values: Mapping[str, Tensor]) -> None:
        """The end of a step, once all have moved: what is no gradient, first what hears the step's values."""
        self.hear(values)
        self.after_step()

    @torch.no_grad()
    def hear(self, values: Mapping[str, Tensor]) -> None:
        """Tell the weights that listen what their objective came to, on the whole batch."""
        for player, weights in self._listening:
            prefix = self._prefix(player)
            own = {name.removeprefix(prefix): v for name, v in values.items() if name.startswith(prefix)}
            for weight in weights:
                weight.hear(own)

    def after_step(self) -> None:
        """Move on what is no gradient: schedules, running averages, codebooks."""
        for module in self._after:
            module.after_step()  # type: ignore[operator]  # found by its name in the constructor

    def trace(self, batch: Batch, manner: Manner, observes: bool = True) -> Trace:
        """One forward pass as this procedure wants it, or its latents alone."""
        with self._within(batch), manner.autocast():
            run = self.model if observes else self.model.infer
            trace: Trace = run(batch, self.samples, self.branches)
        if self._gathers and isinstance(batch, Part):
            trace = replace(trace, whole=batch.gather(trace))
        return trace

    def judged(self, player: Player, trace: Trace | Looked) -> Judged:
        """What a player says of a pass."""
        if isinstance(trace, Looked):
            return trace.judged[id(player.objective)]
        with self._within(getattr(trace, "batch", None)):
            return player.objective(trace)  # type: ignore[no-any-return]  # nn.Module

    def judge(self, player: Player, trace: Trace | Looked, share: float, keep: bool) -> dict[str, Tensor]:
        """Add the gradient of a player's objective to this player's parameters, and to no other."""
        return self._judge([player], [player], trace, share, keep)

    def _judge(
        self,
        players: Sequence[Player],
        moving: Sequence[Player],
        trace: Trace | Looked,
        share: float,
        keep: bool,
    ) -> dict[str, Tensor]:
        """The objective that some players share: its gradient for those who move, its values for all."""
        if not moving:
            with torch.no_grad():
                total, values = self.judged(players[0], trace)
        else:
            total, values = self.judged(players[0], trace)
            loss = total if share == 1 else total * share
            inputs = None if self._whole else [p for player in moving for p in player.parameters]
            loss.backward(inputs=inputs, retain_graph=keep)
        values["loss"] = total.detach()
        if share != 1:
            values = {name: value * share for name, value in values.items()}
        if len(players) == 1:
            return self.labelled(players[0], values)
        return {k: v for player in players for k, v in self.labelled(player, values).items()}

    def labelled(self, player: Player, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Named values of one player among several carry its name: "critic/loss"."""
        prefix = self._prefix(player)
        return {prefix + name: value for name, value in values.items()} if prefix else values

    def _prefix(self, player: Player) -> str:
        return "" if len(self.players) == 1 else f"{player.name}/"

    def losses(self, batch: Batch, manner: Manner) -> list[Judged]:
        """One pass, and what is said of it: by every player, or several where they share an objective."""
        trace = self.trace(batch, manner)
        return [self.judged(group[0], trace) for group in self._groups]

    def agree(
        self, players: Sequence[Player], values: dict[str, Tensor], manner: Manner
    ) -> dict[str, Tensor]:
        """Make gradients and named values those of the whole batch, if this process had a part of it."""
        if manner.team is None:
            return values
        for number, player in enumerate(players):
            values |= manner.team.sum(player.parameters, {} if number else values)
        return values if players else manner.team.sum([], values)

    def _statistics(self) -> list[Tensor]:
        """What modules count over a batch and use in `after_step`: the buffers that they name."""
        return [getattr(module, name) for module in self._counting for name in _names(module)]

    def _within(self, batch: Batch | None) -> AbstractContextManager[object]:
        return self._part(batch) if isinstance(batch, Part) else _NOTHING

    @contextmanager
    def _part(self, part: Part) -> Iterator[None]:
        """A part of a batch has its rows of the noise; what is counted over borrowed rows does not count."""
        kept = [] if part.count else [(buffer, buffer.clone()) for buffer in self._statistics()]
        labels = self.model.passes if self.model.passes > 1 else None
        with part.noise(self.samples, labels):
            yield
        for buffer, former in kept:
            buffer.copy_(former)

    @abstractmethod
    def _play(self, batches: Sequence[Batch], manner: Manner) -> dict[str, Tensor]:
        """Gradients and moves of one step."""


_NOTHING = nullcontext()


def _listening(players: Sequence[Player]) -> list[tuple[Player, list[Feedback]]]:
    """Who listens to which player's objective; what stands in several hears the first one's."""
    seen: set[int] = set()
    found = []
    for player in players:
        weights = [weight for weight in player.objective.listening if id(weight) not in seen]
        seen.update(map(id, weights))
        if weights:
            found.append((player, weights))
    return found


def _couplings(model: Model, players: Sequence[Player]) -> dict[str, list[object]]:
    """What couples the data of a batch, by its name: parts of the model, terms and what they hold."""
    found: dict[str, list[object]] = {}
    for module in model.modules():
        if getattr(module, "couples_batch", False):
            found.setdefault(f"the model's {type(module).__name__}", []).append(module)
    for player in players:
        for name, (_, term) in player.objective.terms.items():
            for part in term.modules() if isinstance(term, nn.Module) else [term]:
                if getattr(part, "couples_batch", False):
                    found.setdefault(f"the term {name!r}", []).append(part)
    return found


def _gathers(part: object) -> bool:
    return bool(getattr(part, "gathers", False))


def _together(part: object) -> bool:
    return _gathers(part) or bool(getattr(part, "pools", False))


def _names(module: nn.Module) -> Sequence[str]:
    return module.statistics  # type: ignore[return-value]  # found by its name in the constructor
