"""A system: what a recipe returns, ready to be trained."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Concatenate, Literal, ParamSpec

from torch import nn

from vaekit.data.spec import Spec
from vaekit.models import Model
from vaekit.procedures import Procedure

P = ParamSpec("P")


@dataclass(frozen=True)
class Stage:
    """A later stage: an ordinary recipe, trained on the latents of the system once that is trained.

    Args:
        name: of the stage, and of its directory in the run.
        recipe: name of the recipe.
        arguments: of the recipe.
        latent: name of the latent that is its data, drawn anew at every visit; None where its data are those
            of the system itself. Such a stage is a further model of the data, and stands in the system's
            place where new data are drawn.
        given: name of the latent that is its condition, if any.
        epochs, batch_size: where they are not the recipe's own.

    Raises:
        ValueError: for a condition beside the system's own data.
    """

    name: str
    recipe: str
    arguments: dict[str, Any]
    latent: str | None = "z"
    given: str | None = None
    epochs: int | None = None
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.latent is None and self.given is not None:
            raise ValueError(
                f"the stage {self.name!r} has `latent` None, the data themselves, and `given` "
                f"{self.given!r}; expected a condition for the stage of a latent alone"
            )


@dataclass(frozen=True)
class System:
    """A published system, wired.

    Args:
        model: makes traces, encodes, decodes, generates.
        procedure: one training step.
        batch_size: the paper's, or a sensible one.
        epochs: passes over the training set that show what the system can do; the trainer's default.
        monitor: which weights are handed back: those with the lowest held-out loss of the first player, or
            the last ones, where that loss says nothing (games, schedules that change what is minimised).
        scheduled: whether a schedule spans these epochs, so that a default budget must not cut them short.
        least_batch: fewest data in a batch from which it can learn at all. A last batch may be smaller.
        stages: what is trained afterwards, one after the other, on the latents of this system. New data are
            then drawn by the stages: they draw the latents, and the model turns them into p(x|z).
        inherits: parts of the model that come trained from the system whose stage this is, and that nobody
            moves: name of the submodule here -> name of the submodule there. Alone it cannot be trained.
        call: the recorded call: {"recipe": name, "arguments": {...}}. Filled in by `recipe`.
    """

    model: Model
    procedure: Procedure
    batch_size: int = 128
    epochs: int = 50
    monitor: Literal["loss", "last"] = "loss"
    scheduled: bool = False
    least_batch: int = 1
    stages: tuple[Stage, ...] = ()
    inherits: dict[str, str] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)

    def modules(self) -> dict[str, nn.Module]:
        """Everything with weights or state, by name: the model, and each player's objective and pace.

        What two players share stands there once, under the name of the first.
        """
        found: dict[str, nn.Module] = {"model": self.model}
        for player in self.procedure.players:
            for name, module in (("objective", player.objective), ("pace", player.pace)):
                if module is not None and not any(module is other for other in found.values()):
                    found[f"{player.name}.{name}"] = module
        return found


def recipe(build: Callable[Concatenate[Spec, P], System]) -> Callable[Concatenate[Spec, P], System]:
    """Make a function into a recipe: the system that it returns carries the call that made it.

    The function takes a data spec and typed keyword arguments. Its signature is its configuration: the run
    record, the command line and the rows of a study come from it.
    """
    signature = inspect.signature(build)

    @functools.wraps(build)
    def wired(spec: Spec, /, *args: P.args, **kwargs: P.kwargs) -> System:
        if args:
            raise TypeError(
                f"{build.__name__} takes a data spec and keyword arguments; got {len(args)} more values"
            )
        bound = signature.bind(spec, **kwargs)
        bound.apply_defaults()
        arguments = dict(list(bound.arguments.items())[1:])
        system = build(spec, *args, **kwargs)
        return replace(system, call={"recipe": build.__name__, "arguments": arguments})

    return wired
