"""No dead knob: every argument of a recipe changes something."""

from __future__ import annotations

import hashlib
import inspect
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import torch

from vaekit.data.spec import Spec
from vaekit.system import System
from vaekit.testing.select import batch_for
from vaekit.testing.words import require

Recipe = Callable[..., System]


def check_knobs(
    recipe: Recipe,
    spec: Spec,
    arguments: Mapping[str, Any] | None = None,
    alternatives: Mapping[str, Sequence[Any]] | None = None,
    knobs: Collection[str] | None = None,
    steps: int = 3,
) -> set[str]:
    """Check that every argument changes the parameters, a loss, a gradient or the training defaults.

    A system is built in float64 from one seed and takes a few steps; one argument is changed; the two are
    compared bit for bit. Of an argument with named choices every choice must differ from every other one,
    except that "auto" may equal one of them. Choices that the recipe refuses for this data are left out, and
    an argument with nothing left to compare is not judged.

    Args:
        recipe: the recipe.
        spec: the data that it is wired for.
        arguments: a small starting point, where the defaults are too large or leave a knob without effect.
        alternatives: argument -> other values to try, where they do not follow from the annotation.
        knobs: names of the arguments to check; all by default.
        steps: number of training steps.

    Returns:
        The names of the arguments that were shown to matter.

    Raises:
        AssertionError: naming the argument that does not.
    """
    base = dict(arguments or {})
    given = dict(alternatives or {})
    hints = get_type_hints(recipe)
    alive: set[str] = set()
    reference = _effects(recipe, spec, base, steps)
    parameters = list(inspect.signature(recipe).parameters.values())[1:]
    unknown = {*given, *(knobs or ())} - {p.name for p in parameters}
    require(not unknown, f"{recipe.__name__} has no argument {', '.join(sorted(unknown))}")
    for parameter in parameters:
        name = parameter.name
        if knobs is not None and name not in knobs:
            continue
        value = base.get(name, parameter.default)
        choices = list(given[name]) if name in given else others(hints[name], value)
        require(
            bool(choices),
            f"no other value of `{name}` follows from its annotation: give `alternatives`",
        )
        exhaustive = name not in given and _is_choice(hints[name])
        found = [reference]
        for choice in choices:
            try:
                found.append(_effects(recipe, spec, {**base, name: choice}, steps))
            except (ValueError, TypeError):  # refused: UnsupportedError is a TypeError
                continue
            if not exhaustive and found[-1] != reference:
                break
        expected = len(found) - ("auto" in (value, *choices)) if exhaustive else 2
        if len(found) == 1 or expected < 2:
            continue
        require(
            len(set(found)) >= expected,
            f"`{name}` of {recipe.__name__} is a dead knob: {value!r} and {choices} give {len(set(found))} "
            f"different systems on {spec.name!r}; expected {expected}",
        )
        alive.add(name)
    return alive


def others(hint: Any, value: Any) -> list[Any]:
    """Other values of an argument, by its annotation and its present value."""
    origin = get_origin(hint)
    if origin is Literal:
        return [choice for choice in get_args(hint) if choice != value]
    if origin in (Union, types.UnionType):
        found = [
            other for member in get_args(hint) if member is not type(None) for other in others(member, value)
        ]
        return [*found, None] if value is not None and type(None) in get_args(hint) else found
    if hint is bool:
        return [not value]
    if hint is int:
        start = value if isinstance(value, int) else 1
        return _without(value, [start + 1, 2 * start, start // 2, 1, 2])
    if hint is float:
        size = value if isinstance(value, float | int) else 0.5
        return _without(value, [0.5 * size, 2 * size, size + 1, 0.5, 0.25, 1.0])
    if origin is tuple and ... not in get_args(hint):
        rows = [others(member, None) for member in get_args(hint)]
        return _without(value, list(zip(*rows, strict=False)))
    if origin is tuple:
        row = value if isinstance(value, tuple) and value else (5,)
        last = row[-1]
        return _without(value, [(*row[:-1], last + 1), (*row, last)])
    return []


def _without(value: Any, found: list[Any]) -> list[Any]:
    return [other for other in dict.fromkeys(found) if other != value]


def _is_choice(hint: Any) -> bool:
    return get_origin(hint) is Literal


def _effects(recipe: Recipe, spec: Spec, arguments: Mapping[str, Any], steps: int) -> str:
    """A digest of everything that a recipe's arguments can change."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        system = recipe(spec, **arguments)
        procedure = system.procedure
        record: list[Any] = [system.batch_size, system.epochs, system.monitor, type(procedure).__name__]
        record += [procedure.samples, procedure.branches, repr(system.model), system.stages]
        modules = system.modules()
        for module in modules.values():
            module.double().train()
        digest = hashlib.sha256(repr(record).encode())
        for step in range(steps):
            torch.manual_seed(step)
            values = procedure.step([batch_for(spec, 6, seed=step)])
            digest.update(repr({name: float(value) for name, value in sorted(values.items())}).encode())
        for name, module in modules.items():
            for key, tensor in module.state_dict().items():
                digest.update(f"{name}.{key} {tuple(tensor.shape)}".encode())
                digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
