"""What a recipe owes to the trainer, the run record and the person who reads its numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.data.spec import Spec
from vaekit.distributions import PointMass, Quantised
from vaekit.errors import UnsupportedError
from vaekit.procedures import Manner, Player
from vaekit.randomness import own_stream
from vaekit.schedules import value_of
from vaekit.system import System
from vaekit.terms import Distortion, log_ratio
from vaekit.terms.elbo import has_closed_form
from vaekit.terms.parts import divergence
from vaekit.testing.knobs import Recipe, check_knobs
from vaekit.testing.select import batch_for, select
from vaekit.testing.words import close, require
from vaekit.trace import Batch, Trace

DATA = 5
LATEST = 100_000
"""Steps within which every player has to move."""


def check_recipe(
    recipe: Recipe,
    spec: Spec,
    arguments: Mapping[str, Any] | None = None,
    alternatives: Mapping[str, Any] | None = None,
    knobs: Collection[str] | None = None,
) -> set[str]:
    """Check a recipe: knobs, players, counting, signs, scale, sums, saving, float64, a batch of one.

    Args:
        recipe: a function made by `vaekit.system.recipe`.
        spec: the data that it is wired for; made-up data of this kind are used.
        arguments: a small starting point; small networks make the check quick.
        alternatives: argument -> other values, where they do not follow from the annotation.
        knobs: names of the arguments whose effect is checked; all by default.

    Returns:
        The names of the arguments that were shown to matter on this data; see `check_knobs`.

    Raises:
        AssertionError: naming the contract that it breaks.
    """
    case = _Case(recipe, spec, dict(arguments or {}))
    with torch.random.fork_rng():
        case.call()
        case.ownership()
        case.isolation()
        case.counting()
        case.sums()
        case.repetition()
        case.signs()
        case.scale()
        case.saving()
        case.small_batch()
        case.surface()
        return check_knobs(recipe, spec, arguments, alternatives, knobs)


class _Case:
    """One recipe on one kind of data."""

    def __init__(self, recipe: Recipe, spec: Spec, arguments: dict[str, Any]) -> None:
        self.recipe, self.spec, self.arguments = recipe, spec, arguments
        self.name = recipe.__name__
        self.batch = batch_for(spec, DATA)

    def build(self, spec: Spec | None = None, seed: int = 0) -> System:
        """The system in float64, always with the same first weights."""
        torch.manual_seed(seed)
        system = self.recipe(spec or self.spec, **self.arguments)
        for module in system.modules().values():
            module.double().train()
        return system

    def trace(self, system: System, batch: Batch | None = None, seed: int = 1) -> Trace:
        torch.manual_seed(seed)
        return system.procedure.trace(self.batch if batch is None else batch, Manner())

    def call(self) -> None:
        """The recorded call is complete, is plain data, and rebuilds the system."""
        system = self.build()
        require(
            system.call.get("recipe") == self.name,
            f"{self.name} records the call of {system.call.get('recipe')!r}: is it decorated with @recipe?",
        )
        recorded = system.call["arguments"]
        for name, value in self.arguments.items():
            require(
                name in recorded and recorded[name] == value,
                f"{self.name} does not record `{name}` = {value!r}",
            )
        try:
            plain = json.loads(json.dumps(recorded))
        except TypeError as error:
            raise AssertionError(f"the recorded call of {self.name} is no plain data: {error}") from None
        back = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
        torch.manual_seed(0)
        again = self.recipe(self.spec, **back)
        mine = {key: tuple(value.shape) for key, value in system.model.state_dict().items()}
        theirs = {key: tuple(value.shape) for key, value in again.model.state_dict().items()}
        require(mine == theirs, f"the recorded call of {self.name} builds a model of other shapes")
        with torch.device("meta"):  # as a run is looked at before its weights are read
            sketch = self.recipe(self.spec, **back).model.state_dict()
        drawn = {key: tuple(value.shape) for key, value in sketch.items()}
        require(mine == drawn, f"{self.name} on the device 'meta' has other shapes")

    def ownership(self) -> None:
        """Every parameter that can move belongs to a player."""
        system = self.build()
        players = system.procedure.players
        names = [player.name for player in players]
        require(len(set(names)) == len(names), f"two players of {self.name} have one name: {names}")
        owned = {id(parameter) for player in players for parameter in player.parameters}
        for root, module in system.modules().items():
            for key, parameter in module.named_parameters():
                require(
                    id(parameter) in owned or not parameter.requires_grad,
                    f"{root}.{key} of {self.name} belongs to no player: it never moves",
                )

    def isolation(self) -> None:
        """A player's objective leaves gradients on its own parameters alone, and moves them alone."""
        for number, name in enumerate(player.name for player in self.build().procedure.players):
            system = self.build()
            procedure = system.procedure
            player = procedure.players[number]
            own = {id(parameter) for parameter in player.parameters}
            _wake(system, player)
            procedure.judge(player, self.trace(system), 1.0, False)
            for key, parameter in _parameters(system).items():
                mine = id(parameter) in own
                gradient = parameter.grad
                require(
                    mine or gradient is None,
                    f"player {name!r} of {self.name} leaves a gradient on {key}, not its own",
                )
                require(
                    not mine or gradient is not None,
                    f"player {name!r} of {self.name} has no gradient at {key}",
                )
                require(
                    gradient is None or bool(gradient.isfinite().all()),
                    f"the gradient of player {name!r} of {self.name} at {key} is not finite",
                )
            system = self.build()
            for other in system.procedure.players:
                if other.name != name:
                    _hold(other)
            before = {key: parameter.detach().clone() for key, parameter in _parameters(system).items()}
            own = {id(parameter) for parameter in system.procedure.players[number].parameters}
            _wake(system, system.procedure.players[number])
            system.procedure.step([self.batch])
            for key, parameter in _parameters(system).items():
                require(
                    id(parameter) in own or bool(torch.equal(before[key], parameter)),
                    f"the step of player {name!r} of {self.name} moves {key}, which is not its own",
                )

    def counting(self) -> None:
        """As many draws as were asked for, and no two alike."""
        system = self.build()
        for asked in (system.procedure.samples, 3):
            torch.manual_seed(1)
            trace = system.model(self.batch, asked)
            # an enumerated label is an axis and a latent in one: its values are the classes, not draws
            label, classes = (("y",), (len(trace.weights),)) if trace.weights is not None else ((), ())
            axes = (*label, "batch") if asked is None else ("sample", *label, "batch")
            lead = (*classes, DATA) if asked is None else (asked, *classes, DATA)
            require(
                trace.axes == axes, f"{self.name} with samples={asked} has axes {trace.axes}; expected {axes}"
            )
            for key, latent in trace.latents.items():
                if key in axes:
                    continue
                shape = tuple(latent.value.shape)
                require(
                    shape[: len(lead)] == lead,
                    f"asked for samples={asked}, latent {key!r} of {self.name} has shape {shape}; expected "
                    f"{lead}",
                )
                if asked is not None and asked > 1 and not isinstance(latent.q, PointMass | Quantised):
                    require(
                        not torch.equal(latent.value[0], latent.value[1]),
                        f"two draws of latent {key!r} of {self.name} are the same",
                    )

    def sums(self) -> None:
        """Named values times weights sum to the loss; they are numbers without gradient, in float64."""
        system = self.build()
        trace = self.trace(system)
        for player in system.procedure.players:
            total, values = player.objective(trace)
            require(
                total.dim() == 0,
                f"the loss of {self.name} has shape {tuple(total.shape)}; expected one number",
            )
            require(total.dtype == torch.float64, f"the loss of {self.name} in float64 is {total.dtype}")
            for key, value in values.items():
                require(
                    value.dim() == 0 and not value.requires_grad,
                    f"the named value {key!r} of {self.name} has to be one number without gradient",
                )
            weighted = player.objective.terms.items()
            parts = sum(float(value_of(weight)) * float(values[key]) for key, (weight, _) in weighted)
            require(
                math.isclose(total.item(), parts, rel_tol=1e-9, abs_tol=1e-9),
                f"the loss of player {player.name!r} of {self.name} is {total.item()}, its terms {parts}",
            )

    def repetition(self) -> None:
        """A batch that is there twice has the same loss."""
        system = self.build()
        if system.procedure.couples_batch:
            return
        trace = self.trace(system)
        twice = select(trace, "batch", torch.arange(DATA).repeat(2))
        for player in system.procedure.players:
            require(
                close(player.objective(twice).total, player.objective(trace).total),
                f"the loss of {self.name} changes when the batch is repeated: it must say that it couples",
            )

    def signs(self) -> None:
        """No rate is below zero."""
        system = self.build()
        trace = system.model(self.batch, 200)
        for key, latent in trace.latents.items():
            if has_closed_form(latent):
                require(
                    bool((divergence(latent) > -1e-9).all()),
                    f"KL(q || p) of latent {key!r} of {self.name} is below zero: {divergence(latent).min()}",
                )
        try:
            rates = -torch.as_tensor(log_ratio(trace)).detach()
            if trace.weights is not None:
                rates = (trace.weights * rates).sum(1).detach()
        except UnsupportedError:  # a latent without a density has no rate
            return
        if rates.dim():
            lowest = rates.mean() + 5 * rates.std() / math.sqrt(rates.numel())
            require(bool(lowest > 0), f"the sampled rate of {self.name} is {float(rates.mean())}, below zero")

    def scale(self) -> None:
        """Twice the pixels, twice the distortion, at equal pixels."""
        if len(self.spec.shape) != 1:
            return
        wide = replace(self.spec, shape=(2 * self.spec.shape[0],))
        tiled = {n: torch.cat([v, v], -1) if n in ("x", "partner") else v for n, v in self.batch.items()}
        found: list[dict[str, Tensor]] = []
        for spec, batch in ((self.spec, self.batch), (wide, tiled)):
            system = self.build(spec)
            with torch.no_grad():  # then every element has the same distribution
                for parameter in system.model.likelihood.parameters():
                    parameter.zero_()
            trace = self.trace(system, batch)
            try:
                values = {"Distortion()": Distortion()(trace).mean().detach()}
            except UnsupportedError:
                return
            for player in system.procedure.players:
                named = player.objective(trace).values
                if "distortion" in named:
                    values[f"the distortion of player {player.name!r}"] = named["distortion"]
            found.append(values)
        for key, value in found[0].items():
            require(
                close(found[1][key], 2 * value),
                f"{key} of {self.name} is {float(value)}, and {float(found[1][key])} for twice the elements; "
                "expected twice the value: nats are summed over elements",
            )

    def saving(self) -> None:
        """State dicts bring everything back."""
        system = self.build()
        system.procedure.step([self.batch])
        other = self.build(seed=7)
        states = {name: module.state_dict() for name, module in system.modules().items()}
        for name, module in other.modules().items():
            module.load_state_dict({key: value.clone() for key, value in states[name].items()})
        for mode in (True, False):
            for pair in (system, other):
                for module in pair.modules().values():
                    module.train(mode)
            for mine, theirs in zip(system.procedure.players, other.procedure.players, strict=True):
                first, second = (
                    mine.objective(self.trace(system)).total,
                    theirs.objective(self.trace(other)).total,
                )
                require(
                    torch.equal(first, second),
                    f"{self.name} does not come back from its state dicts: {second} after {first}",
                )

    def small_batch(self) -> None:
        """A last batch of one trains, and leaves everything finite."""
        system = self.build()
        values = system.procedure.step([{key: value[:1] for key, value in self.batch.items()}])
        for key, value in values.items():
            require(bool(value.isfinite()), f"{key!r} of {self.name} is {float(value)} on a batch of one")
        for key, parameter in _parameters(system).items():
            require(
                bool(parameter.isfinite().all()), f"{key} of {self.name} is not finite after a batch of one"
            )

    def surface(self) -> None:
        """Encoding is deterministic unless draws are asked for; decoding and generating give data's shape."""
        model = self.build().model.eval()
        context = self.batch.get("c")
        first, second = model.encode(self.batch), model.encode(self.batch)
        require(
            set(first) == set(model.names), f"encode of {self.name} gives {set(first)}, not {model.names}"
        )
        for key in first:
            require(
                torch.equal(first[key], second[key]), f"encode of {self.name} is not deterministic in {key!r}"
            )
            require(len(first[key]) == DATA, f"encode of {self.name} gives {len(first[key])} rows for {DATA}")
            require(not first[key].requires_grad, f"encode of {self.name} keeps a graph")
        if model.names:
            self._fits("decode", model.decode(first, context), DATA)
        given = None if context is None else context[:1].expand(7, *context.shape[1:])
        with own_stream(seed=0):
            generated = model.generate(7, given)
        self._fits("generate", generated, 7)
        with own_stream(seed=0):
            drawn = model.draw_latents(7, given)
        require(
            list(drawn) == list(model.names),
            f"draw_latents of {self.name} gives {list(drawn)}, not {model.names}",
        )
        if not model.names:
            return
        for key in drawn:
            require(
                drawn[key].shape[1:] == first[key].shape[1:] and drawn[key].dtype == first[key].dtype,
                f"draw_latents of {self.name} gives {key!r} as {drawn[key].dtype} {tuple(drawn[key].shape)}; "
                f"encode as {first[key].dtype} {tuple(first[key].shape)}",
            )
        require(
            close(model.decode(drawn, given).mean, generated.mean),
            f"{self.name} generates from other latents than draw_latents gives",
        )

    def _fits(self, what: str, distribution: Distribution, rows: int) -> None:
        shape = (*distribution.batch_shape, *distribution.event_shape)
        require(
            shape == (rows, *self.spec.shape),
            f"{what} of {self.name} gives shape {shape}; expected {(rows, *self.spec.shape)}",
        )


def _parameters(system: System) -> dict[str, nn.Parameter]:
    return {
        f"{root}.{key}": parameter
        for root, module in system.modules().items()
        for key, parameter in module.named_parameters()
    }


def _wake(system: System, player: Player) -> None:
    """Go to the step in which a player that rests at first begins to move."""
    for _ in range(LATEST):
        if player.ready():
            return
        system.procedure.after_step()
    raise AssertionError(f"player {player.name!r} rests for {LATEST} steps: when does it move?")


def _hold(player: Any) -> None:
    """Let a player judge, but not move."""
    player.rates = [0.0 for _ in player.rates]
    for group in player.optimizer.param_groups:
        group["lr"] = 0.0
