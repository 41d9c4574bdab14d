"""Whether two systems are one program: the same but for tensors, and for numbers that weigh something."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.errors import UnsupportedError
from vaekit.objective import Objective
from vaekit.procedures import Player
from vaekit.system import System

OF_TORCH = vars(nn.Module()).keys() - {"training"}
"""Attributes of a module that are not its author's."""


@dataclass(frozen=True)
class Place:
    """Where a number stands in a system that another one holds in another size.

    Args:
        path: in words, for errors.
        holder: the objective's dictionary of terms, a list, a dictionary, or the object with the attribute.
        key: name of the term, index, key, or name of the attribute.
        weight: whether it is the weight of a term; every number is one, while whole numbers elsewhere may be
            sizes.
    """

    path: str
    holder: Any
    key: Any
    weight: bool = False

    def put(self, value: Any) -> Any:
        """Put a value there, and hand back what stood there."""
        if isinstance(self.holder, list | dict):
            former = self.holder[self.key]
            self.holder[self.key] = (value, former[1]) if self.weight else value
            return former[0] if self.weight else former
        former = getattr(self.holder, self.key)
        object.__setattr__(self.holder, self.key, value)
        return former


@contextmanager
def placed(places: Sequence[Place], values: Sequence[Any]) -> Iterator[None]:
    """Inside, other numbers stand at the places."""
    former = [place.put(value) for place, value in zip(places, values, strict=True)]
    try:
        yield
    finally:
        for place, value in zip(places, former, strict=True):
            place.put(value)


def differing(first: System, other: System) -> dict[str, tuple[Place, float, float]]:
    """The numbers that differ between two systems of one program: path -> (place in `first`, both values).

    Tensors may hold other values, of the same shape and type.

    Raises:
        UnsupportedError: if anything else differs; it says what.
    """
    comparison = _Comparison(_arguments(first, other))
    comparison.systems(first, other)
    return comparison.found


def _arguments(first: System, other: System) -> str:
    """Names of the arguments that differ, for errors."""
    mine, theirs = (system.call.get("arguments", {}) for system in (first, other))
    names = [name for name in mine if mine[name] != theirs.get(name, mine[name])]
    return ", ".join(f"{name} {mine[name]!r} and {theirs[name]!r}" for name in names)


