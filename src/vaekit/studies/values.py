"""Values from a study file against the types of a function's parameters."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from vaekit.errors import nearest

Options = dict[str, Any]


class Parameters:
    """The keyword parameters of a function, which say what a table of settings may hold.

    Args:
        function: its annotations are the types, its defaults what a table need not say.
        what: what the function is, for messages, such as "recipe 'vae'".
        names: which of its parameters; by default those that are keyword-only.
    """

    def __init__(self, function: Callable[..., Any], what: str, names: Sequence[str] | None = None) -> None:
        found = inspect.signature(function).parameters
        self.what = what
        self.names = (
            [n for n, p in found.items() if p.kind is p.KEYWORD_ONLY] if names is None else list(names)
        )
        self.hints = typing.get_type_hints(function)
        self.defaults = {name: found[name].default for name in self.names}

    def refuse_unknown(self, name: str) -> None:
        """Refuse a name that is none of the parameters, with the nearest one.

        Raises:
            ValueError: if it is none.
        """
        if name not in self.names:
            raise ValueError(f"{self.what} has no setting {name!r}{nearest(name, self.names)}")

    def fit(self, name: str, value: Any) -> Any:
        """A value as the parameter takes it, in plain JSON: whole numbers as floats where floats are meant.

        Raises:
            ValueError: for an unknown name, or a value of another type.
        """
        self.refuse_unknown(name)
        fitted = _fitted(value, self.hints.get(name, Any))
        if fitted is _NO:
            said = repr(value)
            choices = _choices(self.hints[name])
            hint = nearest(value, choices) if isinstance(value, str) and choices else ""
            raise ValueError(f"`{name}` of {self.what} is {said}; expected {_words(self.hints[name])}{hint}")
        return fitted

    def whole(self, said: Mapping[str, Any]) -> Options:
        """All parameters: what was said, fitted, and defaults for the rest.

        Raises:
            ValueError: as `fit`, and for a parameter that has no default and is not said.
        """
        for name in said:
            self.refuse_unknown(name)
        values = {}
        for name in self.names:
            if name not in said and self.defaults[name] is inspect.Parameter.empty:
                raise ValueError(f"{self.what} needs `{name}`: say {_words(self.hints.get(name, Any))}")
            values[name] = self.fit(name, said[name]) if name in said else plain(self.defaults[name])
        return values


def plain(value: Any) -> Any:
    """A value in JSON: tuples as lists."""
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


_NO = object()


def _fitted(value: Any, hint: Any) -> Any:
    """The value as the type takes it, or `_NO`."""
    origin = typing.get_origin(hint)
    if hint is Any:
        return plain(value)
    if origin in (typing.Union, types.UnionType):
        fits = (_fitted(value, option) for option in typing.get_args(hint))
        return next((found for found in fits if found is not _NO), _NO)
    if origin is Literal:
        known = any(value == item and type(value) is type(item) for item in typing.get_args(hint))
        return value if known else _NO
    if origin in (tuple, list):
        if not isinstance(value, list | tuple):
            return _NO
        kinds = [kind for kind in typing.get_args(hint) if kind is not Ellipsis]
        if origin is tuple and Ellipsis not in typing.get_args(hint) and len(kinds) != len(value):
            return _NO
        items = [_fitted(item, kinds[min(i, len(kinds) - 1)]) for i, item in enumerate(value)]
        return _NO if any(item is _NO for item in items) else items
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if number else _NO
    if hint is int:
        return value if isinstance(value, int) and not isinstance(value, bool) else _NO
    if hint in (str, bool):
        return value if isinstance(value, hint) else _NO
    if hint is type(None):
        return None if value is None else _NO
    return _NO  # what is no plain value cannot be written into a file


def _choices(hint: Any) -> list[str]:
    if typing.get_origin(hint) is Literal:
        return [item for item in typing.get_args(hint) if isinstance(item, str)]
    return [choice for option in typing.get_args(hint) for choice in _choices(option)]


def _words(hint: Any) -> str:
    """A type in words."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_words(option) for option in options if option is not type(None)))
    if origin is Literal:
        return f"one of {', '.join(map(str, options))}"
    if origin in (tuple, list):
        return f"a list of {_words(options[0])}" if options else "a list"
    names: dict[Any, str] = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
    return names.get(hint, "a value")
