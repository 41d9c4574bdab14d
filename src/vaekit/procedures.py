"""Procedures: who moves, on whose judgement, in what order. One `step` is one update of every player."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.checks import whole
from vaekit.models import Model
from vaekit.objective import Judged, Objective
from vaekit.parallel.team import Part, Team
from vaekit.schedules import Schedule
from vaekit.trace import Batch, Trace

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
            self.optimizer.step()
        else:
            self._step_if(self.guard(values))
        self.optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def _step_if(self, moves: Tensor) -> None:
        before = {id(value): value.detach().clone() for value in self._state()}
        self.optimizer.step()
        for value in self._state():
            if value.device == moves.device:
                former = before.get(id(value))
                # moments that this very step made start at zero
                value.copy_(torch.where(moves, value, 0 if former is None else former))

    def _state(self) -> list[Tensor]:
        """The parameters, and what the optimiser remembers of them."""
        states = self.optimizer.state.values()
        return self.parameters + [v for state in states for v in state.values() if isinstance(v, Tensor)]


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
        self.after_step()
        return values

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
        with nullcontext() if moving else torch.no_grad():
            total, values = self.judged(players[0], trace)
        if moving:
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
        if len(self.players) == 1:
            return values
        return {f"{player.name}/{name}": value for name, value in values.items()}

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


def _shares(batches: Sequence[Batch]) -> list[float]:
    """Of each piece in the whole batch; pieces that are parts, of one process, add up to its share."""
    sizes = [batch.count if isinstance(batch, Part) else len(batch["x"]) for batch in batches]
    total = sum(batch.total if isinstance(batch, Part) else len(batch["x"]) for batch in batches)
    return [size / total for size in sizes]


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

    def look(self, batch: Batch, manner: Manner) -> Trace | Looked:
        """One pass, in the compiled way if there is one for batches of this size."""
        if self._compiled is None or self._compiled[0] != len(batch["x"]):
            return self.trace(batch, manner)
        judged = self._compiled[1](batch, manner)
        return Looked({id(group[0].objective): one for group, one in zip(self._groups, judged, strict=True)})

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
        whole = torch.compile(self.losses, fullgraph=True, dynamic=False, backend=backend, options=options)

        def losses(batch: Batch, manner: Manner) -> list[Judged]:
            # every player goes back through the graph: it must not give its memory away to the first
            with config.patch(donated_buffer=False):
                return whole(batch, manner)

        self._compiled = size, losses

    def _play(self, batches: Sequence[Batch], manner: Manner) -> dict[str, Tensor]:
        totals: dict[str, Tensor] = {}
        awake = [player for player in self.players if player.ready()]
        for batch, share in zip(batches, _shares(batches), strict=True):
            trace = self.look(batch, manner)
            for group in self._groups:
                keep = group is not self._groups[-1]
                moving = [player for player in group if player in awake]
                _add(totals, self._judge(group, moving, trace, share, keep))
            del trace  # its tensors go back before the next piece, or the optimiser, asks for memory
        totals = self.agree(awake, totals, manner)
        for player in awake:
            player.move(manner.clip, totals)
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
            moves = player.ready()
            touched = moves and any(id(parameter) in inside for parameter in player.parameters)
            stale = touched or len(batches) > 1
            for _ in range(player.times if moves else 1):
                values: dict[str, Tensor] = {}
                for batch, share in zip(batches, _shares(batches), strict=True):
                    if kept is None or (player.observes and not kept.observed):
                        trace = self.trace(batch, manner, player.observes)
                    else:
                        trace = kept
                    _add(values, self._judge([player], [player] if moves else [], trace, share, False))
                values = self.agree([player], values, manner)
                if moves:
                    player.move(manner.clip, totals | values)
                # what terms share of a trace does not outlive a move
                kept = None if stale else _renewed(trace)
            totals |= values
        return totals


def _renewed(trace: Trace) -> Trace:
    branches = {name: _renewed(branch) for name, branch in trace.branches.items()}
    return replace(trace, branches=branches, whole=None if trace.whole is None else _renewed(trace.whole))
