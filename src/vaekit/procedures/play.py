"""The two orders of play: all at one point, or one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vaekit.models import Model
from vaekit.objective import Judged
from vaekit.parallel.team import Part
from vaekit.procedures.player import Player
from vaekit.procedures.procedure import Looked, Manner, Procedure
from vaekit.trace import Batch, Trace


def _shares(batches: Sequence[Batch]) -> list[float]:
    """Of each piece in the whole batch; pieces that are parts, of one process, add up to its share."""
    if len(batches) == 1 and not isinstance(batches[0], Part):
        return [1.0]
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

    def __init__(
        self,
        model: Model,
        players: Sequence[Player],
        samples: int | None = None,
        branches: Sequence[str] = (),
    ) -> None:
        super().__init__(model, players, samples, branches)
        inside = {id(parameter) for parameter in model.parameters()}
        self._touches = [any(id(p) in inside for p in player.parameters) for player in self.players]

    def _play(self, batches: Sequence[Batch], manner: Manner) -> dict[str, Tensor]:
        totals: dict[str, Tensor] = {}
        kept: Trace | None = None
        for player, touches in zip(self.players, self._touches, strict=True):
            moves = player.ready()
            stale = (moves and touches) or len(batches) > 1
            for _ in range(player.times if moves else 1):
                values: dict[str, Tensor] = {}
                for batch, share in zip(batches, _shares(batches), strict=True):
                    if kept is None or (player.observes and not kept.observed):
                        trace = self.trace(batch, manner, player.observes)
                    else:
                        trace = kept
                    _add(values, self._judge([player], [player] if moves else [], trace, share, False))
                kept = None if stale else trace
                del trace  # as above: what nobody looks at again goes back before the move
                values = self.agree([player], values, manner)
                if moves:
                    player.move(manner.clip, totals | values)
                if kept is not None:
                    _forget(kept)
            totals |= values
        return totals


def _forget(trace: Trace) -> None:
    """What terms share of a trace does not outlive a move."""
    trace.shared.clear()
    for branch in trace.branches.values():
        _forget(branch)
    if trace.whole is not None:
        _forget(trace.whole)
