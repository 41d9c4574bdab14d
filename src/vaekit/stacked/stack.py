"""Many systems of one program as one: tensors get a first axis, the models, and one pass serves them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from vaekit.checkpoint import Tensors
from vaekit.errors import UnsupportedError
from vaekit.objective import Judged
from vaekit.procedures import Manner, Player
from vaekit.randomness import own_stream, quiet
from vaekit.stacked.alike import OF_TORCH, Place, differing, placed
from vaekit.stacked.noise import Draw, Recorded, Replayed
from vaekit.stacked.refusals import Unstackable, refuse_alone, refuse_memory
from vaekit.system import System
from vaekit.trace import Batch
from vaekit.validation import EVALUATION_SEED, measured, one_by_one, standing

T = TypeVar("T")
AS_IT_IS = Manner()


class _Whole(nn.Module):
    """Everything of a system that has tensors, under one root, so that one call can exchange all of them."""

    def __init__(self, system: System) -> None:
        super().__init__()
        self.parts = nn.ModuleList(system.modules().values())

    def forward(self, work: Callable[..., T], *args: Any) -> tuple[T, Tensors]:
        """What the work returns, and the buffers as it leaves them."""
        return work(*args), dict(self.named_buffers())


class Stack:
    """M systems of one program, trained as one.

    Every tensor of a system is held once for all of them, (M, *shape). A step maps the pass and the judgement
    over the first axis, so that products become batched products, and moves all weights by one optimiser for
    each player: it treats every element alone, and so it is M optimisers. No model sees anything of another.

    Numbers in which the systems differ, such as the weights of terms, become vectors (M,).

    Args:
        systems: one after the other; they are taken apart as they come, so that no more than two of them need
            memory at a time. The first one is kept, as the program of all, and its weights are lost.
        count: M.

    Raises:
        UnsupportedError: if the systems are no one program, or one that cannot be stacked; it says why.
    """

    def __init__(self, systems: Iterator[System], count: int) -> None:
        self.count = count
        self.calls: list[dict[str, Any]] = []
        places: dict[str, Place] = {}
        numbers: dict[str, list[float]] = {}
        for m, system in enumerate(systems):
            self.calls.append(system.call)
            if m == 0:
                self._begin(system)
            else:
                for path, (place, mine, theirs) in differing(self.system, system).items():
                    places[path] = place
                    numbers.setdefault(path, [mine] * count)[m] = theirs
            for name, value in _tensors(_Whole(system)).items():
                self.state[name][m].copy_(value.detach())
        if len(self.calls) != count:
            raise ValueError(f"got {len(self.calls)} systems; expected {count}")
        self.places = [places[path] for path in numbers]
        self.values = [torch.tensor(row, dtype=torch.float64, device=self.device) for row in numbers.values()]
        for name in self._names.values():
            self.state[name].requires_grad_()
        self.optimizers = [self._optimizer(player) for player in self.players]
        self._draws: dict[tuple[str, int], list[Draw]] = {}

    def _begin(self, system: System) -> None:
        refuse_alone(system)
        self.system, self.players = system, system.procedure.players
        self._whole = _Whole(system)
        tensors = _tensors(self._whole)
        self.device = self.players[0].parameters[0].device
        self.state: Tensors = {
            name: torch.empty((self.count, *value.shape), dtype=value.dtype, device=value.device)
            for name, value in tensors.items()
        }
        self._buffers = [name for name, _ in self._whole.named_buffers()]
        named = {id(value): name for name, value in self._whole.named_parameters()}
        moving = [p for player in self.players for p in player.parameters]
        if lost := [tuple(p.shape) for p in moving if id(p) not in named]:
            raise UnsupportedError(
                f"a parameter of shape {lost[0]} belongs to a player, but to no module of the system: it "
                "cannot be stacked"
            )
        self._names = {id(p): named[id(p)] for p in moving}
        objectives = dict.fromkeys(player.objective for player in self.players)
        self.groups = [
            [number for number, player in enumerate(self.players) if player.objective is objective]
            for objective in objectives
        ]

    def parameters(self, player: Player) -> list[Tensor]:
        """The stacked parameters of a player, in its own order."""
        return [self.state[self._names[id(p)]] for p in player.parameters]

    def _optimizer(self, player: Player) -> torch.optim.Optimizer:
        capturable = {"capturable": True} if self.device.type == "cuda" else {}
        groups = []
        for group in player.optimizer.param_groups:
            rest = {key: value for key, value in group.items() if key != "params"}
            if "capturable" in rest:
                rest |= capturable
            groups.append({**rest, "params": [self.state[self._names[id(p)]] for p in group["params"]]})
        make = cast("Callable[..., torch.optim.Optimizer]", type(player.optimizer))
        return make(groups)

    # -- passes --------------------------------------------------------------------------------------------

    def each(
        self, work: Callable[..., T], batch: Batch, noise: Sequence[Tensor], apart: bool, own: bool = True
    ) -> tuple[T, Tensors]:
        """Do something with every model: results, and buffers as it leaves them, each with a first axis.

        Args:
            work: called with a batch.
            batch: (M, B, ...), or (B, ...) for all.
            noise: its draws, each (M, ...), or (...) for all.
            apart: whether every model has a batch of its own.
            own: whether every model has draws of its own.
        """

        def one(state: Tensors, values: list[Tensor], batch: Batch, noise: list[Tensor]) -> tuple[T, Tensors]:
            with placed(self.places, values), Replayed(noise) as replayed:
                found = cast("tuple[T, Tensors]", functional_call(self._whole, state, (work, batch)))
            if replayed.left:
                raise UnsupportedError("a stacked pass draws less than the pass of one model does")
            return found

        axes = (0, 0, 0 if apart else None, 0 if own else None)
        try:
            return vmap(one, in_dims=axes)(self.state, self.values, batch, list(noise))
        except RuntimeError as error:
            if "vmap" not in str(error) and "functorch" not in str(error):
                raise
            raise Unstackable(self.system, str(error).splitlines()[0]) from error

    def draws(self, batch: Batch, apart: bool, kind: str = "losses") -> list[Draw]:
        """The draws of a pass over a batch, in their order: found once for every size, from one dry pass.

        Raises:
            UnsupportedError: if a module keeps what belongs to one pass, or one model, beside its tensors.
        """
        size = batch["x"].shape[1 if apart else 0]
        if (kind, size) not in self._draws:
            one = {name: value[0] for name, value in batch.items()} if apart else batch
            before = _memory(self._whole)
            kept = {name: value.detach().clone() for name, value in _tensors(self._whole).items()}
            with own_stream(self.device), torch.no_grad(), Recorded() as recorded:
                found = self.work(kind)(one)
                refuse_memory(self.system, before, _memory(self._whole))
                if kind == "losses":
                    self.system.procedure.conclude(self.named(found))
                    refuse_memory(self.system, before, _memory(self._whole))
                for name, value in _tensors(self._whole).items():
                    value.copy_(kept[name])
            self._draws[kind, size] = recorded.draws
        return self._draws[kind, size]

    def work(self, kind: str, manner: Manner = AS_IT_IS) -> Callable[[Batch], Any]:
        """losses: the pass of a training step, and what is said of it. values: what validation looks at."""
        if kind == "values":
            return lambda batch: measured(self.system, batch)
        return lambda batch: self.system.procedure.losses(batch, manner)

    # -- a step --------------------------------------------------------------------------------------------

    def step(
        self, batch: Batch, noise: Sequence[Tensor], apart: bool = True, manner: Manner = AS_IT_IS
    ) -> Tensors:
        """One update of every model. Nothing here waits for the device.

        Args:
            batch: (M, B, ...), or (B, ...) where all models see the same one.
            noise: the draws of the pass, each (M, ...).
            apart: whether every model has a batch of its own.
            manner: clipping, per model and player, and precision.

        Returns:
            Named values, each (M,), as `Procedure.step` names them.
        """
        judged, buffers = self.each(self.work("losses", manner), batch, noise, apart)
        values = self.descend(judged, manner.clip)
        self._keep(buffers)
        if self.system.procedure.concludes:
            self._keep(self.each(self._conclude, values, [], True)[1])
        return values

    def _conclude(self, values: Tensors) -> tuple[()]:
        self.system.procedure.conclude(values)
        return ()

    def slopes(self, judged: Sequence[Judged]) -> list[list[Tensor | None]]:
        """The gradient of every player's loss at its own parameters, each (M, *shape), by player."""
        found: list[list[Tensor | None]] = [[] for _ in self.players]
        for group, (total, _) in zip(self.groups, judged, strict=True):
            moved = [p for number in group for p in self.parameters(self.players[number])]
            # models share nothing: the gradient of the sum is, at the weights of one, that of its own loss
            gradients = iter(
                torch.autograd.grad(
                    total.sum(), moved, retain_graph=group is not self.groups[-1], allow_unused=True
                )
            )
            for number in group:
                mine = islice(gradients, len(self.players[number].parameters))
                # fused optimisers run through memory as if gradients lay there as their weights do
                found[number] = [None if slope is None else slope.contiguous() for slope in mine]
        return found

    def descend(self, judged: Sequence[Judged], clip: float | None = None) -> Tensors:
        """Take all gradients, then move all players: the named values of the step, each (M,)."""
        slopes = self.slopes(judged)
        for player, optimizer, mine in zip(self.players, self.optimizers, slopes, strict=True):
            parameters = self.parameters(player)
            for parameter, slope in zip(parameters, mine, strict=True):
                parameter.grad = slope
            if clip is not None:
                clip_each_(parameters, clip)
            optimizer.step()
            for parameter in parameters:
                parameter.grad = None
        return self.named(judged)

    def named(self, judged: Sequence[Judged]) -> Tensors:
        """The named values of a step, as `Procedure.step` names them."""
        found: Tensors = {}
        for group, (total, values) in zip(self.groups, judged, strict=True):
            for number in group:
                named = {**values, "loss": total.detach()}
                found |= self.system.procedure.labelled(self.players[number], named)
        return found

    @torch.no_grad()
    def _keep(self, buffers: Tensors) -> None:
        for name in self._buffers:
            self.state[name].copy_(buffers[name])

    # -- held-out data --------------------------------------------------------------------------------------

    def validate(self, batches: Callable[[int], Iterator[Batch]]) -> dict[str, list[float]]:
        """As `vaekit.validation.validate` of every model: name -> one mean for each, (M,).

        Args:
            batches: makes the held-out batches from the seed of the evaluation.
        """
        totals: Tensors = {}
        count = 0
        with quiet(self.system.model, self.device, EVALUATION_SEED), torch.no_grad():
            for batch in batches(EVALUATION_SEED):
                size = len(batch["x"])
                noise = [draw.made(None) for draw in self.draws(batch, False, "values")]
                values, _ = self.each(self.work("values"), batch, noise, apart=False, own=False)
                for name, value in cast(Tensors, values).items():
                    totals[name] = totals.get(name, 0) + size * value.double()
                count += size
        return {name: (total / count).tolist() for name, total in one_by_one(totals).items()}

    @torch.no_grad()
    def standing(self) -> dict[str, list[float]]:
        """As `vaekit.validation.standing` of every model: name -> the value now of each, (M,)."""
        found, _ = self.each(lambda _: standing(self.system.procedure), {}, [], True)
        return {name: value.tolist() for name, value in found.items()}

    # -- one of them ----------------------------------------------------------------------------------------

    def weights(self) -> Tensors:
        """What the state dicts of the models hold: key -> (M, *shape)."""
        prefix = "parts.0."
        return {key: self.state[prefix + key] for key in self.system.model.state_dict()}

    @torch.no_grad()
    def unstack(self, model: int) -> System:
        """The system of one model, with its weights, buffers and moments: until the next call of this.

        Numbers of its own, such as weights of terms, stand in its recorded call alone.
        """
        for name, value in _tensors(self._whole).items():
            value.copy_(self.state[name][model])
        for player, optimizer in zip(self.players, self.optimizers, strict=True):
            player.optimizer.state.clear()
            for mine, stacked in zip(player.parameters, self.parameters(player), strict=True):
                player.optimizer.state[mine] = {
                    key: (value[model] if value.shape == stacked.shape else value).clone()
                    for key, value in optimizer.state[stacked].items()
                }
        return replace(self.system, call=self.calls[model])

    # -- going on later -------------------------------------------------------------------------------------

    def pack(self) -> Tensors:
        """Everything that moves, by name."""
        tensors = {f"state/{name}": value.detach() for name, value in self.state.items()}
        for player, optimizer in zip(self.players, self.optimizers, strict=True):
            for number, parameter in enumerate(self.parameters(player)):
                for key, value in optimizer.state[parameter].items():
                    tensors[f"{player.name}.optimizer/{number}/{key}"] = value
        return tensors

    @torch.no_grad()
    def unpack(self, tensors: Tensors) -> None:
        """Put back what `pack` took.

        Raises:
            KeyError, ValueError: if it does not fit.
        """
        for name, value in self.state.items():
            saved = tensors[f"state/{name}"]
            if saved.shape != value.shape or saved.dtype != value.dtype:
                raise ValueError(f"{name} is {tuple(saved.shape)} of {saved.dtype}")
            value.copy_(saved)
        for player, optimizer in zip(self.players, self.optimizers, strict=True):
            for number, parameter in enumerate(self.parameters(player)):
                prefix = f"{player.name}.optimizer/{number}/"
                moments = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
                if any(value.dim() and value.shape != parameter.shape for value in moments.values()):
                    raise ValueError(f"a moment of parameter {number} of {player.name!r} has another shape")
                on_device = optimizer.param_groups[0].get("capturable", False)
                for key, value in moments.items():
                    where = self.device if value.dim() or on_device else value.device
                    optimizer.state[parameter][key] = value.to(where).clone()


def clip_each_(parameters: Sequence[Tensor], most: float) -> None:
    """Scale the gradients of every model to a norm of at most `most`, as torch's `clip_grad_norm_` does."""
    slopes = [p.grad for p in parameters if p.grad is not None]
    squares = [slope.flatten(1).square().sum(1) for slope in slopes]
    norm = torch.stack(squares).sum(0).sqrt()
    factor = (most / (norm + 1e-6)).clamp(max=1)
    for slope in slopes:
        slope.mul_(factor.view(-1, *(1 for _ in slope.shape[1:])))


def _memory(whole: nn.Module) -> dict[str, Any]:
    """What modules hold beside their tensors and parts."""
    return {
        f"{path}.{name}": value
        for path, module in whole.named_modules()
        for name, value in vars(module).items()
        if name not in OF_TORCH
    }


def _tensors(whole: nn.Module) -> Mapping[str, Tensor]:
    return {**dict(whole.named_parameters()), **dict(whole.named_buffers())}
