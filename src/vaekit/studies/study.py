"""A study: the runs that a list of points stands for, checked before any of them runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from vaekit.errors import UnsupportedError, UserError, arguments_of, nearest
from vaekit.randomness import own_stream
from vaekit.runs import build_system, find_recipe
from vaekit.studies import data as sources
from vaekit.studies.algebra import Point, Points
from vaekit.studies.call import Call, canonical
from vaekit.studies.expression import Placed
from vaekit.studies.scores import NEEDS_TRUTH, SCORES, settings_of
from vaekit.studies.values import Options, Parameters
from vaekit.trainer import Training, refuse_unfit

TRAINING = ("epochs", "steps", "batch_size", "precision", "accumulate", "clip", "patience", "weights")
"""Settings of `vaekit.train` that a study may say; where it says `steps` alone, there are exactly so many."""

_HEADS = ("recipe", "data", "arguments", "training", "seed", "method")


@dataclass(frozen=True)
class Study:
    """Runs that belong together.

    Args:
        title: in a line.
        calls: the runs, each once, in the order in which they were first said.
        about: in words: what it is for, where it comes from.
        said: number of points that were said; equal ones are one run.
    """

    title: str
    calls: tuple[Call, ...]
    about: str = ""
    said: int = 0

    @classmethod
    def of(
        cls,
        points: Points,
        scores: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        title: str = "A study",
        about: str = "",
        folder: Path | None = None,
    ) -> Study:
        """The study of a list of points; everything is checked, and nothing runs.

        Args:
            points: see `vaekit.studies.algebra`. Each says at least `recipe` and `data`; `arguments.NAME` are
                those of the recipe, `data.NAME` options of `vaekit.load`, `training.NAME` settings of
                `vaekit.train`. `seed` is 0 if nothing is said. `method` is what tables and pictures call the
                run: the recipe's name, unless one recipe stands for several methods.
            scores: what is measured of every model: label -> settings of a score of
                `vaekit.studies.scores.SCORES`, whose name is `take`, or the label itself.
            title, about: for people.
            folder: which relative paths of data start from.

        Raises:
            UserError: for the first thing that cannot be run, with where it was said.
        """
        taken = {label: _score(label, options) for label, options in (scores or {}).items()}
        calls: dict[str, Call] = {}
        checked: set[str] = set()
        for number, point in enumerate(points):
            call = _Reader(point, number, folder, checked).call(taken)
            calls.setdefault(call.hash, call)
        if not calls:
            raise UserError("the study has no runs: say `recipe` and `data`")
        return cls(title, tuple(calls.values()), about, len(points))


class _Reader:
    """One point made into a call; messages say where its settings were said."""

    def __init__(self, point: Point, number: int, folder: Path | None, checked: set[str]) -> None:
        self.values = {path: v.value if isinstance(v, Placed) else v for path, v in point.items()}
        self.places = {path: v.place for path, v in point.items() if isinstance(v, Placed)}
        self.number, self.folder, self.checked = number, folder, checked

    def call(self, scores: Mapping[str, Options]) -> Call:
        for path in self.values:
            head, dot, _ = path.partition(".")
            if head not in _HEADS or bool(dot) != (head in ("data", "arguments", "training")):
                raise UserError(f"{self._place(path)}: there is no setting {path!r}{_about(path)}")
        recipe, seed = self._text("recipe", None), self.values.get("seed", 0)
        if "data.name" not in self.values:
            raise UserError(
                f'{self._place("recipe")}: no data are said for it: add data = "digits", or others'
            )
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise UserError(
                f"{self._place('seed')}: `seed` is {seed!r}; expected a whole number, 0 .. 2^63 - 1"
            )
        with self._at("recipe"):
            accepted = _arguments(recipe)
        arguments = self._table("arguments", accepted)
        training = self._table("training", _training())
        said = self._under("data")
        with self._at("data.name", *(f"data.{name}" for name in said)):
            data, place = _data(canonical(said), self.folder)
        call = Call(recipe, arguments, data, training, seed, scores, self._text("method", recipe), place)
        self._check(call)
        return call

    def _check(self, call: Call) -> None:
        """Build the system once without memory, so that impossible values are found now."""
        key = canonical({k: v for k, v in call.content().items() if k != "seed"})
        if key in self.checked:
            return
        self.checked.add(key)
        with self._at("data.name", *(f"data.{name}" for name in self._under("data"))):
            spec = sources.splits_of(call).spec
        if spec.factors is None:
            for label, options in call.scores.items():
                if options["take"] in NEEDS_TRUTH:
                    where = self._place("data.name")
                    raise UserError(
                        f"{where}: scores.{label} needs data with known factors, and {call.data['name']!r} "
                        "has none: take other data, or leave the score out"
                    )
        with self._at("recipe", *self.values), own_stream():
            system = build_system(find_recipe(call.recipe), spec, dict(call.arguments), "meta")
        with self._at("recipe", *self.values):
            said = {name: value for name, value in call.training.items() if value is not None}
            size = {"epochs": 1, "batch_size": system.batch_size}
            with arguments_of("the training"):
                training = Training(**{**size, **said})
            refuse_unfit(system, training, spec.size)

    def _table(self, head: str, accepted: Parameters) -> Options:
        said = self._under(head)
        for name, value in said.items():
            with self._at(f"{head}.{name}"):
                said[name] = accepted.fit(name, value)
        with self._at("recipe"):
            return accepted.whole(said)

    def _under(self, head: str) -> Options:
        return {k.removeprefix(f"{head}."): v for k, v in self.values.items() if k.startswith(f"{head}.")}

    def _text(self, path: str, default: str | None) -> str:
        value = self.values.get(path, default)
        if path not in self.values and default is None:
            raise UserError(f'{self._place(path)}: no `{path}` is said: add {path} = "vae", or another')
        if not isinstance(value, str):
            raise UserError(f"{self._place(path)}: `{path}` is {value!r}; expected a name")
        return value

    def _place(self, path: str) -> str:
        return self.places.get(path) or f"point {self.number + 1} of the study"

    @contextmanager
    def _at(self, *paths: str) -> Iterator[None]:
        """Say where it was: the place of the setting that the message names, else of the first path."""
        try:
            yield
        except (UserError, UnsupportedError, ValueError, TypeError) as error:
            text = str(error)
            names = [path.rpartition(".")[2] for path in paths]
            told = (any(said in text for said in (f"`{name}`", f"setting {name!r}")) for name in names)
            named = [path for path, here in zip(paths, told, strict=True) if here]
            raise UserError(f"{self._place((named or list(paths))[0])}: {text}") from error


@lru_cache
def _arguments(recipe: str) -> Parameters:
    build = find_recipe(recipe)
    return Parameters(build, f"recipe {recipe!r}")


@lru_cache
def _training() -> Parameters:
    from vaekit.api import train

    return Parameters(train, "the training", TRAINING)


@lru_cache
def _data(said: str, folder: Path | None) -> tuple[Options, str | None]:
    return sources.resolved(json.loads(said), folder)


def _score(label: str, options: Any) -> Options:
    place = f"scores.{label}"
    if not isinstance(options, Mapping):
        raise UserError(f"{place} is {options!r}; expected a table, such as [scores.evaluation]")
    said = dict(options)
    name = said.pop("take", label)
    if name not in SCORES:
        raise UserError(f"{place}: there is no score {name!r}{nearest(str(name), list(SCORES))}")
    if "/" in label:
        raise UserError(f"{place}: expected a label without a slash, which stands between label and figure")
    try:
        return {"take": name, **settings_of(name, said)}
    except ValueError as error:
        raise UserError(f"{place}: {error}") from error


def _about(path: str) -> str:
    head, dot, _ = path.partition(".")
    if head in ("arguments", "training"):
        return f": say which, as {head}.NAME"
    if head in ("recipe", "seed", "method"):
        return f": `{head}` is one value"
    return nearest(head, list(_HEADS)) + (f", or arguments.{path} of the recipe" if not dot else "")
