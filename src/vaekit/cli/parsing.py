"""From a function's signature and docstring to options, and from arguments to its values.

tyro makes parser and help; what it has to say about a mistake becomes one line here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import re
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from vaekit.errors import UserError, nearest


def call(function: Callable[..., int], arguments: Sequence[str], prog: str) -> int:
    """Call a function with values from the command line.

    Its positional-only parameters are given by place, its keyword-only ones as options.
    """
    values = vars(parse(form_of(function), arguments, prog))
    places = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.POSITIONAL_ONLY]
    by_place = [values.pop(name) for name in places]
    return function(*by_place, **values)


def parse(form: type, arguments: Sequence[str], prog: str) -> Any:
    """Read arguments into a dataclass.

    Args:
        form: its fields are the options, its docstring is the help; see `form_of` and `group`.
        arguments: of the command line.
        prog: the command, for help and errors.

    Raises:
        UserError: one line that says what is wrong, with the nearest name for an unknown option.
        SystemExit: after the help.
    """
    import tyro

    heard = io.StringIO()
    try:
        with contextlib.redirect_stderr(heard):
            found: Any
            found, unknown = tyro.cli(
                form,
                args=_gathered(arguments, *_of_several(form)),
                prog=prog,
                config=(tyro.conf.OmitArgPrefixes,),
                return_unknown_args=True,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UserError(f"{_one_line(heard.getvalue())}; see `{prog} --help`") from None
    if unknown:
        raise UserError(_about_unknown(unknown, known_options(form), prog))
    return found


def known_options(form: type) -> list[str]:
    """The options of a form, such as --batch-size."""
    names: list[str] = []
    hints = typing.get_type_hints(form)
    for field in dataclasses.fields(form):
        if dataclasses.is_dataclass(hints[field.name]):
            names += known_options(hints[field.name])
        elif not field.metadata.get("place"):
            dashed = field.name.replace("_", "-")
            names += [f"--{dashed}", f"--no-{dashed}"] if field.default is True else [f"--{dashed}"]
    return names


def _of_several(form: type) -> tuple[set[str], set[str]]:
    """The options that take any number of values, such as --log; and those of them that take numbers."""
    names: set[str] = set()
    numbers: set[str] = set()
    hints = typing.get_type_hints(form)
    for field in dataclasses.fields(form):
        kind = hints[field.name]
        if dataclasses.is_dataclass(kind):
            inner = _of_several(typing.cast(type, kind))
            names, numbers = names | inner[0], numbers | inner[1]
            continue
        for option in (kind, *typing.get_args(kind)):
            if typing.get_origin(option) is tuple and ... in typing.get_args(option):
                names.add(f"--{field.name.replace('_', '-')}")
                if typing.get_args(option)[0] in (int, float):
                    numbers.add(f"--{field.name.replace('_', '-')}")
    return names, numbers


def _gathered(arguments: Sequence[str], several: set[str], numbers: set[str]) -> list[str]:
    """`--log a --log b` as `--log a b`: the parser would take the last of them alone.

    An option of numbers ends where a word is none: `--stacked 8 FILE` is `FILE --stacked 8`.
    """
    words: list[str] = []
    parts: dict[str, list[str]] = {}
    name = ""
    for word in arguments:
        head, given, value = word.partition("=")
        option = head.replace("_", "-")
        if option in several:
            name = option
            parts.setdefault(name, [head]).extend([value] if given else [])
        elif not name or not re.match(r"-?[\d.]" if name in numbers else r"(?!-[^\d.])", word):
            name = ""
            words.append(word)
        else:
            parts[name].append(word)
    return words + [word for part in parts.values() for word in part]


def _about_unknown(unknown: list[str], known: list[str], prog: str) -> str:
    option = next((word for word in unknown if word.startswith("-")), None)
    if option is None:
        return f"`{prog}` does not expect {unknown[0]!r}; see `{prog} --help`"
    name = option.split("=")[0].replace("_", "-")
    hint = nearest(name, known)
    if hint.startswith(";"):
        hint = f"; see `{prog} --help`"
    return f"`{prog}` has no option {name}{hint}"


def _one_line(box: str) -> str:
    """The message in the box that tyro draws: all lines below the title, up to the first rule."""
    words: list[str] = []
    for line in re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines():
        text = line.strip(" │|")
        if text.startswith(("╭", "+")) or not text:
            continue
        if text.startswith(("─", "╰")):
            break
        words.append(text)
    return " ".join(words).rstrip(".") or "these arguments cannot be read"


def argument_help(function: Callable[..., Any]) -> dict[str, str]:
    """Parameter name -> its text in the `Args:` section of a docstring (Google style)."""
    lines = (inspect.getdoc(function) or "").splitlines()
    found: dict[str, str] = {}
    name, inside = "", False
    for line in lines:
        if line and not line.startswith(" "):
            inside, name = line.strip() == "Args:", ""
        elif inside and (start := re.match(r"    (\*{0,2}\w+): (.*)", line)):
            name = start[1].lstrip("*")
            found[name] = start[2].strip()
        elif inside and name and line.strip():
            found[name] += f" {line.strip()}"
    return found


def form_of(function: Callable[..., Any]) -> type:
    """All parameters of a function as a form, with its first line as help."""
    made = group("Form", function, list(inspect.signature(function).parameters))
    made.__doc__ = (inspect.getdoc(function) or "").split("\n\n")[0]
    return made


def group(
    title: str, function: Callable[..., Any], names: Sequence[str], kinds: dict[str, Any] | None = None
) -> type:
    """A form of some parameters of a function.

    Args:
        title: name of the class.
        function: gives types, defaults and help.
        names: which of its parameters.
        kinds: types for parameters whose own cannot be typed on a command line.
    """
    helps = argument_help(function)
    hints = typing.get_type_hints(function) | (kinds or {})
    parameters = inspect.signature(function).parameters
    fields = []
    for name in names:
        parameter = parameters[name]
        needed = parameter.default is parameter.empty
        default = dataclasses.MISSING if needed else parameter.default
        place = parameter.kind is parameter.POSITIONAL_ONLY
        fields.append(field_of(name, hints[name], helps.get(name, ""), default, place=place))
    made = dataclasses.make_dataclass(title, fields, frozen=True)
    made.__doc__ = ""
    return made


def field_of(name: str, kind: Any, text: str, default: Any, *, place: bool = False) -> tuple[str, Any, Any]:
    """One field of a form: an option, or a value that is given by its place."""
    import tyro

    about: list[Any] = [tyro.conf.Positional] if place else []
    if default is False:
        about.append(tyro.conf.FlagCreatePairsOff)
    aliases = [f"-{name}"] if len(name) == 1 else None
    if place:
        about.append(tyro.conf.arg(help=text, metavar=name.upper()))
    elif default is None or default is False:
        # "default: None" says nothing: the help says what happens where nothing is given
        letters = None if default is False else _letters(kind)
        about.append(tyro.conf.arg(help=text, metavar=letters, help_behavior_hint="", aliases=aliases))
    else:
        about.append(tyro.conf.arg(help=text, aliases=aliases))
    return name, Annotated[(kind, *about)], dataclasses.field(default=default, metadata={"place": place})


def _letters(hint: Any) -> str:
    """How a value that may be left out is shown: INT, FLOAT, {a,b}, INT INT ..."""
    options = [option for option in typing.get_args(hint) if option is not type(None)] or [hint]
    kind = options[0]
    if typing.get_origin(kind) is typing.Literal:
        return "{" + ",".join(map(str, typing.get_args(kind))) + "}"
    if typing.get_origin(kind) is tuple:
        return f"{_letters(typing.get_args(kind)[0])} ..."
    names: dict[Any, str] = {int: "INT", float: "FLOAT", bool: "{True,False}"}
    return names.get(kind, "PATH" if "Path" in getattr(kind, "__name__", "") else "TEXT")