class _Comparison:
    """One walk through two systems, side by side."""

    def __init__(self, arguments: str) -> None:
        self.arguments = arguments
        self.found: dict[str, tuple[Place, float, float]] = {}
        self.seen: set[tuple[int, int]] = set()

    def refuse(self, path: str, first: object, other: object) -> None:
        beside = f" (their arguments: {self.arguments})" if self.arguments else ""
        raise UnsupportedError(
            f"two of the calls are no one program: {path} is {first} in one and {other} in the other"
            f"{beside}; a stack takes calls that differ in seeds and in numbers that weigh something: train "
            "these apart (`vaekit.stacked.groups` says what belongs together)"
        )

    def systems(self, first: System, other: System) -> None:
        for name in ("batch_size", "monitor", "least_batch"):
            self.equal(f"`{name}`", getattr(first, name), getattr(other, name))
        mine, theirs = first.modules(), other.modules()
        self.equal("the list of modules", list(mine), list(theirs))
        for name in ("samples", "branches"):
            self.equal(f"`{name}`", getattr(first.procedure, name), getattr(other.procedure, name))
        for name in mine:
            self.walk(name, mine[name], theirs[name], None)
        for one, two in zip(first.procedure.players, other.procedure.players, strict=True):
            self.players(one, two)

    def players(self, first: Player, other: Player) -> None:
        whose = f"of player {first.name!r}"
        self.equal("the name of a player", first.name, other.name)
        self.equal(f"the optimiser {whose}", type(first.optimizer), type(other.optimizer))
        groups = ([{**group, "params": len(group["params"])} for group in player.optimizer.param_groups]
                  for player in (first, other))  # fmt: skip
        for one, two in zip(*groups, strict=True):
            for key in one:
                self.equal(f"`{key}` of the optimiser {whose}", one[key], two.get(key))

    def equal(self, path: str, first: object, other: object) -> None:
        if first != other:
            self.refuse(path, repr(first), repr(other))

    def walk(self, path: str, first: Any, other: Any, place: Place | None) -> None:
        if first is other:
            return
        numbers = [isinstance(v, int | float) and not isinstance(v, bool) for v in (first, other)]
        if all(numbers):
            self.number(path, first, other, place)
        elif type(first) is not type(other):
            self.refuse(path, f"a {type(first).__name__}", f"a {type(other).__name__}")
        elif (id(first), id(other)) not in self.seen:
            self.seen.add((id(first), id(other)))
            self.inside(path, first, other)

    def number(self, path: str, first: float, other: float, place: Place | None) -> None:
        if first == other:
            return
        sizes = isinstance(first, int) and isinstance(other, int)
        if place is None or (sizes and not place.weight):
            self.refuse(path, repr(first), repr(other))
        else:
            self.found[path] = (place, first, other)

    def inside(self, path: str, first: Any, other: Any) -> None:
        if isinstance(first, Tensor):
            self.tensors(path, first, other)
            if not first.is_meta and not torch.equal(first, other):
                self.refuse(path, "a tensor that is no parameter or buffer", "another")
        elif isinstance(first, nn.Module):
            self.module(path, first, other)
        elif isinstance(first, dict):
            self.equal(f"the keys of {path}", list(first), list(other))
            for key in first:
                where = f"{path}[{key!r}]"
                self.walk(where, first[key], other[key], Place(where, first, key))
        elif isinstance(first, list | tuple):
            self.equal(f"the length of {path}", len(first), len(other))
            for i, (one, two) in enumerate(zip(first, other, strict=True)):
                where = f"{path}[{i}]"
                self.walk(where, one, two, Place(where, first, i) if isinstance(first, list) else None)
        elif isinstance(first, types.FunctionType):
            self.function(path, first, other)
        elif isinstance(first, types.MethodType):
            self.walk(path, first.__func__, other.__func__, None)
            self.walk(path, first.__self__, other.__self__, None)
        elif isinstance(first, functools.partial):
            for part in ("func", "args", "keywords"):
                self.walk(path, getattr(first, part), getattr(other, part), None)
        else:
            self.object(path, first, other)

    def module(self, path: str, first: nn.Module, other: nn.Module) -> None:
        for kind in ("_parameters", "_buffers"):
            mine, theirs = vars(first)[kind], vars(other)[kind]
            self.equal(f"the names of tensors in {path}", list(mine), list(theirs))
            for name in mine:
                if mine[name] is not None:
                    self.tensors(f"{path}.{name}", mine[name], theirs[name])
        self.equal(f"the names of parts of {path}", list(first._modules), list(other._modules))
        for name in first._modules:
            self.walk(f"{path}.{name}", first._modules[name], other._modules[name], None)
        if isinstance(first, Objective) and isinstance(other, Objective):
            for name, (weight, term) in first.terms.items():
                where = f"the term {name!r} of {path}"
                place = Place(f"the weight of {where}", first.terms, name, weight=True)
                self.walk(place.path, weight, other.terms[name][0], place)
                self.walk(where, term, other.terms[name][1], None)
        walked = {"terms"} if isinstance(first, Objective) else set()
        self.attributes(path, first, other, OF_TORCH | walked)

    def tensors(self, path: str, first: Tensor, other: Tensor) -> None:
        for what in ("shape", "dtype", "requires_grad"):
            mine, theirs = (getattr(value, what) for value in (first, other))
            shown = [tuple(v) if isinstance(v, torch.Size) else v for v in (mine, theirs)]
            self.equal(f"the {what} of {path}", *shown)

    def function(self, path: str, first: types.FunctionType, other: types.FunctionType) -> None:
        if first.__code__ is not other.__code__:
            self.refuse(path, f"the function {first.__name__}", f"another, {other.__name__}")
        cells = [[cell.cell_contents for cell in f.__closure__ or ()] for f in (first, other)]
        for name, one, two in zip(first.__code__.co_freevars, *cells, strict=True):
            self.walk(f"{name!r} in a function of {path}", one, two, None)
        self.walk(f"a default of a function of {path}", first.__defaults__, other.__defaults__, None)

    def object(self, path: str, first: Any, other: Any) -> None:
        fields = getattr(first, "__dict__", None)
        if fields is None and not hasattr(first, "__slots__"):
            self.equal(path, first, other)
        else:
            self.attributes(path, first, other, frozenset())

    def attributes(self, path: str, first: Any, other: Any, without: Any) -> None:
        mine, theirs = ({k: v for k, v in _fields(o).items() if k not in without} for o in (first, other))
        self.equal(f"the names of attributes of {path}", sorted(mine), sorted(theirs))
        frozen = getattr(getattr(type(first), "__dataclass_params__", None), "frozen", False)
        for name in mine:
            where = f"{path}.{name}"
            self.walk(where, mine[name], theirs[name], None if frozen else Place(where, first, name))


def _fields(value: Any) -> dict[str, Any]:
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    return {**getattr(value, "__dict__", {}), **{n: getattr(value, n) for n in slots if hasattr(value, n)}}
