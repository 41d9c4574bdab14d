"""Calls of one recipe, and which of them can be trained as one stack."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vaekit.checks import whole
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.randomness import own_stream
from vaekit.runs import Recipe, build_system, find_recipe
from vaekit.stacked.alike import differing
from vaekit.stacked.refusals import Unstackable, refuse_alone
from vaekit.system import System


@dataclass(frozen=True)
class Call:
    """One model of a stack.

    Args:
        seed: of its initial weights, order and noise.
        arguments: of the recipe, beside those that all calls have in common.
        name: of its run directory.
    """

    seed: int = 0
    arguments: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None


def groups(
    recipe: str | Recipe, calls: Sequence[Call], spec: Spec, most: int | None = None, **arguments: Any
) -> list[list[int]]:
    """Numbers of the calls that one stack can hold, in their order: every call is in one group.

    Nothing is trained or drawn: the systems are sketched without memory. Calls that differ in seeds and in
    numbers that weigh something come together, those of other shapes or learning rates apart; a call of a
    system that cannot be stacked at all is alone.

    Args:
        recipe: the name of a recipe, or a function made by `vaekit.recipe`.
        calls: of this recipe, to be trained on the same data in the same way.
        spec: of the data.
        most: models in one group at most, where the memory is what limits them.
        **arguments: that all calls have in common.

    Raises:
        UserError: if an argument is unknown or refused.
    """
    build = find_recipe(recipe) if isinstance(recipe, str) else recipe
    limit = len(calls) if most is None else whole("most", most)
    sketches: dict[str, System] = {}
    found: list[tuple[System, list[int]]] = []
    for number, call in enumerate(calls):
        asked = {**arguments, **call.arguments}
        # by its full arguments: a study has many seeds of one call
        key = repr(sorted(asked.items()))
        if key not in sketches:
            with own_stream():
                sketches[key] = build_system(build, spec, asked, "meta")
        mine = sketches[key]
        for first, members in found:
            if len(members) < limit and together(first, mine):
                members.append(number)
                break
        else:
            found.append((mine, [number]))
    return [members for _, members in found]


def together(first: System, other: System) -> bool:
    """Whether two systems are one program that can be stacked."""
    try:
        refuse_alone(first)
        differing(first, other)
    except UnsupportedError:
        return False
    return True


def why_alone(recipe: str | Recipe, call: Call, spec: Spec) -> str | None:
    """Why the system of a call can be in no stack, or None if it can.

    Raises:
        UserError: if an argument is unknown or refused.
    """
    build = find_recipe(recipe) if isinstance(recipe, str) else recipe
    with own_stream():
        system = build_system(build, spec, dict(call.arguments), "meta")
    try:
        refuse_alone(system)
    except Unstackable as error:
        return error.why
    return None


def names_of(calls: Sequence[Call]) -> list[str]:
    """Names of the run directories: the calls' own, or their numbers.

    Raises:
        ValueError: if two are the same, or one is no name of a folder.
    """
    width = max(3, len(str(len(calls) - 1)))
    names = [f"{i:0{width}d}" if call.name is None else call.name for i, call in enumerate(calls)]
    for name in names:
        if not name or name in (".", "..") or any(sign in name for sign in "/\\\0"):
            raise ValueError(f"`name` of a call is {name!r}; expected the name of a folder")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two calls have the `name` {repeated[0]!r}; expected a name for each")
    return names


def refuse_calls(build: Recipe, calls: Sequence[Call]) -> None:
    """Refuse what cannot be calls of one recipe, before anything is built.

    Raises:
        TypeError, ValueError: with what was got.
    """
    if not calls:
        raise ValueError("`calls` is empty; expected one call for each model")
    for call in calls:
        if not isinstance(call, Call):
            raise TypeError(f"`calls` holds a {type(call).__name__}; expected `Call(seed, arguments)`")
        if not 0 <= whole("seed", call.seed, least=0) < 2**63:
            raise ValueError(f"`seed` is {call.seed}; expected 0 .. 2^63 - 1")
    keys = [(call.seed, repr(sorted(call.arguments.items()))) for call in calls]
    seen: set[object] = set()
    for key, call in zip(keys, calls, strict=True):
        if key in seen:
            raise ValueError(
                f"two calls have the seed {call.seed} and the arguments {dict(call.arguments)}: they would "
                "end in the same weights"
            )
        seen.add(key)
    names_of(calls)
    inspect.signature(build)
